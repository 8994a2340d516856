import { existsSync, renameSync, rmSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { type Earnings, type LeaseRecord, LeaseRecordSchema, type MachineView, PinGoError, sentence } from '@pingo/wire'

/** Leases that are kept one by one; of older ones the sums stay. */
export const MAX_LEASES = 10_000
/** Days whose sums are kept: two years. */
export const MAX_DAYS = 731
/** Jobs whose sums are kept, those that were worked for last. */
export const MAX_JOBS = 1_000

/** Words of a commit that came before the record of their lease. */
const MAX_EARLY = 100

const SQLITE_CORRUPT = 11
const SQLITE_NOT_A_DATABASE = 26

/** `included` is NULL until the word comes that a lease's samples are in a committed round; `early` are such words without a lease. */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS leases (seq INTEGER PRIMARY KEY AUTOINCREMENT, lease TEXT NOT NULL UNIQUE, record TEXT NOT NULL, included INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS early (seq INTEGER PRIMARY KEY AUTOINCREMENT, lease TEXT NOT NULL UNIQUE, included INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, leases INTEGER NOT NULL, samples INTEGER NOT NULL, cpu_ms REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS jobs (job TEXT NOT NULL, fog TEXT NOT NULL, name TEXT, leases INTEGER NOT NULL, samples INTEGER NOT NULL,
  cpu_ms REAL NOT NULL, last_at REAL NOT NULL, PRIMARY KEY (job, fog)) STRICT;
CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY CHECK (one = 1), leases INTEGER NOT NULL, accepted INTEGER NOT NULL,
  samples INTEGER NOT NULL, cpu_ms REAL NOT NULL) STRICT;
INSERT OR IGNORE INTO total VALUES (1, 0, 0, 0, 0);
`

/** What a lease adds to the sums. */
interface Gain {
  leases: number
  accepted: number
  samples: number
  cpuMs: number
}

/**
 * What was run here and for whom: the newest leases one by one, sums by day and by job. Each write is one transaction: it outlives kill -9
 * (WAL), and a power cut may cost the last ones (no sync for each lease: the disk is the owner's). A lease counts once, however often it is told of.
 * Nothing that runs leases fails because of it: what cannot be written is said to `onFailure`.
 */
export class History {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #onFailure: (error: PinGoError) => void
  readonly #maxLeases: number

  /**
   * Opens or makes the file. One that is damaged is put aside as `<file>.damaged` and begun anew.
   * @param o.maxLeases {@link MAX_LEASES}, in tests fewer
   * @throws PinGoError HISTORY_UNREADABLE (rights, another program's lock)
   */
  static open(file: string, o: { onFailure?: (error: PinGoError) => void; maxLeases?: number } = {}): History {
    try {
      return new History(file, o)
    } catch (error) {
      if (!isDamage(error)) throw unreadable(file, error)
    }
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
    if (existsSync(file)) renameSync(file, `${file}.damaged`)
    try {
      return new History(file, o)
    } catch (error) {
      throw unreadable(file, error)
    }
  }

  private constructor(file: string, o: { onFailure?: (error: PinGoError) => void; maxLeases?: number }) {
    this.#onFailure = o.onFailure ?? (() => undefined)
    this.#maxLeases = o.maxLeases ?? MAX_LEASES
    this.#db = new DatabaseSync(file)
    try {
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;')
      this.#db.exec(SCHEMA)
      this.#one('SELECT COUNT(*) AS n FROM leases')
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /** A lease that has ended. The second record of a lease is not counted. */
  record(record: LeaseRecord): void {
    this.#write(() => {
      const { lease } = record
      if (this.#one('SELECT 1 FROM leases WHERE lease = ?', lease)) return
      const early = this.#one<{ included: number }>('DELETE FROM early WHERE lease = ? RETURNING included', lease)
      const isIncluded = record.outcome === 'included' || early !== undefined
      const kept: LeaseRecord = isIncluded ? { ...record, outcome: 'included' } : record
      const included = early?.included ?? (isIncluded ? record.samples : null)
      this.#run('INSERT INTO leases (lease, record, included) VALUES (?, ?, ?)', lease, JSON.stringify(kept), included)
      const isAccepted = kept.outcome === 'included' || kept.outcome === 'accepted'
      this.#count(kept, {
        leases: isAccepted ? 1 : 0,
        accepted: isAccepted ? kept.samples : 0,
        samples: included ?? 0,
        cpuMs: kept.cpuMs,
      })
      this.#forget()
    })
  }

  /** Samples of a lease are in a committed round. Told again, it is not counted again; told before the lease's record, it waits for that. */
  included(lease: string, samples: number): void {
    this.#write(() => {
      const known = this.#one<{ record: string; included: number | null }>(
        'SELECT record, included FROM leases WHERE lease = ?',
        lease,
      )
      if (!known) {
        this.#run('INSERT OR IGNORE INTO early (lease, included) VALUES (?, ?)', lease, samples)
        this.#run('DELETE FROM early WHERE seq <= (SELECT MAX(seq) FROM early) - ?', MAX_EARLY)
        return
      }
      if (known.included !== null) return
      const record: LeaseRecord = JSON.parse(known.record)
      const isNew = record.outcome !== 'accepted' // its answer was lost on the way
      const kept: LeaseRecord = { ...record, outcome: 'included' }
      this.#run('UPDATE leases SET record = ?, included = ? WHERE lease = ?', JSON.stringify(kept), samples, lease)
      this.#count(record, { leases: isNew ? 1 : 0, accepted: isNew ? record.samples : 0, samples, cpuMs: 0 })
    })
  }

  /**
   * The newest leases first, as they were recorded.
   * @param o.limit 100 by default, 1,000 at most
   * @param o.before only those recorded before the lease of this id: the last of the page before
   */
  list(o: { limit?: number; before?: string } = {}): LeaseRecord[] {
    const limit = Math.max(0, Math.min(1_000, Math.floor(o.limit ?? 100)))
    return this.#all<{ record: string }>(
      `SELECT record FROM leases WHERE seq < COALESCE((SELECT seq FROM leases WHERE lease = ?), 9223372036854775807) ORDER BY seq DESC LIMIT ?`,
      o.before ?? null,
      limit,
    ).map(({ record }) => LeaseRecordSchema.parse(JSON.parse(record)))
  }

  /** Sums by UTC day of the leases' ends and by job; a lease is one whose update was accepted, CPU time is that of all. */
  earnings(): Earnings {
    const { leases, samplesIncluded, cpuSeconds } = this.credit()
    return {
      days: this.#all<SumRow & { day: string }>('SELECT day, leases, samples, cpu_ms FROM days ORDER BY day').map(
        (row) => ({ day: row.day, ...sums(row) }),
      ),
      jobs: this.#all<SumRow & { job: string; fog: string; name: string | null; last_at: number }>(
        'SELECT job, fog, name, leases, samples, cpu_ms, last_at FROM jobs ORDER BY last_at DESC',
      ).map((row) => ({
        job: row.job,
        ...(row.name === null ? {} : { jobName: row.name }),
        fog: row.fog,
        ...sums(row),
        lastAt: row.last_at,
      })),
      total: { leases, samplesIncluded, cpuSeconds },
    }
  }

  /** Sums over all time. */
  credit(): MachineView['credit'] {
    const row = this.#one<SumRow & { accepted: number }>('SELECT leases, accepted, samples, cpu_ms FROM total')!
    return { ...sums(row), samplesAccepted: row.accepted }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #count(record: LeaseRecord, gain: Gain): void {
    const { leases, accepted, samples, cpuMs } = gain
    const day = new Date(record.endedAt).toISOString().slice(0, 10)
    this.#run(
      `INSERT INTO days VALUES (?, ?, ?, ?)
       ON CONFLICT (day) DO UPDATE SET leases = leases + excluded.leases, samples = samples + excluded.samples, cpu_ms = cpu_ms + excluded.cpu_ms`,
      day,
      leases,
      samples,
      cpuMs,
    )
    this.#run(
      `INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (job, fog) DO UPDATE SET leases = leases + excluded.leases, samples = samples + excluded.samples,
         cpu_ms = cpu_ms + excluded.cpu_ms, last_at = MAX(last_at, excluded.last_at), name = COALESCE(excluded.name, name)`,
      record.job,
      record.fog,
      record.jobName ?? null,
      leases,
      samples,
      cpuMs,
      record.endedAt,
    )
    this.#run(
      'UPDATE total SET leases = leases + ?, accepted = accepted + ?, samples = samples + ?, cpu_ms = cpu_ms + ?',
      leases,
      accepted,
      samples,
      cpuMs,
    )
  }

  /** Drops what is over the bounds. */
  #forget(): void {
    this.#run('DELETE FROM leases WHERE seq <= (SELECT MAX(seq) FROM leases) - ?', this.#maxLeases)
    this.#run('DELETE FROM days WHERE day IN (SELECT day FROM days ORDER BY day DESC LIMIT -1 OFFSET ?)', MAX_DAYS)
    this.#run(
      'DELETE FROM jobs WHERE rowid IN (SELECT rowid FROM jobs ORDER BY last_at DESC LIMIT -1 OFFSET ?)',
      MAX_JOBS,
    )
  }

  /** All of `work` or nothing. */
  #write(work: () => void): void {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      try {
        work()
        this.#db.exec('COMMIT')
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
        throw error
      }
    } catch (cause) {
      this.#onFailure(
        new PinGoError('HISTORY_NOT_WRITTEN', `The history of leases could not be written: ${sentence(cause)}`, {
          cause,
        }),
      )
    }
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values)
  }

  #one<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#prepare(sql).get(...values) as T | undefined
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

interface SumRow {
  leases: number
  samples: number
  cpu_ms: number
}

const sums = (row: SumRow) => ({
  leases: row.leases,
  samplesIncluded: row.samples,
  cpuSeconds: Math.round(row.cpu_ms) / 1000,
})

function isDamage(error: unknown): boolean {
  const { errcode } = error as { errcode?: number }
  return errcode === SQLITE_CORRUPT || errcode === SQLITE_NOT_A_DATABASE
}

const unreadable = (file: string, cause: unknown) =>
  new PinGoError('HISTORY_UNREADABLE', `The history of leases ${file} cannot be opened.`, {
    cause,
    hint: 'Check the rights of the folder, and that no other contributor runs with the same home.',
  })
