import { z } from 'zod'
import { CidText } from './manifests.ts'

/** Type of the signed envelope of a sharing link. */
export const SHARE_TYPE = 'pingo/share/1'
/** Objects that one link gives. */
export const MAX_SHARE_PARTS = 64
export const MAX_SHARE_HINTS = 8
/** Bytes of what a link carries. */
export const MAX_SHARE_BYTES = 16 << 10
export const MAX_NAME_CHARACTERS = 255
export const MAX_JOB_CHARACTERS = 200

const Count = z.int().min(0)
const bytesOf = (count: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.byteLength === count, `is not ${count} bytes`)
/** An AES-256 key. */
export const KeySchema = bytesOf(32)

/** What a link gives: objects that are read one behind the other, with their keys. */
export const SharedSchema = z.strictObject({
  parts: z
    .array(z.strictObject({ id: CidText, key: KeySchema, bytes: Count }))
    .min(1)
    .max(MAX_SHARE_PARTS),
  /** What the owner calls it: a word to people, never a path to write to unchecked. */
  name: z.string().max(MAX_NAME_CHARACTERS),
  /** Of all parts. */
  bytes: Count,
  /** Gateways to ask first, with the fingerprint of a self-signed certificate (SHA-256, hex). */
  fogs: z
    .array(z.strictObject({ url: z.string().max(500), pin: z.string().length(64).optional() }))
    .max(MAX_SHARE_HINTS),
})
export type Shared = z.infer<typeof SharedSchema>

/** The signed part of a link ({@link SHARE_TYPE}, sealed by the owner): a {@link SharedSchema}, canonical bytes, boxed where there is a salt. */
export const ShareLinkSchema = z.strictObject({
  /** ms since epoch. */
  until: Count,
  /** Of the password's key. */
  salt: bytesOf(16).optional(),
  body: z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'is not bytes'),
})

/** An object's key, given to a job until it ends or `until` (ms since epoch), whichever is first. */
export const KeyGrantSchema = z.strictObject({
  object: CidText,
  key: KeySchema,
  job: z.string().min(1).max(MAX_JOB_CHARACTERS),
  until: Count,
})
export type KeyGrant = z.infer<typeof KeyGrantSchema>
export const MAX_KEY_GRANT_BYTES = 1 << 10
