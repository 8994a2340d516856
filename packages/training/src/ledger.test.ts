import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError, MAX_LEASE_RANGES, type Range } from '@pingo/wire'
import fc from 'fast-check'
import {
  batchesOf,
  checkLedger,
  commitBatches,
  createLedger,
  freeBatches,
  giveBack,
  isComplete,
  samplesOf,
  takeBatches,
} from './ledger.ts'
import { countOf, splitAt, subtract, unite } from './ranges.ts'

const broken = (error: unknown) => isPinGoError(error, 'LEDGER_BROKEN')

test('every batch is free, leased or done, whatever is done to the ledger', () => {
  const actions = fc.array(fc.tuple(fc.constantFrom('take', 'give', 'split', 'commit'), fc.nat(40)), { maxLength: 80 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1_000 }), actions, (batch, total, list) => {
      let ledger = createLedger(batch, total)
      const leases: Range[][] = []
      for (const [action, n] of list) {
        const lease = action === 'take' ? undefined : leases.splice(n % Math.max(1, leases.length), 1)[0]
        if (action === 'take') {
          const step = takeBatches(ledger, [n, 3])
          ledger = step.ledger
          assert.equal(countOf(step.taken[0]!), Math.min(n, countOf(step.taken.flat()) - countOf(step.taken[1]!)))
          leases.push(...step.taken)
        } else if (lease === undefined) continue
        else if (action === 'give') ledger = giveBack(ledger, lease)
        else {
          const [done, rest] = splitAt(lease, action === 'split' ? n : countOf(lease))
          ledger = giveBack(commitBatches(ledger, done), rest)
        }
        checkLedger(ledger)
        assert.equal(
          countOf(ledger.leased),
          leases.reduce((sum, ranges) => sum + countOf(ranges), 0),
        )
      }
      const all = [ledger.free, ledger.leased, ledger.done].reduce((sum, ranges) => sum + samplesOf(ledger, ranges), 0)
      assert.equal(all, total)
      assert.equal(isComplete(ledger), countOf(ledger.done) === batchesOf(ledger))
    }),
  )
})

test('the short last batch counts the samples that it holds', () => {
  const ledger = createLedger(64, 1_000)
  assert.equal(batchesOf(ledger), 16)
  assert.equal(samplesOf(ledger, [[0, 15]]), 960)
  assert.equal(samplesOf(ledger, [[15, 16]]), 40)
  assert.equal(samplesOf(ledger, [[0, 16]]), 1_000)
})

test('batches are leased from the front, and no more than there are', () => {
  const { ledger, taken } = takeBatches(createLedger(1, 10), [4, 0, 9])
  assert.deepEqual(taken, [[[0, 4]], [], [[4, 10]]])
  assert.equal(freeBatches(ledger), 0)
})

test('a lease lies in no more pieces than a message may hold', () => {
  let { ledger } = takeBatches(createLedger(1, 5_000), [5_000])
  const even = Array.from({ length: 2_500 }, (_, i): Range => [2 * i, 2 * i + 1])
  ledger = giveBack(ledger, even)
  const { taken } = takeBatches(ledger, [5_000])
  assert.equal(taken[0]!.length, MAX_LEASE_RANGES)
})

test('what is not leased cannot be given back or committed, nor twice', () => {
  const { ledger } = takeBatches(createLedger(1, 10), [4])
  assert.throws(() => giveBack(ledger, [[3, 5]]), broken)
  assert.throws(() => commitBatches(ledger, [[4, 5]]), broken)
  assert.throws(() => commitBatches(ledger, [[0, 2]], [[1, 3]]), broken)
  assert.throws(() => commitBatches(commitBatches(ledger, [[0, 2]]), [[0, 2]]), broken)
  assert.throws(() => checkLedger({ ...ledger, free: [[5, 10]] }), broken)
})

test('ranges that touch are joined, ranges that overlap are a fault', () => {
  assert.deepEqual(
    unite(
      [
        [0, 2],
        [5, 6],
      ],
      [[2, 5]],
    ),
    [[0, 6]],
  )
  assert.deepEqual(unite([[8, 9]], [[0, 1]], [[4, 5]]), [
    [0, 1],
    [4, 5],
    [8, 9],
  ])
  assert.throws(() => unite([[0, 2]], [[1, 3]]), broken)
  assert.deepEqual(
    subtract(
      [[0, 10]],
      [
        [0, 1],
        [4, 5],
        [9, 10],
      ],
    ),
    [
      [1, 4],
      [5, 9],
    ],
  )
  assert.deepEqual(
    splitAt(
      [
        [0, 2],
        [5, 9],
      ],
      3,
    ),
    [
      [
        [0, 2],
        [5, 6],
      ],
      [[6, 9]],
    ],
  )
  assert.deepEqual(splitAt([[0, 2]], 0), [[], [[0, 2]]])
})
