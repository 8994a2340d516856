import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobView, Ledger, RoundView, Share } from '@pingo/wire'
import fc from 'fast-check'
import { jobView } from './testing/gateway.ts'
import { verifyLedger } from './verify.ts'

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

interface History {
  ledger: Ledger
  job: JobView
  rounds: RoundView[]
}

/** A true history: batches shared out to contributors in rounds, each lease of one or two ranges. */
function history(batch: number, samplesTotal: number, cuts: number[], workers: number): History {
  const batchesTotal = Math.ceil(samplesTotal / batch)
  const start = (index: number) => Math.min(index * batch, samplesTotal)
  const borders = [...new Set([0, ...cuts.map((cut) => cut % batchesTotal), batchesTotal])].sort((a, b) => a - b)
  const entries = borders.slice(1).map((to, i) => {
    const from = borders[i]!
    const lease = `lease-${i >> 1}`
    const contributor = `worker-${(i >> 1) % workers}`
    return { round: (i >> 2) + 1, lease, contributor, from, to, samples: start(to) - start(from), update: CID }
  })
  const sharesOf = (list: typeof entries): Share[] =>
    [...new Set(list.map(({ contributor }) => contributor))].map((contributor) => {
      const own = list.filter((entry) => entry.contributor === contributor)
      return {
        contributor,
        name: contributor,
        samples: own.reduce((sum, { samples }) => sum + samples, 0),
        updates: new Set(own.map(({ lease }) => lease)).size,
      }
    })
  let samplesDone = 0
  const rounds = [...new Set(entries.map(({ round }) => round))].map((round): RoundView => {
    const own = entries.filter((entry) => entry.round === round)
    const samples = own.reduce((sum, entry) => sum + entry.samples, 0)
    samplesDone += samples
    const view = { round, at: 1, millis: 1, samples, samplesDone, samplesPerSecond: 1, loss: 1, metric: 1 }
    return { ...view, learningRate: 1, checkpoint: CID, shares: sharesOf(own), excluded: [] }
  })
  const job = jobView({
    state: 'done',
    batch,
    samplesTotal,
    samplesDone,
    rounds: rounds.length,
    shares: sharesOf(entries),
  })
  return {
    ledger: { job: 'job-1', state: 'done', batch, samplesTotal, batchesTotal, entries: entries.toReversed() },
    job,
    rounds,
  }
}

const anyHistory = fc
  .tuple(
    fc.integer({ min: 1, max: 70 }),
    fc.integer({ min: 2, max: 5000 }),
    fc.array(fc.nat(), { maxLength: 12 }),
    fc.integer({ min: 1, max: 4 }),
  )
  .map(([batch, samples, cuts, workers]) => history(batch, samples, cuts, workers))

test('every true history holds', () => {
  fc.assert(
    fc.property(anyHistory, ({ ledger, ...others }) => {
      const found = verifyLedger(ledger, others)
      assert.deepEqual(
        found.checks.filter(({ holds }) => !holds),
        [],
      )
      assert.equal(found.samples, ledger.samplesTotal)
      assert.equal(found.batches, ledger.batchesTotal)
    }),
  )
})

const LIES: [what: string, lie: (h: History) => void][] = [
  ['an entry twice', ({ ledger }) => ledger.entries.push({ ...ledger.entries[0]! })],
  ['an entry left out', ({ ledger }) => ledger.entries.shift()],
  ['a range one longer', ({ ledger }) => (ledger.entries[0]!.to += 1)],
  ['a sample more', ({ ledger }) => (ledger.entries[0]!.samples += 1)],
  ['another contributor', ({ ledger }) => (ledger.entries[0]!.contributor = 'nobody')],
  ['a round that tells more', ({ rounds }) => (rounds[0]!.samples += 1)],
  [
    'a share of one who did nothing',
    ({ job }) => job.shares.push({ contributor: 'free-rider', name: '', samples: 5, updates: 1 }),
  ],
  ['a greater share', ({ job }) => (job.shares[0]!.samples += 1)],
  ['more samples in all', ({ job }) => (job.samplesTotal += 1)],
]
for (const [what, lie] of LIES)
  test(`found: ${what}`, () => {
    fc.assert(
      fc.property(anyHistory, (true_) => {
        const told = structuredClone(true_)
        lie(told)
        assert.equal(verifyLedger(told.ledger, told).holds, false)
      }),
    )
  })

test('a job that still runs may have gaps, and no more', () => {
  const { ledger, job, rounds } = history(10, 100, [3, 6], 1)
  const missing = ledger.entries.find(({ from }) => from === 3)!
  ledger.entries.splice(ledger.entries.indexOf(missing), 1)
  const running = {
    job: { ...job, state: 'running' as const, samplesDone: 70, shares: [{ ...job.shares[0]!, samples: 70 }] },
    rounds: [{ ...rounds[0]!, samples: 70, samplesDone: 70, shares: [{ ...job.shares[0]!, samples: 70 }] }],
  }
  assert.equal(verifyLedger(ledger, running).holds, true)
  assert.equal(verifyLedger(ledger, { ...running, job: { ...running.job, state: 'done' } }).holds, false)
})
