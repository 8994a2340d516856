import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { BLOCK, decodeDelta, deltaBytes, deltaNorm, encodeDelta } from './codec.ts'

const vectors = fc.integer({ min: 0, max: 700 }).chain((length) => fc.tuple(float32s(length), float32s(length)))

function float32s(length: number): fc.Arbitrary<Float32Array> {
  return fc.float32Array({
    minLength: length,
    maxLength: length,
    noNaN: true,
    min: Math.fround(-1e30),
    max: Math.fround(1e30),
  })
}

/** Where a scale is itself among float32's subnormals it is off by up to half of the smallest, 127 times. */
const UNDERFLOW = 64 * 2 ** -149

test('a decoded delta is within half a level of start - end, in every block', () => {
  fc.assert(
    fc.property(vectors, ([start, end]) => {
      const bytes = encodeDelta(start, end)
      assert.equal(bytes.byteLength, deltaBytes(start.length))
      const decoded = decodeDelta(bytes, start.length)
      for (let from = 0; from < start.length; from += BLOCK) {
        const block = start.subarray(from, from + BLOCK).map((value, i) => value - end[from + i]!)
        const scale = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127
        block.forEach((value, i) => {
          assert.ok(Math.abs(decoded[from + i]! - value) <= scale * 0.5001 + UNDERFLOW)
        })
      }
    }),
  )
})

test('the bytes are ceil(n / 256) little-endian scales and n int8 values', () => {
  const bytes = encodeDelta(Float32Array.of(127, -254, 0), Float32Array.of(0, 0, 0))
  assert.deepEqual([...bytes], [0, 0, 0, 0x40, 64, 0x81, 0]) // scale 2.0; 63.5 rounds up
  assert.equal(deltaBytes(1000), 16 + 1000)
})

test('a delta of nothing but zeros, and one of the smallest numbers, decode to zeros', () => {
  const zeros = new Float32Array(300)
  assert.deepEqual(decodeDelta(encodeDelta(zeros, zeros), 300), zeros)
  const tiny = new Float32Array(3).fill(1.4e-45)
  assert.deepEqual(decodeDelta(encodeDelta(tiny, new Float32Array(3)), 3), new Float32Array(3))
})

test('bytes are read from wherever they lie in memory', () => {
  const bytes = encodeDelta(Float32Array.of(1, 2, 3), new Float32Array(3))
  const shifted = new Uint8Array(bytes.length + 3)
  shifted.set(bytes, 3)
  assert.deepEqual(decodeDelta(shifted.subarray(3), 3), decodeDelta(bytes, 3))
})

test('the norm is that of the decoded values', () => {
  fc.assert(
    fc.property(vectors, ([start, end]) => {
      const bytes = encodeDelta(start, end)
      const expected = Math.hypot(...decodeDelta(bytes, start.length))
      assert.ok(Math.abs(deltaNorm(bytes, start.length) - expected) <= 1e-6 * expected)
    }),
  )
})

test('a delta that is not a number is refused at its source', () => {
  const nonFinite = (error: unknown) => isPinGoError(error, 'UPDATE_NONFINITE')
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    assert.throws(() => encodeDelta(Float32Array.of(1, bad, 1e9), new Float32Array(3)), nonFinite)
  assert.throws(() => encodeDelta(Float32Array.of(3e38), Float32Array.of(-3e38)), nonFinite)
})

test('malformed bytes from outside are refused', () => {
  const malformed = (error: unknown) => isPinGoError(error, 'UPDATE_MALFORMED')
  const bytes = encodeDelta(Float32Array.of(1, 2, 3), new Float32Array(3))
  assert.throws(() => decodeDelta(bytes.subarray(1), 3), malformed)
  assert.throws(() => decodeDelta(bytes, 4), malformed)
  assert.throws(() => decodeDelta(bytes, -1), malformed)
  for (const scale of [Number.NaN, Number.POSITIVE_INFINITY, -1, 3.4e38]) {
    const bad = bytes.slice()
    new DataView(bad.buffer).setFloat32(0, scale, true)
    assert.throws(() => decodeDelta(bad, 3), malformed)
    assert.throws(() => deltaNorm(bad, 3), malformed)
  }
  const low = bytes.slice()
  low[5] = 0x80
  assert.throws(() => decodeDelta(low, 3), malformed)
  assert.throws(() => encodeDelta(new Float32Array(2), new Float32Array(3)), malformed)
})
