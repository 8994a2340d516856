import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { divide } from './offer.ts'
import { LEAST_MEMORY_BYTES } from './owner/limits.ts'

const GIB = 2 ** 30
const cores = (list: { cores: number }[]) => list.map((slice) => slice.cores)

test('a slice for each core and one for the rest, or as many as are wanted', () => {
  assert.deepEqual(cores(divide(0.25, GIB)), [0.25])
  assert.deepEqual(cores(divide(2.5, 2 * GIB)), [1, 1, 0.5])
  assert.deepEqual(cores(divide(1, 2 * GIB, 4)), [0.25, 0.25, 0.25, 0.25])
  assert.deepEqual(cores(divide(4, 2 * GIB, 1)), [1])
  assert.deepEqual(cores(divide(0.1, 2 * GIB, 5)), [0.05, 0.05])
})

test('with little memory there are fewer', () => {
  assert.deepEqual(cores(divide(4, 2 * LEAST_MEMORY_BYTES)), [1, 1])
  assert.equal(divide(1, 10).length, 1)
})

test('nine tenths of what is offered can be used, and never more than all', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.05, max: 64, noNaN: true }), fc.integer({ min: 0, max: 80 }), (offered, wanted) => {
      const slices = divide(offered, 128 * GIB, wanted)
      const used = slices.reduce((sum, slice) => sum + slice.cores, 0)
      assert.ok(used <= offered + 1e-9, `${used} of ${offered}`)
      assert.ok(slices.every((slice) => slice.cores >= 0.05 - 1e-9 && slice.cores <= 1))
      if (wanted === 0) assert.ok(used >= 0.9 * offered || offered - used <= 0.05, `${used} of ${offered}`)
      assert.ok(slices.reduce((sum, slice) => sum + slice.memoryBytes, 0) <= 128 * GIB)
    }),
  )
})
