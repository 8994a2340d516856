import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createJob } from '@pingo/training'
import type { JobSubmission } from '@pingo/wire'
import { Database, type JobRow } from './database.ts'

const ref = { cid: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku', bytes: 1 }
const row: JobRow = { id: 'job-1', submission: {} as JobSubmission, state: 'queued', submittedAt: 1, base: ref }
const core = createJob(
  {
    job: 'job-1',
    batch: 4,
    samples: 10,
    totalSamples: 10,
    parameters: 1,
    seed: 0,
    roundMs: 1000,
    learningRate: 1e-3,
    schedule: { kind: 'constant', warmup: 0, floor: 0 },
    outer: { learningRate: 1, momentum: 0 },
    contributors: { min: 1, max: 1 },
    flopsPerSample: 0,
  },
  ref,
  1,
)

async function withDatabase(work: (open: () => Database) => void): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-db-'))
  try {
    work(() => new Database(join(folder, 'fog.sqlite')))
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('a snapshot and the journal after it come back, in order, and a new snapshot takes the journal in', () =>
  withDatabase((open) => {
    const db = open()
    db.transaction(() => db.insertJob(row, core))
    db.transaction(() => {
      db.appendJournal('job-1', { type: 'tick', at: 2 })
      db.appendJournal('job-1', { type: 'tick', at: 3 })
    })
    db.close()
    const again = open()
    assert.deepEqual(again.jobs(), [row])
    assert.deepEqual(again.recovery('job-1'), {
      snapshot: JSON.parse(JSON.stringify(core)),
      journal: [
        { type: 'tick', at: 2 },
        { type: 'tick', at: 3 },
      ],
    })
    again.transaction(() => again.saveSnapshot('job-1', core))
    assert.deepEqual(again.recovery('job-1').journal, [])
    again.close()
  }))

test('the ledger refuses a batch that is counted twice, and the whole transaction with it', () =>
  withDatabase((open) => {
    const db = open()
    const entry = { round: 1, lease: 'l', contributor: 'c', from: 0, to: 4, samples: 16, update: ref.cid }
    db.saveContributor('c', 'ada')
    db.transaction(() => db.appendLedger('job-1', entry))
    assert.throws(() =>
      db.transaction(() => {
        db.creditContributor('c', 16)
        db.appendLedger('job-1', { ...entry, round: 2, lease: 'm' })
      }),
    )
    assert.deepEqual(db.ledger('job-1'), [entry])
    assert.equal(db.contributor('c')?.samples, 0)
    assert.deepEqual(db.shares('job-1'), [{ contributor: 'c', name: 'ada', samples: 16, updates: 1 }])
    db.close()
  }))
