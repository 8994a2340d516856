import assert from 'node:assert/strict'
import test from 'node:test'
import { capOf, decayFor, FULL_FEE_SHARE, fullCurve, HALF_LIFE_EPOCHS, payFees, releaseEpoch } from './emission.ts'
import { SPLIT, SUPPLY, UNIT } from './split.ts'
import { longVesting, MONTH_SECONDS, vestedAt } from './vesting.ts'

test('the split adds up to the supply', () => {
  assert.equal(
    SPLIT.reduce((sum, { amount }) => sum + amount, 0n),
    SUPPLY,
  )
  assert.equal(
    SPLIT.reduce((sum, { percent }) => sum + percent, 0),
    100,
  )
})

test('the curve has the half-life and the figures that were published', () => {
  const decay = decayFor(HALF_LIFE_EPOCHS)
  assert.ok(Math.abs(Number(decay) / 2 ** 64 - (1 - 2 ** (-1 / 1461))) < 1e-15)
  const vault = 400_000_000n * UNIT
  const curve = fullCurve(vault, decay, 12 * 1461)
  const millions = (epoch: number) => Math.round(Number(curve[epoch - 1] as bigint) / 1e14) / 10
  assert.equal(capOf(vault, decay) / UNIT, 189_728n)
  assert.deepEqual([365, 731, 1461, 2 * 1461, 3 * 1461].map(millions), [63.6, 117.2, 200, 300, 350])
})

test('an epoch releases what fees call for, never more than the curve lets', () => {
  const curve = { decay: decayFor(HALF_LIFE_EPOCHS), feeShare: FULL_FEE_SHARE / 2n }
  let state = { rest: 1000n * UNIT, fees: 0n, floor: 0n, epoch: 0 }
  assert.equal(releaseEpoch(state, curve).released, 0n)
  state = payFees(state, 1000n)
  assert.equal(releaseEpoch(state, curve).released, 500n)
  assert.equal(releaseEpoch(state, curve).state.rest, 1000n * UNIT + 500n)
  state = payFees(state, 900n * UNIT)
  assert.equal(releaseEpoch(state, curve).released, capOf(state.rest, curve.decay))
})

test('nothing is vested before the cliff, all of it 48 months after the start', () => {
  const schedule = longVesting(36_000n, 1000)
  const month = (n: number) => vestedAt(schedule, 1000 + n * MONTH_SECONDS)
  assert.deepEqual([0, 11, 12, 13, 30, 48, 100].map(month), [0n, 0n, 0n, 1000n, 18_000n, 36_000n, 36_000n])
})
