import type { TypedArray } from '@pingo/wire'
import { MAGIC, PREFIX_BYTES } from './frame-reader.js'
import { MAX_FEEDS } from './limits.ts'
import type { BatchMessage, LoopProgram } from './protocol.ts'

/**
 * A batch as the body of a frame, in the machine's byte order, each array at a multiple of 8 bytes:
 * `f64 lease, samples, scalars, feeds, has seed; u64 seed; feeds × (f64 element type, f64 bytes); scalars × f32; the feeds' arrays`.
 */
const HEAD = 5
const TABLE_AT = 8 * (HEAD + 1)
const SEED_AT = 8 * HEAD

/** Element types that a batch may have; a type's code is its place. */
const ELEMENTS: readonly {
  readonly BYTES_PER_ELEMENT: number
  new (body: ArrayBufferLike, at: number, length: number): TypedArray
}[] = [Float32Array, Uint8Array, Int32Array, BigInt64Array]
const WIDTHS: Readonly<Record<string, number>> = { float32: 4, uint8: 1, int32: 4, int64: 8 }
const ZEROS = new Uint8Array(8)

/** A batch's frame in pieces, of which the arrays' own memory are some: nothing big is copied. */
export function frameOf({ lease, samples, scalars, seed, arrays }: BatchMessage): Uint8Array[] {
  const front = new ArrayBuffer(PREFIX_BYTES + frontBytes(arrays.length, scalars.length))
  const bytes = arrays.reduce((sum, { byteLength }) => sum + aligned(byteLength), front.byteLength - PREFIX_BYTES)
  new Float64Array(front).set([MAGIC, bytes, lease, samples, scalars.length, arrays.length, seed === undefined ? 0 : 1])
  new BigUint64Array(front, PREFIX_BYTES + SEED_AT, 1)[0] = seed ?? 0n
  const table = arrays.flatMap((array) => [ELEMENTS.findIndex((type) => array instanceof type), array.byteLength])
  new Float64Array(front, PREFIX_BYTES + TABLE_AT, table.length).set(table)
  new Float32Array(front, PREFIX_BYTES + TABLE_AT + 8 * table.length, scalars.length).set(scalars)
  const pieces: Uint8Array[] = [new Uint8Array(front)]
  for (const { buffer, byteOffset, byteLength } of arrays) {
    pieces.push(new Uint8Array(buffer, byteOffset, byteLength))
    if (byteLength % 8) pieces.push(ZEROS.subarray(byteLength % 8))
  }
  return pieces
}

/** The batch that a frame's body says; its arrays are views on it. @throws Error when the body is not one whole batch */
export function batchOf(body: ArrayBufferLike, bytes: number): BatchMessage {
  if (bytes < TABLE_AT || bytes > body.byteLength) throw broken()
  const [lease, samples, scalarCount, feedCount, hasSeed] = new Float64Array(body, 0, HEAD) as unknown as number[]
  for (const n of [lease!, samples!, scalarCount!, feedCount!]) if (!Number.isSafeInteger(n) || n < 0) throw broken()
  let at = frontBytes(feedCount!, scalarCount!)
  if (feedCount! > MAX_FEEDS || at > bytes) throw broken()
  const table = new Float64Array(body, TABLE_AT, 2 * feedCount!)
  const arrays: TypedArray[] = []
  for (let i = 0; i < feedCount!; i++) {
    const type = ELEMENTS[table[2 * i]!]
    const length = table[2 * i + 1]!
    const whole = type && Number.isSafeInteger(length) && length >= 0 && length % type.BYTES_PER_ELEMENT === 0
    if (!whole || at + length > bytes) throw broken()
    arrays.push(new type(body, at, length / type.BYTES_PER_ELEMENT))
    at += aligned(length)
  }
  if (at !== bytes) throw broken()
  const scalars = new Float32Array(body, TABLE_AT + 16 * feedCount!, scalarCount!)
  const seed = hasSeed ? { seed: new BigUint64Array(body, SEED_AT, 1)[0]! } : {}
  return { type: 'batch', lease: lease!, arrays, samples: samples!, scalars, ...seed }
}

/** Bytes of the body of a full batch's frame. */
export function bodyBytes({ feeds, batch, scalars }: LoopProgram): number {
  const sizes = feeds.map(({ dtype, shape }) => shape.reduce((product, n) => product * n, batch) * (WIDTHS[dtype] ?? 8))
  return sizes.reduce((sum, size) => sum + aligned(size), frontBytes(feeds.length, scalars.length))
}

const frontBytes = (feeds: number, scalars: number): number => aligned(TABLE_AT + 16 * feeds + 4 * scalars)

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8

const broken = (): Error => new Error('a batch that the parent sent is not whole')
