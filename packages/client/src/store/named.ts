import { type Keyring, type NameVersion, nameOf, parseName } from '@pingo/storage'
import { isPinGoError, PinGoError, sentence } from '@pingo/wire'
import { find, isCid, isName } from './find.ts'
import type { StoreParts } from './parts.ts'
import { shown } from './path-names.ts'
import { publicRootOf } from './public.ts'

/** Where the index keeps the owner's names; no bucket can be called that. */
const NAMES_BUCKET = '.names'
const LABEL = /^[a-z0-9][a-z0-9._-]{0,62}$/

/** One of the owner's names. */
export interface OwnName {
  /** What the owner calls it. */
  label: string
  /** What everybody calls it: k51… */
  name: string
  /** What it pointed to when this machine heard of it last. */
  version: NameVersion
}

/** @throws PinGoError LABEL_INVALID */
export function checkLabel(label: string): string {
  if (LABEL.test(label) && !isName(label) && !isCid(label)) return label
  throw new PinGoError('LABEL_INVALID', `'${shown(label)}' cannot be what a name is called.`, {
    hint: 'Use up to 63 small letters, digits, dots, hyphens and underscores, beginning with a letter or digit.',
  })
}

/**
 * Points the owner's name of this label to what is stored: the name is the label's and the owner's secret's, the same on each of their machines.
 * @param what path in the store, CID, or path in a public folder
 * @throws PinGoError LABEL_INVALID, PUBLISH_PARTS, ENTRY_UNKNOWN, NAME_NOT_PUBLISHED …
 */
export async function publish(
  parts: StoreParts,
  keyring: Keyring,
  label: string,
  what: string,
  o: { signal?: AbortSignal } = {},
): Promise<OwnName> {
  const identity = await keyring.nameIdentity(checkLabel(label))
  const target = await find(parts, what, o.signal)
  const cid =
    publicRootOf(parts, target)?.toString() ??
    (target.kind === 'file' && target.extents.length === 1 && target.extents[0]!.id)
  if (!cid)
    throw new PinGoError('PUBLISH_PARTS', `'${shown(target.name)}' has no CID of its own.`, {
      hint:
        target.kind === 'folder'
          ? 'Put the folder with --public, or publish one file.'
          : 'It was uploaded in parts: put it as one file.',
    })
  const version = await parts.names.publish(identity, cid, o)
  return note(parts, { label, name: nameOf(identity), version })
}

/** The owner's names, by label. */
export function ownNames({ index }: StoreParts): OwnName[] {
  return [...index.below(NAMES_BUCKET)].map(({ key: label, metadata }) => {
    const { name = '', value = '', cid, sequence, validUntil } = metadata
    return { label, name, version: { value, cid, sequence: Number(sequence), validUntil: Number(validUntil) } }
  })
}

/** All versions of a name that its keepers have, newest first. @param text k51…, or the label of one's own. @throws PinGoError NAME_UNKNOWN */
export async function versions(
  parts: StoreParts,
  keyring: Keyring,
  text: string,
  o: { signal?: AbortSignal } = {},
): Promise<{ name: string; versions: NameVersion[] }> {
  const name = isName(text) ? parseName(text) : nameOf(await keyring.nameIdentity(checkLabel(text)))
  const versions = await parts.names.versions(name, o)
  if (versions.length > 0) return { name, versions }
  throw new PinGoError('NAME_UNKNOWN', `Nothing is published under ${shown(text)}, as far as its keepers know.`, {
    hint: 'See yours: pingo store name ls.',
  })
}

/** How one of the owner's names is. */
export interface NameFinding {
  label: string
  name: string
  validUntil: number
  /** A sentence on what is wrong; undefined when all is well. */
  note: string | undefined
}

/** Publishes the newest versions of all names anew, so that none ends while its owner is about. */
export async function renewNames(
  parts: StoreParts,
  keyring: Keyring,
  o: { signal?: AbortSignal } = {},
): Promise<NameFinding[]> {
  const findings: NameFinding[] = []
  for (const own of ownNames(parts)) {
    const { label, name } = own
    let [version, why] = [own.version, undefined as string | undefined]
    try {
      const identity = await keyring.nameIdentity(label)
      // keepers may all be new: then what was known here is published again
      version = (await parts.names.renew(identity, o)) ?? (await parts.names.publish(identity, own.version.value, o))
      note(parts, { label, name, version })
    } catch (error) {
      o.signal?.throwIfAborted()
      if (!isPinGoError(error)) throw error
      why = sentence(error)
    }
    findings.push({ label, name, validUntil: version.validUntil, note: why })
  }
  return findings
}

function note({ index }: StoreParts, own: OwnName): OwnName {
  const { value, cid, sequence, validUntil } = own.version
  const metadata = { name: own.name, value, ...(cid && { cid }), sequence: `${sequence}`, validUntil: `${validUntil}` }
  const entry = { extents: [], bytes: 0, etag: '', headers: {}, class: 'hot', isPublic: true } as const
  index.put({ bucket: NAMES_BUCKET, key: own.label }, { ...entry, extents: [], kind: 'bucket', metadata })
  return own
}
