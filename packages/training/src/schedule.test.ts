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

test('warm-up, stable, decay: up, flat, and down over the last part', () => {
  const wsd = (done: number, more: object = {}) =>
    learningRateAt(done, {
      peak: 2,
      totalSamples: 1_000,
      schedule: { kind: 'wsd', warmup: 0.1, floor: 0.25, decay: 0.4, ...more },
    })
  assert.deepEqual(
    [0, 50, 100, 350, 600].map((done) => wsd(done)),
    [0, 1, 2, 2, 2],
  )
  assert.equal(wsd(800), 2 * (0.25 + 0.75 * 0.5))
  assert.equal(wsd(1_000), 0.5)
  assert.equal(wsd(900, { decay: undefined }), 2 * (0.25 + 0.75 * 0.5), 'a fifth of the samples when nothing is said')
  assert.equal(wsd(100, { decay: 1 }), 2, 'a decay that is too long starts behind the warm-up')
  assert.equal(wsd(1_000, { decay: 0 }), 2)
})

test('steps: the rate is multiplied at every milestone that was reached', () => {
  const step = (done: number, more: object = {}) =>
    learningRateAt(done, {
      peak: 8,
      totalSamples: 1_000,
      schedule: { kind: 'step', warmup: 0, floor: 0, milestones: [0.3, 0.6], gamma: 0.5, ...more },
    })
  assert.deepEqual(
    [0, 299, 300, 599, 600, 1_000].map((done) => step(done)),
    [8, 8, 4, 4, 2, 2],
  )
  assert.deepEqual(
    [499, 500, 750].map((done) => step(done, { milestones: undefined, gamma: 0.5 })),
    [8, 4, 2],
  )
})
