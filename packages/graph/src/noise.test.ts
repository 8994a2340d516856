import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchSeed, fillNoise } from './noise.ts'

const first = (seed: bigint) => Array.from(fillNoise(new Float32Array(4), seed), (x) => x * 2 ** 24)

test('the numbers of a seed are fixed: whoever repeats a step gets these', () => {
  assert.deepEqual(first(0n), [0, 13303482, 13285576, 2108336])
  assert.deepEqual(first(0x0123456789abcdefn), [15606596, 15160190, 10394388, 3642048])
  assert.equal(batchSeed(0, 0), 575854417547002445n)
  assert.equal(batchSeed(1, 2), 2511630531205615786n)
  assert.equal(batchSeed(2 ** 40, 7), 5619368572609561384n)
})

test('an element depends on the seed and its place alone, not on how many there are', () => {
  assert.deepEqual(fillNoise(new Float32Array(9), 5n), fillNoise(new Float32Array(100), 5n).slice(0, 9))
})

test('the numbers are uniform, and neighbours in place, batch or job have nothing in common', () => {
  const n = 1 << 18
  const noise = (seed: bigint) => fillNoise(new Float32Array(n), seed).map((x) => x - 0.5)
  const here = noise(batchSeed(1, 0))
  // Sums of n products of numbers of variance 1/12, in standard deviations.
  const deviations = (a: Float32Array, b: Float32Array) =>
    (12 * a.reduce((sum, x, i) => sum + x * b[i]!, 0)) / Math.sqrt(n)
  const mean = here.reduce((sum, x) => sum + x, 0) * Math.sqrt(12 / n)
  assert.ok(Math.abs(mean) < 4, `mean: ${mean} deviations`)
  for (const [what, other] of [
    ['the next element', new Float32Array([...here.subarray(1), 0])],
    ['the next batch', noise(batchSeed(1, 1))],
    ['the next job', noise(batchSeed(2, 0))],
  ] as const)
    assert.ok(Math.abs(deviations(here, other)) < 4, `${what}: ${deviations(here, other)} deviations`)
  const counts = new Float64Array(1 << 12)
  for (let i = 1; i < n; i++) counts[Math.floor((here[i]! + 0.5) * 64) * 64 + Math.floor((here[i - 1]! + 0.5) * 64)]!++
  const expected = (n - 1) / counts.length
  const chi = counts.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0)
  assert.ok(Math.abs(chi - counts.length) < 4 * Math.sqrt(2 * counts.length), `pairs: chi-square ${chi}`)
})
