import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { decodeDelta, encodeDelta } from './codec.ts'
import { type MergeInput, mergeRound } from './merge.ts'

/** Numbers that are the same on every machine: a linear congruence, exact in float64. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647 - 0.5
  }
}

function roundOf(seed: number, parameters: number, buffers: number, count: number): MergeInput {
  const next = numbers(seed)
  const vector = (length: number) => Float32Array.from({ length }, next)
  const theta = vector(parameters)
  return {
    theta,
    momentum: vector(parameters),
    buffers: vector(buffers),
    updates: Array.from({ length: count }, (_, i) => ({
      id: `job.${i}`,
      weight: 1 + Math.floor((next() + 0.5) * 5_000),
      delta: encodeDelta(theta, vector(parameters)),
      buffers: vector(buffers),
    })),
    outer: { learningRate: 0.7, momentum: 0.9 },
  }
}

test('it is the outer step of DiLoCo: Nesterov on the mean weighted by samples', () => {
  const input = roundOf(7, 600, 5, 6)
  const merged = mergeRound(input)
  const total = input.updates.reduce((sum, { weight }) => sum + weight, 0)
  const deltas = input.updates.map(({ delta }) => decodeDelta(delta, 600))
  for (let i = 0; i < 600; i++) {
    const gradient = input.updates.reduce((sum, { weight }, k) => sum + weight * deltas[k]![i]!, 0) / total
    const momentum = 0.9 * input.momentum[i]! + gradient
    assert.ok(Math.abs(merged.momentum[i]! - momentum) < 1e-6)
    assert.ok(Math.abs(merged.theta[i]! - (input.theta[i]! - 0.7 * (gradient + 0.9 * momentum))) < 1e-6)
  }
  for (let i = 0; i < 5; i++) {
    const mean = input.updates.reduce((sum, { weight, buffers }) => sum + weight * buffers[i]!, 0) / total
    assert.ok(Math.abs(merged.buffers[i]! - mean) < 1e-6)
  }
})

test('the order in which updates came changes no bit, and the inputs stay as they were', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 2, max: 12 }), (seed, count) => {
      const input = roundOf(seed, 40, 3, count)
      const copy = structuredClone(input)
      const merged = mergeRound(input)
      assert.deepEqual(input, copy)
      assert.deepEqual(mergeRound({ ...input, updates: [...input.updates].reverse() }), merged)
    }),
    { numRuns: 50 },
  )
})

test('the bits are those of every other machine', () => {
  const merged = mergeRound(roundOf(2_024, 3_000, 17, 9))
  const hash = createHash('sha256')
  for (const vector of [merged.theta, merged.momentum, merged.buffers]) {
    const bytes = Buffer.alloc(4 * vector.length)
    for (const [i, value] of vector.entries()) bytes.writeFloatLE(value, 4 * i)
    hash.update(bytes)
  }
  assert.equal(hash.digest('hex'), '6010f81b654e9149a09c535bbca3620f3cc9eb080bc1d308064a3a85f3e26475')
})

test('one contributor alone, no momentum, learning rate 1: the model is what it sent', () => {
  const theta = Float32Array.of(1, 2, 3)
  const end = Float32Array.of(0.5, 1.5, 2.5)
  const merged = mergeRound({
    theta,
    momentum: new Float32Array(3),
    buffers: new Float32Array(0),
    updates: [{ id: 'a', weight: 10, delta: encodeDelta(theta, end), buffers: new Float32Array(0) }],
    outer: { learningRate: 1, momentum: 0 },
  })
  for (const [i, value] of merged.theta.entries()) assert.ok(Math.abs(value - end[i]!) < 1e-6)
})

test('a result that is not finite is refused', () => {
  const input = roundOf(3, 4, 0, 2)
  input.momentum[2] = 3e38
  input.theta[2] = -3e38
  assert.throws(
    () => mergeRound(input),
    (error) => isPinGoError(error, 'MERGE_NONFINITE'),
  )
  const bad = roundOf(3, 4, 1, 2)
  bad.updates[0]!.buffers[0] = Number.NaN
  assert.throws(
    () => mergeRound(bad),
    (error) => isPinGoError(error, 'MERGE_NONFINITE'),
  )
})

test('updates that do not fit are refused', () => {
  const malformed = (error: unknown) => isPinGoError(error, 'UPDATE_MALFORMED')
  const input = roundOf(3, 4, 2, 2)
  const [first, second] = input.updates as [(typeof input.updates)[0], (typeof input.updates)[0]]
  const merge = (changes: Partial<MergeInput>) => () => mergeRound({ ...input, ...changes })
  assert.throws(merge({ updates: [] }), malformed)
  assert.throws(merge({ updates: [first, { ...second, id: first.id }] }), malformed)
  assert.throws(merge({ updates: [{ ...first, weight: 0 }] }), malformed)
  assert.throws(merge({ updates: [{ ...first, weight: 1.5 }] }), malformed)
  assert.throws(merge({ updates: [{ ...first, delta: first.delta.subarray(1) }] }), malformed)
  assert.throws(merge({ updates: [{ ...first, buffers: new Float32Array(3) }] }), malformed)
  assert.throws(merge({ momentum: new Float32Array(3) }), malformed)
})
