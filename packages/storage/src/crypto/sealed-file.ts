import { hkdfSync, randomBytes } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { KEY_BYTES, openRecord, RECORD_BYTES, sealRecord, TAG_BYTES } from './segment.ts'

const SALT_BYTES = 32

/** Bytes of a sealed file whose content has `bytes`. */
export function sealedBytes(bytes: number): number {
  return bytes + SALT_BYTES + TAG_BYTES * Math.max(1, Math.ceil(bytes / RECORD_BYTES))
}

/**
 * A whole file sealed, in pieces: its records of 1 MiB as ciphertext, each where its plaintext was, so that records are the leaves of the
 * stored file; then a salt, then the records' tags, 16 bytes each. Each file has a key of its own, HKDF-SHA256 (RFC 5869) of `key` and the
 * salt: one key seals many files.
 */
export async function* sealFile(
  key: Uint8Array,
  content: Uint8Array | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const salt = randomBytes(SALT_BYTES)
  const fileKey = keyOf(key, salt)
  const tags: Uint8Array[] = []
  for await (const { record, isLast } of records(content)) {
    const { ciphertext, tag } = sealRecord(fileKey, tags.length, isLast, record)
    tags.push(tag)
    yield ciphertext
  }
  yield Buffer.concat([salt, ...tags])
}

/** All the content of a sealed file, or an error. @throws PinGoError DATA_TAMPERED */
export function openSealedFile(key: Uint8Array, sealed: Uint8Array): Uint8Array {
  const count = Math.max(1, Math.ceil((sealed.byteLength - SALT_BYTES) / (RECORD_BYTES + TAG_BYTES)))
  const bytes = sealed.byteLength - SALT_BYTES - TAG_BYTES * count
  if (bytes < 0) throw new PinGoError('DATA_TAMPERED', 'A sealed file is too short to be one.')
  const fileKey = keyOf(key, sealed.subarray(bytes, bytes + SALT_BYTES))
  const content = new Uint8Array(bytes)
  for (let index = 0; index < count; index++) {
    const from = index * RECORD_BYTES
    const tagAt = bytes + SALT_BYTES + index * TAG_BYTES
    const record = sealed.subarray(from, Math.min(from + RECORD_BYTES, bytes))
    content.set(
      openRecord(fileKey, index, index === count - 1, record, sealed.subarray(tagAt, tagAt + TAG_BYTES)),
      from,
    )
  }
  return content
}

function keyOf(key: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, 'pingo/sealed-file/1', KEY_BYTES))
}

/** Content in records of 1 MiB, the last one shorter; an empty content is one empty record. */
async function* records(
  content: Uint8Array | AsyncIterable<Uint8Array>,
): AsyncGenerator<{ record: Uint8Array; isLast: boolean }> {
  let held: Uint8Array = new Uint8Array(0)
  for await (const part of content instanceof Uint8Array ? [content] : content) {
    held = held.byteLength === 0 ? part : Buffer.concat([held, part])
    while (held.byteLength > RECORD_BYTES) {
      yield { record: held.subarray(0, RECORD_BYTES), isLast: false }
      held = held.subarray(RECORD_BYTES)
    }
  }
  yield { record: held, isLast: true }
}
