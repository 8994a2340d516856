import { hkdfSync, randomBytes } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { beginRecord, KEY_BYTES, openRecord, openRecordPart, RECORD_BYTES, sealRecord, TAG_BYTES } from './segment.ts'

const SALT_BYTES = 32
/** Of a record that is checked, so many bytes are in memory at once. */
const CHECK_BYTES = 128 << 10

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
  const { count, bytes } = shapeOf(sealed.byteLength)
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

/** Records and bytes of the content of a sealed file that has so many bytes. */
function shapeOf(sealed: number): { count: number; bytes: number } {
  const count = Math.max(1, Math.ceil((sealed - SALT_BYTES) / (RECORD_BYTES + TAG_BYTES)))
  const bytes = sealed - SALT_BYTES - TAG_BYTES * count
  if (bytes < 0) throw new PinGoError('DATA_TAMPERED', 'A sealed file is too short to be one.')
  return { count, bytes }
}

/** Fills `into` with bytes of a stored file from `start` on, always the same. */
export type ReadSealed = (start: number, into: Uint8Array) => Promise<void>

/**
 * A sealed file that is opened in parts, on demand. A record is checked by its tag when a part of it is first asked for, without being held; what
 * is read of it later is believed, as the reader has verified it by its hash.
 */
export class SealedParts {
  readonly #count: number
  readonly #bytes: number
  readonly #read: ReadSealed
  /** The salt, then the records' tags. */
  #tail: Promise<Uint8Array> | undefined
  readonly #checked = new Map<number, Promise<void>>()
  #checking: Promise<unknown> = Promise.resolve()

  /** @param sealed bytes of the sealed file @throws PinGoError DATA_TAMPERED */
  constructor(sealed: number, read: ReadSealed) {
    const { count, bytes } = shapeOf(sealed)
    this.#count = count
    this.#bytes = bytes
    this.#read = read
  }

  /**
   * Fills `into` with the content from `start` on.
   * @param key asked for anew each time: it may be taken back
   * @throws PinGoError DATA_TAMPERED, and what `key` and the reader throw
   */
  async read(key: () => Uint8Array, start: number, into: Uint8Array): Promise<void> {
    if (start < 0 || start + into.byteLength > this.#bytes)
      throw new PinGoError('DATA_TAMPERED', 'A sealed file is shorter than what is read of it.')
    const tail = await this.#ofTail()
    for (let at = 0; at < into.byteLength; ) {
      const index = Math.floor((start + at) / RECORD_BYTES)
      const from = (start + at) % RECORD_BYTES
      const part = into.subarray(at, at + Math.min(RECORD_BYTES - from, into.byteLength - at))
      await this.#check(key, index, tail)
      await this.#read(start + at, part)
      part.set(openRecordPart(keyOf(key(), tail.subarray(0, SALT_BYTES)), index, from, part))
      at += part.byteLength
    }
  }

  #ofTail(): Promise<Uint8Array> {
    if (this.#tail) return this.#tail
    const tail = new Uint8Array(SALT_BYTES + TAG_BYTES * this.#count)
    const read = this.#read(this.#bytes, tail).then(() => tail)
    read.catch(() => (this.#tail = undefined))
    this.#tail = read
    return read
  }

  /** One record after the other, so that little memory is taken. */
  #check(key: () => Uint8Array, index: number, tail: Uint8Array): Promise<void> {
    let checked = this.#checked.get(index)
    if (checked) return checked
    checked = this.#checking.then(() => this.#open(key, index, tail))
    checked.catch(() => this.#checked.delete(index))
    this.#checking = checked.catch(() => undefined)
    this.#checked.set(index, checked)
    return checked
  }

  async #open(key: () => Uint8Array, index: number, tail: Uint8Array): Promise<void> {
    const fileKey = keyOf(key(), tail.subarray(0, SALT_BYTES))
    const record = beginRecord(fileKey, index, index === this.#count - 1)
    const end = Math.min((index + 1) * RECORD_BYTES, this.#bytes)
    const piece = new Uint8Array(Math.min(CHECK_BYTES, end - index * RECORD_BYTES))
    for (let at = index * RECORD_BYTES; at < end; at += piece.byteLength) {
      const next = piece.subarray(0, Math.min(piece.byteLength, end - at))
      await this.#read(at, next)
      record.update(next)
    }
    const tagAt = SALT_BYTES + index * TAG_BYTES
    record.end(tail.subarray(tagAt, tagAt + TAG_BYTES))
  }
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
