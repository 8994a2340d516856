import { rmSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { PinGoError } from '@pingo/wire'

/** Grows when the table or the places of the block files change: an index of another version is made anew from the files. */
const SCHEMA_VERSION = 2
const SQLITE_BUSY = 5
const SQLITE_CORRUPT = 11
const SQLITE_NOTADB = 26

export interface IndexEntry {
  key: string
  bytes: number
}

/**
 * Which blocks are here, how large and since when: a cache of what the folder of block files says, so that it may be rebuilt
 * from it at any time. Holds the lock of the store: one process at a time.
 */
export class BlockIndex {
  readonly #db: DatabaseSync
  readonly #get: StatementSync
  readonly #put: StatementSync
  readonly #touch: StatementSync
  readonly #delete: StatementSync
  #blocks: number
  #bytes: number

  private constructor(db: DatabaseSync) {
    this.#db = db
    this.#get = db.prepare('SELECT bytes FROM blocks WHERE hash = ?')
    this.#put = db.prepare('INSERT INTO blocks (hash, bytes, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
    this.#touch = db.prepare('UPDATE blocks SET at = ? WHERE hash = ?')
    this.#delete = db.prepare('DELETE FROM blocks WHERE hash = ?')
    const { n, total } = db.prepare('SELECT count(*) AS n, coalesce(sum(bytes), 0) AS total FROM blocks').get() as {
      n: number
      total: number
    }
    this.#blocks = n
    this.#bytes = total
  }

  /**
   * Opens the index in `file`; a damaged one is replaced by an empty one.
   * @returns `isTrusted` false when the block files must be compared with it: it is new, or its last user did not close it
   * @throws PinGoError STORE_IN_USE
   */
  static open(file: string): { index: BlockIndex; isTrusted: boolean } {
    try {
      return BlockIndex.#open(file)
    } catch (error) {
      const code = (error as { errcode?: number }).errcode ?? 0
      if ((code & 0xff) === SQLITE_BUSY)
        throw new PinGoError('STORE_IN_USE', `The store of ${file} is in use by another process.`, {
          hint: 'Stop that process, or use another folder.',
          cause: error,
        })
      if ((code & 0xff) !== SQLITE_CORRUPT && (code & 0xff) !== SQLITE_NOTADB) throw error
      for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(file + suffix, { force: true })
      return BlockIndex.#open(file)
    }
  }

  static #open(file: string): { index: BlockIndex; isTrusted: boolean } {
    const db = new DatabaseSync(file)
    try {
      // the lock of the store, held until it is closed or the process ends
      db.exec(
        'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096',
      )
      db.exec('BEGIN EXCLUSIVE; COMMIT')
      const { quick_check: health } = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string }
      const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
      if (health !== 'ok' || (version !== 0 && version !== SCHEMA_VERSION))
        throw Object.assign(new Error(`index unusable: ${health}, version ${version}`), { errcode: SQLITE_CORRUPT })
      db.exec(`
        CREATE TABLE IF NOT EXISTS blocks (hash BLOB PRIMARY KEY, bytes INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS closed (clean INTEGER NOT NULL) STRICT;
        PRAGMA user_version = ${SCHEMA_VERSION}`)
      const isTrusted = db.prepare('SELECT clean FROM closed').get() !== undefined
      // on disk before any block is: after a power cut the mark must not come back
      db.exec(
        'PRAGMA synchronous = FULL; DELETE FROM closed; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous = NORMAL',
      )
      return { index: new BlockIndex(db), isTrusted }
    } catch (error) {
      db.close()
      throw error
    }
  }

  size(key: string): number | undefined {
    return this.#get.get(Buffer.from(key, 'hex'))?.bytes as number | undefined
  }

  /** @param at ms since epoch */
  add(key: string, bytes: number, at: number): void {
    if (!this.#put.run(Buffer.from(key, 'hex'), bytes, at).changes) return
    this.#blocks += 1
    this.#bytes += bytes
  }

  /** Notes that a block was wanted again. */
  touch(key: string, at: number): void {
    this.#touch.run(at, Buffer.from(key, 'hex'))
  }

  remove(key: string): void {
    const bytes = this.size(key)
    if (bytes === undefined) return
    this.#delete.run(Buffer.from(key, 'hex'))
    this.#blocks -= 1
    this.#bytes -= bytes
  }

  stats(): { blocks: number; bytes: number } {
    return { blocks: this.#blocks, bytes: this.#bytes }
  }

  /** Those of `keys` that are here and not younger. */
  *pick(keys: Iterable<string>, olderThan: number): Generator<IndexEntry> {
    const find = this.#db.prepare('SELECT bytes FROM blocks WHERE hash = ? AND at <= ?')
    for (const key of keys) {
      const found = find.get(Buffer.from(key, 'hex'), olderThan)
      if (found) yield { key, bytes: found.bytes as number }
    }
  }

  /**
   * Keys in order, a page at a time, so that a walk over millions never holds them all nor blocks for long.
   * @param from only those after this key
   */
  *entries(olderThan = Number.MAX_SAFE_INTEGER, from = ''): Generator<IndexEntry> {
    const page = this.#db.prepare('SELECT hash, bytes, at FROM blocks WHERE hash > ? ORDER BY hash LIMIT 1000')
    for (let after: Uint8Array = Buffer.from(from, 'hex'); ; ) {
      const rows = page.all(after) as unknown as { hash: Uint8Array; bytes: number; at: number }[]
      for (const { hash, bytes, at } of rows) {
        after = hash
        if (at <= olderThan) yield { key: Buffer.from(hash).toString('hex'), bytes }
      }
      if (rows.length < 1000) return
    }
  }

  /** Runs `work` as one transaction. */
  transaction(work: () => void): void {
    this.#db.exec('BEGIN')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** @param isWhole false when the index may not fit the files: the next to open it compares them */
  close(isWhole = true): void {
    try {
      if (isWhole) this.#db.exec('INSERT INTO closed VALUES (1)')
    } catch {
      // a full disk: then the next to open it compares
    } finally {
      this.#db.close()
    }
  }
}
