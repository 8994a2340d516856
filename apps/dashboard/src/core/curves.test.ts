import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Share } from '@pingo/wire'
import fc from 'fast-check'
import { RECORDED_AT, record } from '../../test/recording.ts'
import { assignColours, compareNames, OTHERS, PALETTE_SIZE } from './palette.ts'
import { curves } from './series.ts'
import { clockText, yRange, yTicks } from './ticks.ts'

const { rounds } = record(5, 6)

test('a curve has a point a round; where the checkpoint was not tested there is none', () => {
  const { x, train, test: tested } = curves(rounds, 'metric', 'samples', RECORDED_AT)
  assert.deepEqual(x, [7_500, 15_000, 22_500, 30_000, 37_500, 45_000])
  assert.deepEqual(
    train,
    rounds.map((round) => round.metric),
  )
  assert.equal(tested[0], null)
  assert.equal(tested[1], rounds[1]?.testMetric)
})

test('time counts seconds from the start', () => {
  assert.deepEqual(curves(rounds, 'loss', 'time', RECORDED_AT).x, [4, 8, 12, 16, 20, 24])
})

test('x ascends though a clock was set back, and a loss that is no number leaves a gap', () => {
  const back = rounds.map((round, index) => (index === 2 ? { ...round, at: RECORDED_AT, loss: Number.NaN } : round))
  assert.deepEqual(curves(back, 'loss', 'time', RECORDED_AT).x, [4, 8, 16, 20, 24])
  assert.equal(curves(back, 'loss', 'samples', RECORDED_AT).train[2], null)
})

const shares = fc.uniqueArray(
  fc.record({
    contributor: fc.string({ minLength: 1 }),
    name: fc.string(),
    samples: fc.nat(),
    updates: fc.nat(),
  }) satisfies fc.Arbitrary<Share>,
  { selector: (share) => share.contributor, maxLength: 30 },
)

test('everyone has a colour, the most active ones their own', () => {
  fc.assert(
    fc.property(shares, (list) => {
      const colours = assignColours(list)
      assert.equal(colours.size, list.length)
      const own = [...colours.values()].filter((colour) => colour !== OTHERS)
      assert.equal(new Set(own).size, own.length)
      assert.equal(own.length, Math.min(PALETTE_SIZE, list.length))
    }),
  )
})

test('colours stay while the order by samples changes', () => {
  const two = (a: number, b: number): Share[] => [
    { contributor: 'A', name: 'lab-2', samples: a, updates: 1 },
    { contributor: 'B', name: 'lab-10', samples: b, updates: 1 },
  ]
  assert.deepEqual(assignColours(two(1, 2)), assignColours(two(2, 1)))
})

test('names are ordered as people count', () => {
  assert.deepEqual(['lab-10', 'lab-2', 'attic'].sort(compareNames), ['attic', 'lab-2', 'lab-10'])
})

test('ticks have the digits that tell them apart', () => {
  assert.deepEqual(yTicks('number', [0.25, 0.5, 0.75, 1]), ['0.25', '0.50', '0.75', '1.00'])
  assert.deepEqual(yTicks('number', [0, 0.5]), ['0.0', '0.5'])
  assert.deepEqual(yTicks('number', [0.002, 0.004]), ['0.002', '0.004'])
  assert.deepEqual(yTicks('number', [5, 10]), ['5', '10'])
  assert.deepEqual(yTicks('fraction', [0.975, 0.98]), ['97.5\u00a0%', '98.0\u00a0%'])
})

test('an axis has room around its values, and accuracy none above 100 %', () => {
  assert.deepEqual(yRange('number', null, null), [0, 1])
  assert.equal(yRange('fraction', 0.5, 0.999)[1], 1)
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (a, b) => {
      const [low, high] = yRange('fraction', Math.min(a, b), Math.max(a, b))
      assert.ok(low >= 0 && low <= Math.min(a, b) && high >= Math.max(a, b) && low < high, `${low} … ${high}`)
    }),
  )
})

test('an axis of time reads as a clock', () => {
  assert.deepEqual([0, 44, 80, 3_599.8, 3_725].map(clockText), ['0:00', '0:44', '1:20', '1:00:00', '1:02:05'])
})
