import assert from 'node:assert/strict'
import { test } from 'node:test'
import { learningRateAt } from './schedule.ts'

const at = (done: number, kind: 'constant' | 'cosine' | 'linear', warmup = 0.1) =>
  learningRateAt(done, { peak: 2, totalSamples: 1_000, schedule: { kind, warmup, floor: 0.25 } })

test('the rate rises from 0 to its peak over the warm-up', () => {
  for (const kind of ['constant', 'cosine', 'linear'] as const) {
    assert.equal(at(0, kind), 0)
    assert.equal(at(50, kind), 1)
    assert.equal(at(100, kind), 2)
  }
})

test('then it stays, or falls to its floor in a line or a cosine', () => {
  assert.equal(at(1_000, 'constant'), 2)
  assert.equal(at(550, 'linear'), 2 * (0.25 + 0.75 * 0.5))
  assert.equal(at(1_000, 'linear'), 0.5)
  assert.ok(Math.abs(at(550, 'cosine') - 2 * (0.25 + 0.75 * 0.5)) < 1e-12)
  assert.equal(at(1_000, 'cosine'), 0.5)
})

test('without warm-up it starts at the peak; outside the job it stays at the ends', () => {
  assert.equal(at(0, 'cosine', 0), 2)
  assert.equal(at(-5, 'linear'), 0)
  assert.equal(at(5_000, 'linear'), 0.5)
})
