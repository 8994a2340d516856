import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_CODE, FEW_NODES_CODE, REPAIR_AT, SMALL_CODE, URGENT_BELOW } from '../placement/codes.ts'
import { needOf, planRepair, repairAt, type ShardState, urgentBelow } from './policy.ts'

const shards = (here: number, away: number, gone: number): ShardState[] => [
  ...Array<ShardState>(here).fill('here'),
  ...Array<ShardState>(away).fill('away'),
  ...Array<ShardState>(gone).fill('gone'),
]

test('10 + 6 is repaired at 14, urgently below 12, lost below 10', () => {
  assert.equal(repairAt(DEFAULT_CODE), REPAIR_AT)
  assert.equal(urgentBelow(DEFAULT_CODE), URGENT_BELOW)
  const needs = Array.from({ length: 17 }, (_, left) => needOf(DEFAULT_CODE, left))
  assert.deepEqual(needs.slice(9), ['lost', 'urgent', 'urgent', 'repair', 'repair', 'repair', 'none', 'none'])
})

test('copies are made again as soon as one is missing', () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((left) => needOf(FEW_NODES_CODE, left)),
    ['lost', 'urgent', 'repair', 'none'],
  )
  assert.equal(needOf(SMALL_CODE, 6), 'repair')
  assert.equal(needOf({ k: 1, m: 0 }, 1), 'none')
})

test('a repair brings back all that is gone', () => {
  assert.deepEqual(planRepair(DEFAULT_CODE, shards(14, 0, 2)), { need: 'repair', left: 14, wanted: [14, 15] })
  assert.deepEqual(planRepair(DEFAULT_CODE, shards(15, 0, 1)), { need: 'none', left: 15, wanted: [] })
  assert.deepEqual(planRepair(DEFAULT_CODE, shards(9, 0, 7)), { need: 'lost', left: 9, wanted: [] })
})

test('a holder that is silent for a short while is waited for, unless that is a risk', () => {
  assert.deepEqual(planRepair(DEFAULT_CODE, shards(12, 4, 0)), { need: 'none', left: 16, wanted: [] })
  assert.deepEqual(planRepair(DEFAULT_CODE, shards(12, 2, 2)).wanted, [14, 15])
  assert.deepEqual(planRepair(DEFAULT_CODE, shards(11, 5, 0)), {
    need: 'urgent',
    left: 11,
    wanted: [11, 12, 13, 14, 15],
  })
})

test('shards without bytes are always there', () => {
  const few: ShardState[] = ['here', ...Array<ShardState>(9).fill('empty'), ...Array<ShardState>(6).fill('gone')]
  assert.equal(planRepair(DEFAULT_CODE, few).need, 'urgent')
  assert.equal(planRepair(DEFAULT_CODE, ['gone', ...few.slice(1)]).need, 'lost')
})
