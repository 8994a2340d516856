import assert from 'node:assert/strict'
import { test } from 'node:test'
import { paddedBytes } from './padding.ts'

test('lengths are padded as the paper has it: few lengths, at most 12 % more', () => {
  const examples = [0, 1, 2, 3, 8, 9, 10, 99, 1000, 1 << 20, (1 << 20) + 1, 4e9]
  assert.deepEqual(examples.map(paddedBytes), [0, 1, 2, 3, 8, 10, 10, 104, 1024, 1 << 20, 1_081_344, 4_026_531_840])
  let lengths = 0
  for (let n = 1, last = 0; n <= 100_000; n++) {
    const padded = paddedBytes(n)
    assert.ok(padded >= n && padded <= n * 1.12, `${n} → ${padded}`)
    assert.ok(padded >= last)
    assert.equal(paddedBytes(padded), padded)
    if (padded !== last) lengths++
    last = padded
  }
  assert.ok(lengths < 250, `${lengths}`)
})

test('a length is a whole number of bytes', () => {
  for (const n of [-1, 0.5, Number.NaN, 2 ** 53]) assert.throws(() => paddedBytes(n), RangeError)
})
