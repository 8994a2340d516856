import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHECK_MS, dutyOf, FIRST_CHECK_MS, nextCheck } from './duty.ts'

const now = 1e12
const duty = (o: { rank: number; checked?: number; first?: number; put?: number }) =>
  dutyOf({
    rank: o.rank,
    checkedAt: o.checked === undefined ? undefined : now - o.checked * CHECK_MS,
    firstCheckedAt: o.first === undefined ? undefined : now - o.first * CHECK_MS,
    putAt: now - (o.put ?? 100) * CHECK_MS,
    now,
    random: 0.5,
  }).type

test('the first in rank checks, one without a rank hands over', () => {
  assert.equal(duty({ rank: 0, checked: 0.1 }), 'check')
  assert.equal(duty({ rank: -1, checked: 0.1 }), 'hand-over')
})

test('the others stand by while the first checks, and act in turn when it does not', () => {
  assert.equal(duty({ rank: 1, first: 1 }), 'stand-by')
  assert.equal(duty({ rank: 1, first: 2 }), 'check')
  assert.equal(duty({ rank: 2, first: 2 }), 'stand-by')
  assert.equal(duty({ rank: 2, first: 3 }), 'check')
})

test('whoever stands by checks each week, whatever the first says', () => {
  assert.equal(duty({ rank: 3, first: 0.2, checked: 6.9 }), 'stand-by')
  assert.equal(duty({ rank: 3, first: 0.2, checked: 7 }), 'check')
})

test('a check in the future is not believed', () => {
  assert.equal(duty({ rank: 1, first: -30 }), 'check')
})

test("a fresh object's leases are renewed within the hours of the upload's lease", () => {
  const fresh = { rank: 2, put: 0 }
  assert.equal(duty(fresh), 'stand-by')
  assert.equal(duty({ ...fresh, put: (2 * FIRST_CHECK_MS) / CHECK_MS }), 'check')
})

test('a check is due within a day', () => {
  assert.equal(nextCheck(now, 0), now + CHECK_MS)
  assert.ok(nextCheck(now, 0.999) >= now + 0.9 * CHECK_MS)
})
