import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { PinGoError } from '@pingo/wire'

const VERSION = 1
/** How long a command waits while another one writes. */
const BUSY_MS = 10_000

const TABLES = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  -- what lives in the owner's index; the rest of an entry is dag-cbor in info
  CREATE TABLE IF NOT EXISTS entries (
    bucket TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, writer TEXT NOT NULL, bytes INTEGER NOT NULL, info BLOB NOT NULL,
    PRIMARY KEY (bucket, key)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS tombstones (
    bucket TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, writer TEXT NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (bucket, key)) STRICT, WITHOUT ROWID;
  -- which objects the entries are made of
  CREATE TABLE IF NOT EXISTS holds (
    id TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (id, bucket, key)) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS holds_of_entry ON holds (bucket, key);
  -- objects that nothing refers to any more and the network is still to be told of
  CREATE TABLE IF NOT EXISTS garbage (
    id TEXT PRIMARY KEY, at INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
  -- files of this machine as they were when they were put
  CREATE TABLE IF NOT EXISTS sources (
    path TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL, etag TEXT NOT NULL, stamp TEXT NOT NULL,
    PRIMARY KEY (path, bucket, key)) STRICT, WITHOUT ROWID;
  -- puts under way: what to go on with after a crash
  CREATE TABLE IF NOT EXISTS puts (name TEXT PRIMARY KEY, at INTEGER NOT NULL, info BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS put_stripes (
    name TEXT NOT NULL, stripe INTEGER NOT NULL, info BLOB NOT NULL, PRIMARY KEY (name, stripe)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS claims (name TEXT PRIMARY KEY, pid INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- multipart uploads under way; their parts are objects already
  CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, info BLOB NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS parts (
    upload TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, info BLOB NOT NULL,
    PRIMARY KEY (upload, number)) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS parts_by_object ON parts (id);
  CREATE TABLE IF NOT EXISTS allowances (
    node TEXT NOT NULL, owner TEXT NOT NULL, until INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (node, owner)) STRICT, WITHOUT ROWID;
`

/**
 * The owner's database on this machine (WAL, synchronous=FULL): several commands may have it open at once. It is readable by its
 * owner alone, though the keys in it are wrapped.
 * @throws PinGoError STORE_DAMAGED, STORE_VERSION
 */
export function openDatabase(file: string): DatabaseSync {
  if (file !== ':memory:') {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
  }
  const db = new DatabaseSync(file, { timeout: BUSY_MS })
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192')
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version > VERSION)
      throw new PinGoError('STORE_VERSION', `${file} was written by a newer PinGo.`, { hint: 'Update this one.' })
    if (version < VERSION) transaction(db, () => db.exec(`${TABLES}; PRAGMA user_version = ${VERSION}`))
    return db
  } catch (error) {
    db.close()
    const code = ((error as { errcode?: number }).errcode ?? 0) & 0xff
    if (code !== 11 && code !== 26) throw error // SQLITE_CORRUPT, SQLITE_NOTADB
    throw new PinGoError('STORE_DAMAGED', `The index of what you stored, ${file}, is damaged.`, {
      hint: 'Move it away and run `pingo store keys restore`: the network has a copy.',
      cause: error,
    })
  }
}

/** Runs `work` as one transaction, or as a part of the one that runs. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  if (db.isTransaction) return work()
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}
