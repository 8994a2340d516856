import { parseName, type ReadBlock, resolvePath } from '@pingo/storage'
import { type CID, DAG_PB, PinGoError, parseCid } from '@pingo/wire'
import type { Extent, Placed } from './entry.ts'
import { isFolder } from './folders.ts'
import type { StoreParts } from './parts.ts'
import { DEFAULT_BUCKET, type Place, parsePlace, pathOf, shown } from './path-names.ts'

/** A CID or a name, as IPFS writes them, with a version of the name and a path below it. */
const PUBLIC = /^(?:\/ip[fn]s\/|ip[fn]s:\/\/)?([A-Za-z0-9]+)(?:@(\d{1,15}))?(\/.*)?$/
const NAME = /^k51[a-z0-9]{59}$/

/** What a person named: bytes that can be read, or a folder of the index. */
export type Target =
  | { kind: 'file'; name: string; extents: Extent[]; bytes: number; entry?: Placed }
  | { kind: 'folder'; name: string; bucket: string; prefix: string }
  | { kind: 'public folder'; name: string; cid: CID }

/**
 * Finds what a CID, a path of the index (`bucket/key`, or a key of the default bucket) or a folder's path means.
 * A CID that the index does not know is taken for public data, and so is what a name (k51…) points to now.
 * @throws PinGoError ENTRY_UNKNOWN, OBJECT_MISSING
 */
export async function find(parts: StoreParts, text: string, signal?: AbortSignal): Promise<Target> {
  const path = text.replace(/^\/+/, '')
  for (const place of placesOf(path)) {
    const entry = parts.index.get(place)
    if (entry?.kind === 'file') return targetOf(entry)
  }
  for (const { bucket, key } of placesOf(path)) {
    const prefix = key === '' || key.endsWith('/') ? key : `${key}/`
    const isThere = parts.index.list(bucket, { prefix, limit: 1 }).entries.length > 0
    if (isThere) return { kind: 'folder', name: lastPart(key) || bucket, bucket, prefix }
  }
  const [, text0 = '', sequence, below = ''] = PUBLIC.exec(text) ?? []
  const root = await rootOf(parts, text0, sequence, signal)
  if (root === undefined) throw unknown(text)
  const names = below.split('/').filter((name) => name !== '')
  const [entry] = names.length === 0 ? parts.index.byObject(root.toString()) : []
  if (entry?.kind === 'file' && entry.extents.length === 1) return targetOf(entry)
  const extent = entry?.kind === 'file' && entry.extents.find(({ id }) => id === root.toString())
  if (extent) return { kind: 'file', name: extent.id, extents: [extent], bytes: extent.bytes }
  return await findPublic(parts, root, names, signal)
}

/** What a person calls public data by: a CID, or a name and which of its versions. */
async function rootOf(
  { names }: StoreParts,
  text: string,
  sequence: string | undefined,
  signal?: AbortSignal,
): Promise<CID | undefined> {
  if (!NAME.test(text)) return isCid(text) && sequence === undefined ? parseCid(text) : undefined
  const name = parseName(text)
  const versions =
    sequence === undefined ? [await names.resolve(name, { signal })] : await names.versions(name, { signal })
  const found = versions.find((version) => sequence === undefined || version?.sequence === Number(sequence))
  if (found?.cid !== undefined) return parseCid(found.cid)
  throw new PinGoError(
    'NAME_UNKNOWN',
    `No fog node knows ${found ? 'data' : 'a version'} under ${shown(text)}${sequence === undefined ? '' : `@${sequence}`}.`,
    {
      hint: 'See its versions: pingo store name versions NAME.',
    },
  )
}

/** Public data by their root, or by a path in a public folder. */
async function findPublic(
  parts: StoreParts,
  root: CID,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<Target> {
  const { objects } = parts
  const read: ReadBlock = (cid, of) => objects.block(cid, of, signal)
  const cid = (await resolvePath(root, names, read)).cid.toV1()
  const name = names.at(-1) ?? cid.toString()
  if (cid.code === DAG_PB && (await isFolder(parts, cid, signal))) return { kind: 'public folder', name, cid }
  const { bytes } = await objects.openPublic(cid.toString(), signal)
  return { kind: 'file', name, extents: [{ id: cid.toString(), bytes, storedBytes: 0 }], bytes }
}

/** An entry of the index by path or id. @throws PinGoError ENTRY_UNKNOWN */
export function findEntry({ index }: StoreParts, text: string): Placed {
  const entry = placesOf(text.replace(/^\/+/, ''))
    .map((place) => index.get(place) ?? index.get({ ...place, key: `${place.key}/` }))
    .find((entry) => entry !== undefined)
  if (entry) return entry
  const [holder] = isCid(text) ? index.byObject(parseCid(text).toString()) : []
  if (!holder) throw unknown(text)
  return holder
}

/** `bucket/key`, and else a key of the default bucket. */
export function placesOf(path: string): Place[] {
  const place = parsePlace(path)
  return path.includes('/') ? [place, { bucket: DEFAULT_BUCKET, key: path }] : [place, { bucket: path, key: '' }]
}

export const lastPart = (key: string): string => key.replace(/\/+$/, '').split('/').at(-1)!

/** Whether a text is a name as IPFS writes it: k51… */
export const isName = (text: string): boolean => NAME.test(text.replace(/^(\/ipns\/|ipns:\/\/)/, ''))

export function isCid(text: string): boolean {
  try {
    parseCid(text)
    return true
  } catch {
    return false
  }
}

function targetOf(entry: Placed): Target {
  return { kind: 'file', name: lastPart(entry.key), extents: entry.extents, bytes: entry.bytes, entry }
}

const unknown = (text: string) =>
  new PinGoError('ENTRY_UNKNOWN', `Nothing is stored as '${shown(text)}'.`, {
    hint: `See \`pingo store ls\`. A path is written as ${pathOf({ bucket: DEFAULT_BUCKET, key: 'NAME' })}.`,
  })
