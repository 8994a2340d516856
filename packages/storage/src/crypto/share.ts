import { randomBytes } from 'node:crypto'
import {
  decode,
  encode,
  type Identity,
  isPinGoError,
  MAX_SHARE_BYTES,
  PinGoError,
  SHARE_TYPE,
  type Shared,
  SharedSchema,
  ShareLinkSchema,
  seal,
  unseal,
  validate,
} from '@pingo/wire'
import { passwordKey } from './backup.ts'
import { openBox, sealBox } from './box.ts'

const PREFIX = 'pingo://share/'
const SALT_BYTES = 16
/** Base64url of the largest link's bytes. */
const MAX_LINK_CHARACTERS = PREFIX.length + Math.ceil(((MAX_SHARE_BYTES + 1024) * 4) / 3)

/** A link that was read: what it gives, and whose word it is. */
export interface OpenShare extends Shared {
  /** PeerId of who signed it. */
  owner: string
  /** ms since epoch. */
  until: number
}

/**
 * A link that gives whoever holds it the shared objects until a time: where they are and their keys, signed by the owner.
 *
 * What the end of a link does, and what it cannot: honest clients refuse it from then on, and refuse a link whose end somebody moved, for
 * the signature covers all. But the ciphertext stays open to all who know its address, and whoever held the link had the key: who kept it,
 * or the data, keeps them, and can hand the key on, under another name. To take data back from somebody who had them is impossible; to
 * keep them from those who find an old link, delete the object and store it again under a new key. Compare {@link OpenShare.owner} with
 * who signed the object's record: a link by anybody else is not the owner's word.
 *
 * A password is asked for before the keys are there (scrypt, AES-256-GCM): the link alone is then worth nothing.
 *
 * @param until ms since epoch
 * @throws PinGoError LINK_TOO_LARGE, MESSAGE_INVALID
 */
export async function shareLink(
  owner: Identity,
  shared: Shared,
  { until, password }: { until: number; password?: string },
): Promise<string> {
  const plain = encode(validate(SharedSchema, shared, 'link'))
  const salt = password === undefined ? undefined : randomBytes(SALT_BYTES)
  const body = salt ? sealBox(await passwordKey(password!, salt), SHARE_TYPE, plain) : plain
  const payload = validate(ShareLinkSchema, { until, salt, body }, 'link')
  if (encode(payload).byteLength > MAX_SHARE_BYTES)
    throw new PinGoError('LINK_TOO_LARGE', 'What is to be shared does not fit into a link.', {
      hint: 'Share fewer parts, or store the file in one piece.',
    })
  return PREFIX + Buffer.from(await seal(owner, SHARE_TYPE, payload)).toString('base64url')
}

/** Whether a text looks like a link, to tell it from a CID or a path. */
export function isShareLink(text: string): boolean {
  return text.trim().startsWith(PREFIX)
}

/**
 * Reads a link.
 * @param now ms since epoch
 * @throws PinGoError LINK_INVALID (forged, altered or cut), LINK_EXPIRED, LINK_PASSWORD_MISSING, PASSWORD_WRONG
 */
export async function openShareLink(
  link: string,
  { now, password }: { now: number; password?: string },
): Promise<OpenShare> {
  const { from, value } = await unseal(ShareLinkSchema, SHARE_TYPE, bytesOf(link), MAX_SHARE_BYTES).catch(asInvalid)
  const { until, salt, body } = value
  if (now >= until)
    throw new PinGoError('LINK_EXPIRED', `This link ended on ${new Date(until).toUTCString()}.`, {
      hint: 'Ask who sent it for a new one.',
    })
  if (salt && password === undefined)
    throw new PinGoError('LINK_PASSWORD_MISSING', 'This link has a password.', { hint: 'Whoever sent it knows it.' })
  const plain = salt ? openBox(await passwordKey(password!, salt), SHARE_TYPE, body) : body
  if (!plain) throw new PinGoError('PASSWORD_WRONG', 'The link does not open with this password.')
  try {
    return { ...decode(SharedSchema, plain, MAX_SHARE_BYTES), owner: from, until }
  } catch (error) {
    return asInvalid(error)
  }
}

function bytesOf(link: string): Uint8Array {
  const text = link.trim()
  if (!text.startsWith(PREFIX) || text.length > MAX_LINK_CHARACTERS) return asInvalid()
  const body = text.slice(PREFIX.length)
  const bytes = Buffer.from(body, 'base64url')
  return bytes.toString('base64url') === body ? bytes : asInvalid()
}

function asInvalid(error?: unknown): never {
  if (error !== undefined && !isPinGoError(error)) throw error
  throw new PinGoError('LINK_INVALID', 'This link is not as its owner made it: it was cut off, altered or forged.', {
    hint: 'Copy all of it, from pingo://share/ to its end, or ask for it again.',
  })
}
