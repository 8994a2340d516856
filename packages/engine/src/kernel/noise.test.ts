import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fillNoise } from '@pingo/graph'
import fc from 'fast-check'
import { NoisePlace } from './noise.ts'

test('random numbers are those of the reference, to the bit, however many and whatever the seed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 700 }), fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), (n, seeds) => {
      const place = new NoisePlace(n)
      for (const seed of seeds) assert.deepEqual(place.fill(seed), fillNoise(new Float32Array(n), seed))
    }),
  )
})

test('a large step draws them, too', () => {
  const n = 1_000_003
  assert.deepEqual(new NoisePlace(n).fill(0x9e3779b97f4a7c15n), fillNoise(new Float32Array(n), 0x9e3779b97f4a7c15n))
})
