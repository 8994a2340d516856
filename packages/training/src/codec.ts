import { PinGoError } from '@pingo/wire'

/**
 * Codec `int8-256`: a pseudo-gradient as int8 in blocks of 256 elements, each with its own scale.
 * Bytes: ceil(n / 256) float32 scales (little-endian), then n int8 values. Stateless: nothing is carried from round to round.
 * A decoded value is `fround(scale * q)`, q in [-127, 127], scale = absmax / 127 of its block.
 */
export const BLOCK = 256
const LEVELS = 127
const SCALE_BYTES = 4

/** Exact length in bytes of an encoded delta of `length` elements. */
export const deltaBytes = (length: number): number => Math.ceil(length / BLOCK) * SCALE_BYTES + length

/**
 * Encodes `start - end` (the pseudo-gradient of a lease), float32 [n] each.
 * @throws PinGoError UPDATE_MALFORMED when the lengths differ, UPDATE_NONFINITE when a difference is not a finite float32
 */
export function encodeDelta(start: Float32Array, end: Float32Array): Uint8Array {
  const length = start.length
  if (end.length !== length)
    throw new PinGoError('UPDATE_MALFORMED', `The parameters changed their count from ${length} to ${end.length}.`)
  const blocks = Math.ceil(length / BLOCK)
  const bytes = new Uint8Array(deltaBytes(length))
  const view = new DataView(bytes.buffer)
  const values = new Int8Array(bytes.buffer, blocks * SCALE_BYTES, length)
  for (let block = 0; block < blocks; block++) {
    const from = block * BLOCK
    const to = Math.min(from + BLOCK, length)
    let largest = 0
    for (let i = from; i < to; i++) {
      const size = Math.abs(Math.fround(start[i]! - end[i]!))
      // NaN compares false: it must not hide behind a larger neighbour.
      if (!(size < Number.POSITIVE_INFINITY)) throw nonFinite(i)
      if (size > largest) largest = size
    }
    const scale = Math.fround(largest / LEVELS)
    if (Math.fround(scale * LEVELS) === Number.POSITIVE_INFINITY) throw nonFinite(from)
    view.setFloat32(block * SCALE_BYTES, scale, true)
    if (scale === 0) continue
    for (let i = from; i < to; i++) {
      const level = Math.round(Math.fround(start[i]! - end[i]!) / scale)
      values[i] = Math.max(-LEVELS, Math.min(LEVELS, level))
    }
  }
  return bytes
}

/**
 * The pseudo-gradient of `length` elements, float32 [length].
 * @throws PinGoError UPDATE_MALFORMED: wrong length, a scale that is negative or not finite, a value out of range
 */
export function decodeDelta(bytes: Uint8Array, length: number): Float32Array {
  const { scales, values } = parseDelta(bytes, length)
  const delta = new Float32Array(length)
  for (let block = 0; block < scales.length; block++) {
    const scale = scales[block]!
    const to = Math.min((block + 1) * BLOCK, length)
    for (let i = block * BLOCK; i < to; i++) delta[i] = Math.fround(scale * values[i]!)
  }
  return delta
}

/**
 * Euclidean norm of an encoded delta, in float64, summed in one fixed order: equal on every CPU.
 * @throws PinGoError UPDATE_MALFORMED as {@link decodeDelta}
 */
export function deltaNorm(bytes: Uint8Array, length: number): number {
  const { scales, values } = parseDelta(bytes, length)
  let sum = 0
  for (let block = 0; block < scales.length; block++) {
    const to = Math.min((block + 1) * BLOCK, length)
    let squares = 0 // an integer below 2^53: exact
    for (let i = block * BLOCK; i < to; i++) squares += values[i]! * values[i]!
    sum += scales[block]! * scales[block]! * squares
  }
  return Math.sqrt(sum)
}

/** Checks the bytes of a delta from outside and splits them without copying the values. */
export function parseDelta(bytes: Uint8Array, length: number): { scales: Float32Array; values: Int8Array } {
  if (!Number.isSafeInteger(length) || length < 0 || bytes.byteLength !== deltaBytes(length))
    throw new PinGoError(
      'UPDATE_MALFORMED',
      `A delta of ${length} parameters has ${deltaBytes(length)} bytes, this one has ${bytes.byteLength}.`,
    )
  const blocks = Math.ceil(length / BLOCK)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const scales = new Float32Array(blocks)
  for (let block = 0; block < blocks; block++) {
    const scale = view.getFloat32(block * SCALE_BYTES, true)
    if (!(scale >= 0 && Math.fround(scale * LEVELS) < Number.POSITIVE_INFINITY))
      throw new PinGoError(
        'UPDATE_MALFORMED',
        `The scale of block ${block} of a delta is not a finite positive number.`,
      )
    scales[block] = scale
  }
  const values = new Int8Array(bytes.buffer, bytes.byteOffset + blocks * SCALE_BYTES, length)
  for (let i = 0; i < length; i++)
    if (values[i] === -128) throw new PinGoError('UPDATE_MALFORMED', `Value ${i} of a delta is out of range.`)
  return { scales, values }
}

function nonFinite(index: number): PinGoError {
  return new PinGoError('UPDATE_NONFINITE', `Training diverged: parameter ${index} is not a finite number.`, {
    hint: 'Lower the learning rate, or clip the gradient norm.',
  })
}
