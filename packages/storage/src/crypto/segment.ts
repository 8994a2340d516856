import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { PinGoError } from '@pingo/wire'

/** Bytes of an object's key. */
export const KEY_BYTES = 32
/** Bytes of a record's tag. */
export const TAG_BYTES = 16
/** Bytes of plaintext in every record but the last. */
export const RECORD_BYTES = 1 << 20
const NONCE_BYTES = 12
const DOMAIN = 'pingo/segment/1'
const CHECK_DOMAIN = 'pingo/key-check/1'
const MAX_RECORDS = 2 ** 32

/** A fresh random key. One key seals one object: record numbers are its nonces. */
export function newObjectKey(): Uint8Array {
  return randomBytes(KEY_BYTES)
}

/**
 * What an object's manifest tells of its key, 32 bytes: HMAC-SHA-256 under it of a fixed text. Nothing of a random key follows from it, and no
 * two keys that anybody can find have the same; a tag of AES-GCM alone does not commit to its key.
 * @see Albertini, Duong, Gueron, Kölbl, Luykx, Schmieg 2022, "How to Abuse and Fix Authenticated Encryption Without Key Commitment"
 */
export const keyCheck = (key: Uint8Array): Uint8Array => createHmac('sha256', key).update(CHECK_DOMAIN).digest()

/**
 * Seals record `index` of an object by AES-256-GCM, of which the index is the nonce. What is told to the cipher beside it, domain, index and
 * whether it is the last, makes the records a stream that cannot be reordered, shortened or lengthened unseen.
 * @see Hoang, Reyhanitabar, Rogaway, Vizár 2015, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (STREAM)
 * @param index 0 … 2³² − 1, never the same twice under one key
 * @returns as many bytes of ciphertext as there are of plaintext, and a tag of 16 bytes
 */
export function sealRecord(
  key: Uint8Array,
  index: number,
  isFinal: boolean,
  plaintext: Uint8Array,
): { ciphertext: Uint8Array; tag: Uint8Array } {
  const cipher = createCipheriv('aes-256-gcm', key, nonce(index), { authTagLength: TAG_BYTES })
  cipher.setAAD(context(index, isFinal))
  const ciphertext = cipher.update(plaintext)
  cipher.final()
  return { ciphertext, tag: cipher.getAuthTag() }
}

/**
 * Opens a record; all its plaintext or an error.
 * @throws PinGoError DATA_TAMPERED when key, index, `isFinal`, ciphertext or tag are not those of the sealing
 */
export function openRecord(
  key: Uint8Array,
  index: number,
  isFinal: boolean,
  ciphertext: Uint8Array,
  tag: Uint8Array,
): Uint8Array {
  const record = beginRecord(key, index, isFinal)
  const plaintext = record.update(ciphertext)
  record.end(tag)
  return plaintext
}

/** Where AES-GCM's counter stands at a record's first 16 bytes (NIST SP 800-38D: 1 is the tag's). */
const FIRST_COUNTER = 2
const CIPHER_BLOCK_BYTES = 16

/**
 * Opens a part of a record, from byte `at` on, that is known to be what was sealed: its record was opened before, as a whole.
 * GCM is counter mode, which begins anywhere.
 */
export function openRecordPart(key: Uint8Array, index: number, at: number, ciphertext: Uint8Array): Uint8Array {
  const skipped = at % CIPHER_BLOCK_BYTES
  const counter = Buffer.alloc(CIPHER_BLOCK_BYTES)
  counter.set(nonce(index))
  counter.writeUInt32BE(FIRST_COUNTER + (at - skipped) / CIPHER_BLOCK_BYTES, NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-ctr', key, counter)
  if (skipped > 0) decipher.update(new Uint8Array(skipped))
  return decipher.update(ciphertext)
}

/** A record that is opened piece by piece. */
export interface OpeningRecord {
  /** The next ciphertext. @returns as many bytes of plaintext, unchecked before `end` */
  update(ciphertext: Uint8Array): Uint8Array
  /** @throws PinGoError DATA_TAMPERED when anything was not as it was sealed */
  end(tag: Uint8Array): void
}

/**
 * Opens a record piece by piece. Its tag covers the whole: what is shown before {@link OpeningRecord.end} must be known by other means to be
 * what was sealed. Of a leaf whose hash leads to the manifest, which the object's id names, and under the key that the manifest tells by
 * {@link keyCheck}, that is known: GCM without its tag is counter mode, right ciphertext under the right key is the right text.
 */
export function beginRecord(key: Uint8Array, index: number, isFinal: boolean): OpeningRecord {
  const decipher = unlessTampered(index, () =>
    createDecipheriv('aes-256-gcm', key, nonce(index), { authTagLength: TAG_BYTES }).setAAD(context(index, isFinal)),
  )
  return {
    update: (ciphertext) => decipher.update(ciphertext),
    end: (tag) => void unlessTampered(index, () => decipher.setAuthTag(tag).final()),
  }
}

function unlessTampered<T>(index: number, open: () => T): T {
  try {
    return open()
  } catch {
    throw new PinGoError(
      'DATA_TAMPERED',
      `Record ${index} of an object does not open: its bytes or its key are not those it was sealed with.`,
      {
        hint: 'Check that the key is this object’s. Bytes of a bad copy would have been refused before, by their hash.',
      },
    )
  }
}

function nonce(index: number): Uint8Array {
  if (!Number.isInteger(index) || index < 0 || index >= MAX_RECORDS)
    throw new RangeError(`no record has index ${index}`)
  const bytes = Buffer.alloc(NONCE_BYTES)
  bytes.writeUInt32BE(index, NONCE_BYTES - 4)
  return bytes
}

function context(index: number, isFinal: boolean): Uint8Array {
  const bytes = Buffer.alloc(DOMAIN.length + 5)
  bytes.write(DOMAIN, 'latin1')
  bytes.writeUInt32BE(index, DOMAIN.length)
  bytes[DOMAIN.length + 4] = isFinal ? 1 : 0
  return bytes
}
