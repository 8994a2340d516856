import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { PinGoError } from '@pingo/wire'
import { diskFull } from '../blocks/disk.ts'

const SQLITE_FULL = 13

/**
 * A SQLite database (WAL, synchronous=FULL) whose writes are made durable in groups: all that come within one turn of the event loop
 * share a transaction, because its one fsync costs more than they do. Reads see writes at once.
 */
export class GroupedDatabase {
  readonly #db: DatabaseSync
  readonly #file: string
  readonly #statements = new Map<string, StatementSync>()
  #group: { done: Promise<void>; resolve: () => void; reject: (error: unknown) => void } | undefined

  /** @throws PinGoError DATABASE_UNREADABLE */
  constructor(file: string, schema: string) {
    this.#file = file
    try {
      this.#db = new DatabaseSync(file)
      this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;')
      this.#db.exec('PRAGMA cache_size = -4096; PRAGMA foreign_keys = ON;')
      this.#db.exec(schema)
    } catch (cause) {
      throw new PinGoError('DATABASE_UNREADABLE', `The storage node's database ${file} cannot be opened.`, {
        cause,
        hint: 'Check the disk and the rights of the folder.',
      })
    }
  }

  all<T>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#prepare(sql).all(...values) as T[]
  }

  get<T>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#prepare(sql).get(...values) as T | undefined
  }

  /** Inside of {@link GroupedDatabase.write} only. @returns how many rows changed */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes)
  }

  /**
   * Runs `work` now, all of it or nothing.
   * @returns what it gave, once it is durable
   * @throws what it threw; PinGoError DISK_FULL
   */
  async write<T>(work: () => T): Promise<T> {
    const group = this.#join()
    let result: T
    this.#db.exec('SAVEPOINT work')
    try {
      result = work()
    } catch (error) {
      // a full disk may have ended the whole transaction already
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK TO work; RELEASE work')
      throw this.#explained(error)
    }
    this.#db.exec('RELEASE work')
    await group.done
    return result
  }

  close(): void {
    this.#commit()
    this.#db.close()
  }

  #join() {
    if (this.#group) return this.#group
    this.#db.exec('BEGIN IMMEDIATE')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    promise.catch(() => undefined)
    this.#group = { done: promise, resolve, reject }
    setImmediate(() => this.#commit())
    return this.#group
  }

  #commit(): void {
    const group = this.#group
    if (!group) return
    this.#group = undefined
    try {
      this.#db.exec('COMMIT')
      group.resolve()
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      group.reject(this.#explained(error))
    }
  }

  #explained(error: unknown): unknown {
    return ((error as { errcode?: number }).errcode ?? 0) === SQLITE_FULL ? diskFull(this.#file, error) : error
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement
  }
}
