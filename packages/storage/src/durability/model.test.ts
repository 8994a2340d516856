import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_CODE } from '../placement/codes.ts'
import { durability, lossWithin, poissonInterval } from './model.ts'

/** Rows of the reference (storage.md, 6), two digits each: code, threshold, churn, loss checked weekly and daily, repair a month. */
const REFERENCE: readonly [number, number, number, number, number | undefined, number | undefined, number][] = [
  [10, 4, 12, 0.05, 3.5e-4, 1.1e-6, 0.4],
  [10, 6, 13, 0.05, 8e-6, 4e-9, 0.34],
  [10, 6, 14, 0.02, 1.4e-9, 9e-14, 0.19],
  [10, 6, 14, 0.05, 3.4e-7, 2.3e-11, 0.48],
  [10, 6, 14, 0.2, 1.4e-3, 1.5e-7, 2.0],
]
/** Codes with more than six shards of parity: the model takes them, the codec does not. */
const WIDE: typeof REFERENCE = [
  [10, 10, 13, 0.2, 4.3e-3, 2.7e-6, 0.9],
  [16, 22, 20, 0.2, 2.1e-3, 2.3e-7, 0.8],
]

test('the rows of the reference come out', () => {
  for (const [k, m, threshold, monthlyChurn, weekly, daily, repair] of [...REFERENCE, ...WIDE]) {
    const row = `${k}+${m} at ${threshold}, ${monthlyChurn}`
    const near = (actual: number, expected: number, tolerance: number) =>
      assert.ok(Math.abs(actual / expected - 1) <= tolerance, `${row}: ${actual}, not ${expected}`)
    const figures = (checkDays: number) => durability({ code: { k, m }, threshold, monthlyChurn, checkDays })
    near(figures(7).lossPerStripeYear, weekly!, 0.03)
    // Given to one digit where it is 9e-14 or 4e-9.
    near(figures(1).lossPerStripeYear, daily!, 0.07)
    near(figures(1).repairPerMonth, repair, 0.07)
  }
})

test("ten years are ten times a year's loss, and never more than certain", () => {
  const o = { code: DEFAULT_CODE, monthlyChurn: 0.2, checkDays: 7 }
  const { lossPerStripeYear } = durability(o)
  assert.ok(Math.abs(lossWithin(10, o) / (10 * lossPerStripeYear) - 1) < 0.02)
  assert.ok(lossWithin(100, { ...o, monthlyChurn: 0.9 }) <= 1)
})

test('nothing is lost without churn, all when everybody leaves', () => {
  assert.equal(durability({ code: DEFAULT_CODE, monthlyChurn: 0, checkDays: 1 }).lossPerStripeYear, 0)
  assert.ok(lossWithin(1, { code: DEFAULT_CODE, monthlyChurn: 0.999999, checkDays: 30 }) > 0.9999)
})

test("a Poisson distribution's 95 %", () => {
  assert.deepEqual(poissonInterval(0.01), [0, 0])
  assert.deepEqual(poissonInterval(1), [0, 3])
  assert.deepEqual(poissonInterval(10), [4, 17])
  assert.deepEqual(poissonInterval(140), [117, 164])
})
