import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import type { JobEvent as CoreEvent, JobCore } from '@pingo/training'
import {
  type DatasetView,
  type FileRef,
  type JobEvent,
  type JobResult,
  type JobState,
  type JobSubmission,
  type LedgerEntry,
  PinGoError,
  type RoundView,
} from '@pingo/wire'

/** A job as it is kept: what was submitted, where it is, and the files that hold its present state. */
export interface JobRow {
  id: string
  /** Without the keys that came with it. */
  submission: Omit<JobSubmission, 'grants'>
  state: JobState
  reason?: string
  submittedAt: number
  startedAt?: number
  endedAt?: number
  /** Theta and buffers after the last committed round. */
  base: FileRef
  /** Momentum of the outer optimiser after the last committed round; absent before the first. */
  momentum?: FileRef
  result?: JobResult
  /** Some of its data are private. */
  private?: boolean
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, row TEXT NOT NULL, snapshot TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, event TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS rounds (job TEXT NOT NULL, round INTEGER NOT NULL, view TEXT NOT NULL, PRIMARY KEY (job, round)) STRICT;
CREATE TABLE IF NOT EXISTS ledger (job TEXT NOT NULL, round INTEGER NOT NULL, lease TEXT NOT NULL, contributor TEXT NOT NULL,
  from_batch INTEGER NOT NULL, to_batch INTEGER NOT NULL, samples INTEGER NOT NULL, update_cid TEXT NOT NULL,
  PRIMARY KEY (job, from_batch)) STRICT;
CREATE TABLE IF NOT EXISTS events (job TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (job, seq)) STRICT;
CREATE TABLE IF NOT EXISTS datasets (cid TEXT PRIMARY KEY, view TEXT NOT NULL, added_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS contributors (id TEXT PRIMARY KEY, name TEXT NOT NULL, samples INTEGER NOT NULL DEFAULT 0) STRICT;
`

/**
 * The fog node's durable state. Every write is synced before it returns (WAL, synchronous=FULL), so that what was
 * acknowledged survives kill -9 and a power cut. The ledger's primary key (job, first batch) refuses a batch counted twice.
 */
export class Database {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(file: string) {
    try {
      this.#db = new DatabaseSync(file)
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;')
      this.#db.exec(SCHEMA)
    } catch (cause) {
      throw new PinGoError('DATABASE_UNREADABLE', `The fog node's database ${file} cannot be opened.`, {
        cause,
        hint: 'Check the disk and the rights of the folder, or start with another --home.',
      })
    }
  }

  /** Runs `work` as one transaction: all of it is durable, or nothing. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      this.#db.exec('ROLLBACK')
      if ((error as { errcode?: number }).errcode === 13)
        throw new PinGoError('DISK_FULL', "The fog node's disk is full.", {
          hint: 'Free some space; the job goes on by itself.',
          cause: error,
        })
      throw error
    }
  }

  insertJob(row: JobRow, core: JobCore): void {
    this.#run(
      'INSERT INTO jobs (id, seq, row, snapshot) VALUES (?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM jobs), ?, ?)',
      row.id,
      JSON.stringify(row),
      JSON.stringify(core),
    )
  }

  saveJob(row: JobRow): void {
    this.#run('UPDATE jobs SET row = ? WHERE id = ?', JSON.stringify(row), row.id)
  }

  /** Replaces a job's snapshot; what the journal held of it is in the snapshot now. */
  saveSnapshot(job: string, core: JobCore): void {
    this.#run('UPDATE jobs SET snapshot = ? WHERE id = ?', JSON.stringify(core), job)
    this.#run('DELETE FROM journal WHERE job = ?', job)
  }

  appendJournal(job: string, event: CoreEvent): void {
    this.#run('INSERT INTO journal (job, event) VALUES (?, ?)', job, JSON.stringify(event))
  }

  /** All jobs, oldest first. */
  jobs(): JobRow[] {
    return this.#all<{ row: string }>('SELECT row FROM jobs ORDER BY seq').map(({ row }) => JSON.parse(row))
  }

  /** What a job's state machine is restored from. */
  recovery(job: string): { snapshot: JobCore; journal: CoreEvent[] } {
    const found = this.#all<{ snapshot: string }>('SELECT snapshot FROM jobs WHERE id = ?', job)[0]!
    const journal = this.#all<{ event: string }>('SELECT event FROM journal WHERE job = ? ORDER BY seq', job)
    return { snapshot: JSON.parse(found.snapshot), journal: journal.map(({ event }) => JSON.parse(event)) }
  }

  saveRound(job: string, view: RoundView): void {
    this.#run(
      'INSERT OR REPLACE INTO rounds (job, round, view) VALUES (?, ?, ?)',
      job,
      view.round,
      JSON.stringify(view),
    )
  }

  rounds(job: string, limit: number): RoundView[] {
    const rows = this.#all<{ view: string }>(
      'SELECT view FROM rounds WHERE job = ? ORDER BY round DESC LIMIT ?',
      job,
      limit,
    )
    return rows.reverse().map(({ view }) => JSON.parse(view))
  }

  round(job: string, round: number): RoundView | undefined {
    const found = this.#all<{ view: string }>('SELECT view FROM rounds WHERE job = ? AND round = ?', job, round)[0]
    return found && JSON.parse(found.view)
  }

  appendLedger(job: string, entry: LedgerEntry): void {
    this.#run(
      'INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      job,
      entry.round,
      entry.lease,
      entry.contributor,
      entry.from,
      entry.to,
      entry.samples,
      entry.update,
    )
  }

  ledger(job: string): LedgerEntry[] {
    return this.#all<LedgerEntry>(
      `SELECT round, lease, contributor, from_batch AS "from", to_batch AS "to", samples, update_cid AS "update"
       FROM ledger WHERE job = ? ORDER BY round, from_batch`,
      job,
    ).map((entry) => ({ ...entry }))
  }

  /** Samples and updates of each contributor in a job's committed rounds. */
  shares(job: string): { contributor: string; name: string; samples: number; updates: number }[] {
    return this.#all<{ contributor: string; name: string; samples: number; updates: number }>(
      `SELECT contributor, COALESCE(name, '') AS name, SUM(ledger.samples) AS samples, COUNT(DISTINCT lease) AS updates
       FROM ledger LEFT JOIN contributors ON contributors.id = contributor WHERE job = ? GROUP BY contributor ORDER BY 3 DESC, 1`,
      job,
    ).map((share) => ({ ...share }))
  }

  appendEvent(job: string, event: JobEvent): void {
    this.#run('INSERT INTO events (job, seq, event) VALUES (?, ?, ?)', job, event.seq, JSON.stringify(event))
  }

  lastEventSeq(job: string): number {
    return this.#all<{ seq: number | null }>('SELECT MAX(seq) AS seq FROM events WHERE job = ?', job)[0]?.seq ?? 0
  }

  events(job: string, after: number, limit: number): JobEvent[] {
    const rows = this.#all<{ event: string }>(
      'SELECT event FROM events WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?',
      job,
      after,
      limit,
    )
    return rows.map(({ event }) => JSON.parse(event))
  }

  saveDataset(view: DatasetView): void {
    this.#run(
      'INSERT OR IGNORE INTO datasets (cid, view, added_at) VALUES (?, ?, ?)',
      view.cid,
      JSON.stringify(view),
      view.addedAt,
    )
  }

  datasets(): DatasetView[] {
    return this.#all<{ view: string }>('SELECT view FROM datasets ORDER BY added_at DESC').map(({ view }) =>
      JSON.parse(view),
    )
  }

  saveContributor(id: string, name: string): void {
    this.#run(
      'INSERT INTO contributors (id, name) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name',
      id,
      name,
    )
  }

  creditContributor(id: string, samples: number): void {
    this.#run('UPDATE contributors SET samples = samples + ? WHERE id = ?', samples, id)
  }

  contributor(id: string): { name: string; samples: number } | undefined {
    return this.#all<{ name: string; samples: number }>('SELECT name, samples FROM contributors WHERE id = ?', id)[0]
  }

  samplesTotal(): number {
    return this.#all<{ samples: number | null }>('SELECT SUM(samples) AS samples FROM ledger')[0]?.samples ?? 0
  }

  close(): void {
    this.#db.close()
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values)
  }

  #all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#prepare(sql).all(...values) as T[]
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }
}
