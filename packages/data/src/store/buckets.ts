import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { Random } from '../order/random.ts'

/** A bucket is shuffled in memory; there are more of them, not larger ones, until there are MAX_BUCKETS. */
const BUCKET_BYTES = 32 << 20
/** Each bucket on disk is an open file. */
const MAX_BUCKETS = 256
const BLOCK_BYTES = 256 << 10

interface Bucket {
  /** Blocks kept in memory. */
  full: Uint8Array[]
  /** The block being filled, and how far. */
  open: Uint8Array | undefined
  used: number
  /** All bytes of the bucket, wherever they are. */
  bytes: number
  file?: FileHandle
}

export interface BucketsOptions {
  records: number
  recordBytes: number
  seed: number
  /** Distinguishes the splits of one import, so that each has its own order. */
  stream: number
  /** Up to this many bytes are kept in memory. */
  memoryBytes: number
  /** Where bucket files go; asked for only when they are needed. */
  directory(): Promise<string>
}

/**
 * Shuffles any number of records of equal size in bounded memory: each record goes to a bucket drawn at random, then each
 * bucket is shuffled by itself (Rao, Sankhya 1961; Sanders, "Random permutations on
 * distributed, external and hierarchical memory", IPL 1998). Every order is equally likely, and it
 * depends on the seed alone, not on whether the buckets lie in memory or on disk.
 */
export class Buckets {
  readonly #options: BucketsOptions
  readonly #random: Random
  readonly #blockBytes: number
  readonly #buckets: Bucket[]
  readonly #onDisk: boolean
  #pending: { bucket: number; block: Uint8Array }[] = []

  constructor(options: BucketsOptions) {
    this.#options = options
    const total = options.records * options.recordBytes
    const count = Math.min(Math.max(1, Math.ceil(total / BUCKET_BYTES)), MAX_BUCKETS)
    this.#random = Random.from(options.seed, options.stream)
    this.#blockBytes = Math.max(1, Math.floor(Math.min(BLOCK_BYTES, total) / options.recordBytes)) * options.recordBytes
    this.#buckets = Array.from({ length: count }, () => ({ full: [], open: undefined, used: 0, bytes: 0 }))
    this.#onDisk = total > options.memoryBytes
  }

  /** Takes a copy of one record. Call {@link drain} after every batch. */
  add(record: Uint8Array): void {
    const number = this.#buckets.length === 1 ? 0 : this.#random.below(this.#buckets.length)
    const bucket = this.#buckets[number]!
    bucket.open ??= new Uint8Array(this.#blockBytes)
    bucket.open.set(record, bucket.used)
    bucket.used += record.length
    bucket.bytes += record.length
    if (bucket.used < this.#blockBytes) return
    if (this.#onDisk) this.#pending.push({ bucket: number, block: bucket.open })
    else bucket.full.push(bucket.open)
    bucket.open = undefined
    bucket.used = 0
  }

  /** Writes what is due to disk. */
  async drain(): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    for (const { bucket, block } of pending) {
      const target = this.#buckets[bucket]!
      try {
        target.file ??= await open(join(await this.#options.directory(), `${this.#options.stream}-${bucket}`), 'wx+')
        await writeAll(target.file, block)
      } catch (cause) {
        throw diskError(cause)
      }
    }
  }

  /** All records in their final order; each is valid until the next is asked for. */
  async *shuffled(): AsyncIterable<Uint8Array> {
    const { recordBytes } = this.#options
    for (const bucket of this.#buckets) {
      const bytes = await this.#load(bucket)
      const order = new Uint32Array(bytes.length / recordBytes)
      for (let i = 0; i < order.length; i++) order[i] = i
      this.#random.shuffle(order)
      const sorted = new Uint8Array(bytes.length)
      for (let i = 0; i < order.length; i++) {
        const from = order[i]! * recordBytes
        sorted.set(bytes.subarray(from, from + recordBytes), i * recordBytes)
      }
      yield sorted
    }
  }

  async close(): Promise<void> {
    for (const bucket of this.#buckets) await bucket.file?.close()
  }

  async #load(bucket: Bucket): Promise<Uint8Array> {
    const bytes = new Uint8Array(bucket.bytes)
    let at = 0
    if (bucket.file)
      while (at < bucket.bytes - bucket.used) {
        const { bytesRead } = await bucket.file.read(bytes, at, bucket.bytes - bucket.used - at, at)
        if (bytesRead === 0) throw diskError(new Error('a temporary file is shorter than what was written to it'))
        at += bytesRead
      }
    for (const block of bucket.full) {
      bytes.set(block, at)
      at += block.length
    }
    if (bucket.open) bytes.set(bucket.open.subarray(0, bucket.used), at)
    bucket.full = []
    bucket.open = undefined
    return bytes
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
}

function diskError(cause: unknown): PinGoError {
  const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC'
  return new PinGoError(
    full ? 'DISK_FULL' : 'DATA_TEMPORARY_FILE',
    full
      ? 'The disk of the temporary directory is full.'
      : `A temporary file of the import cannot be used: ${(cause as Error).message}.`,
    { hint: 'Free some space, or set TMPDIR to a directory on another disk.', cause },
  )
}
