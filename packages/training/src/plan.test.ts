import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Member } from './job-types.ts'
import { deviation, graceOf, median } from './pace.ts'
import { expectedSpeeds, planLate, planRound, roundLength, speedsOf } from './plan.ts'
import { settingsOf } from './testing/drive.ts'

const settings = settingsOf({ flopsPerSample: 1e5, roundMs: 1_000 })
const member = (id: string, flops: number, rate: number): Member => ({
  id,
  present: true,
  flops,
  rate,
  notBefore: 0,
  failures: 0,
  seenAt: 0,
})
const speeds = (list: Record<string, number>) => new Map(Object.entries(list))

test('everybody gets twice what it is expected to do, so that nobody idles', () => {
  const plan = planRound(['a', 'b'], speeds({ a: 0.02, b: 0.1 }), 10_000, 1_000, settings)
  assert.deepEqual(plan.shares, [
    { id: 'a', steps: 40, expected: 20 },
    { id: 'b', steps: 200, expected: 100 },
  ])
  assert.equal(plan.softMs, 1_000)
})

test('the last round is divided by speed, so that all end together', () => {
  const plan = planRound(['a', 'b', 'c'], speeds({ a: 0.01, b: 0.02, c: 0.03 }), 30, 1_000, settings)
  assert.deepEqual(
    plan.shares.map(({ steps }) => steps),
    [5, 10, 15],
  )
  assert.equal(plan.softMs, 750) // 500 ms of work and some slack
})

test('fewer batches than contributors go to the fastest', () => {
  const plan = planRound(['a', 'b', 'c'], speeds({ a: 0.01, b: 0.03, c: 0.02 }), 2, 1_000, settings)
  assert.deepEqual(
    plan.shares.map(({ id }) => id),
    ['b', 'c'],
  )
})

test('of one who may be gone soon less is expected, but never so little that it could idle', () => {
  const members = [
    member('a', 0, 0.1),
    { ...member('b', 0, 0.1), survival: 0.7 },
    { ...member('c', 0, 0.1), survival: 0 },
  ]
  assert.deepEqual([...expectedSpeeds(members, settings).values()], [0.1, 0.7 * 0.1, 0.05])
})

test('a plan never leases more than there is, and all of it when it is the last', () => {
  const rates = fc.array(fc.double({ min: 1e-6, max: 10, noNaN: true }), { minLength: 1, maxLength: 50 })
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 100_000 }), (list, free) => {
      const ids = list.map((_, i) => `c${i}`)
      const plan = planRound(ids, new Map(list.map((rate, i) => [`c${i}`, rate])), free, 1_000, settings)
      const leased = plan.shares.reduce((sum, { steps }) => sum + steps, 0)
      const expected = list.reduce((sum, rate) => sum + Math.max(1, rate * settings.roundMs), 0)
      assert.ok(leased <= free && leased >= 1)
      if (expected >= free) assert.equal(leased, free)
      assert.ok(plan.shares.every((share) => share.expected > 0 && share.expected <= share.steps))
      assert.ok(plan.softMs > 0 && plan.softMs <= 1.5 * settings.roundMs)
    }),
  )
})

test('without any idea of speed the shares are equal, and most of the job is left for later', () => {
  const plan = planRound(['a', 'b'], new Map(), 1_000, 1_000, settings)
  assert.equal(plan.shares[0]!.steps, plan.shares[1]!.steps)
  assert.ok(plan.shares[0]!.steps < 250)
})

test('speed is measured, or estimated from the claim corrected by what the measured ones show', () => {
  const found = speedsOf([member('a', 1e9, 0.5), member('b', 2e9, 0), member('c', 0, 0)], settings)
  // 1e9 FLOP/s at 1e6 a step would be 1 step per ms: a makes half of it, so b is taken to make half of its claim.
  assert.deepEqual(
    [...found],
    [
      ['a', 0.5],
      ['b', 1],
      ['c', 0.5],
    ],
  )
  assert.equal(speedsOf([member('a', 0, 0)], settings).get('a'), 0)
  assert.equal(speedsOf([member('a', 1e9, 0), member('b', 0, 0)], settings).get('b'), 1)
})

test('who joins late gets a share of what is left of the round', () => {
  const share = planLate('a', 0.1, 10_000, 500, 3, settings)
  assert.deepEqual(share, { id: 'a', steps: 100, expected: 50 })
  assert.equal(planLate('a', 0.1, 7, 500, 3, settings).steps, 7)
})

test('grace follows median and spread of recent lateness, within bounds', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(deviation([1, 1, 2, 2, 4, 6, 9]), 1)
  assert.deepEqual(graceOf([], 4_000, 100), { graceMs: 2_000, spreadMs: 2_000 })
  assert.deepEqual(graceOf([10, 10, 10], 4_000, 100), { graceMs: 250, spreadMs: 250 })
  assert.deepEqual(graceOf([400, 500, 600], 4_000, 100), { graceMs: 900, spreadMs: 400 })
  assert.deepEqual(graceOf([6_100, 6_000, 6_200], 4_000, 100), { graceMs: 2_000, spreadMs: 400 })
  assert.deepEqual(graceOf([10, 10, 10], 4_000, 5), { graceMs: 800, spreadMs: 800 })
})

test('a round is short while nobody is measured', () => {
  const settings = settingsOf({ roundMs: 4_000 })
  assert.equal(roundLength([member('a', 1e9, 0)], settings), 1_000)
  assert.equal(roundLength([member('a', 1e9, 0), member('b', 0, 0.1)], settings), 4_000)
  assert.equal(roundLength([], settingsOf({ roundMs: 600 })), 250)
  assert.equal(roundLength([], settingsOf({ roundMs: 100 })), 100)
})
