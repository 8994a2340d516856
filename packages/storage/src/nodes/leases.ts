import type { GroupedDatabase } from './database.ts'

/** Of what a caretaker itself keeps: until its object goes. */
export const FOREVER = Number.MAX_SAFE_INTEGER
/** Leases that end in one transaction. */
const ENDED_PER_TURN = 1_000

export const LEASES_SCHEMA = `
CREATE TABLE IF NOT EXISTS labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL, UNIQUE (name, owner)) STRICT;
CREATE TABLE IF NOT EXISTS leases (hash BLOB NOT NULL, label INTEGER NOT NULL, until INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (hash, label)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leases_by_end ON leases (until);
CREATE INDEX IF NOT EXISTS leases_by_label ON leases (label);
CREATE TABLE IF NOT EXISTS usage (owner TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vouchers (owner TEXT PRIMARY KEY, by TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vouchers_by ON vouchers (by);
`

export const uploadLabel = (upload: string): string => `upload ${upload}`
/** Of an object's shards that are here. */
export const objectLabel = (id: string): string => `object ${id}`
/** Of an object's manifest, at its caretakers. */
export const careLabel = (id: string): string => `care ${id}`

/**
 * Who wants which chunk kept, until when: a lease is of a chunk (its sha2-256 in hex), a label (an upload or an object) and an owner.
 * A chunk that several want has several leases and stays until the last one ends; it counts once to each owner.
 */
export class Leases {
  readonly #db: GroupedDatabase

  constructor(db: GroupedDatabase) {
    this.#db = db
  }

  /** @param now ms since epoch */
  isKept(key: string, now: number): boolean {
    return (
      this.#db.get('SELECT 1 FROM leases WHERE hash = ? AND until > ? LIMIT 1', Buffer.from(key, 'hex'), now) !==
      undefined
    )
  }

  /** Ids of the objects that a chunk is kept for. */
  objectsOf(key: string): string[] {
    const rows = this.#db.all<{ name: string }>(
      'SELECT DISTINCT name FROM leases JOIN labels ON labels.id = label WHERE hash = ?',
      Buffer.from(key, 'hex'),
    )
    return rows.flatMap(({ name }) => /^(?:object|care) (.*)$/.exec(name)?.[1] ?? [])
  }

  /** Bytes of the chunks that are kept for an owner. */
  usedBy(owner: string): number {
    return this.#db.get<{ bytes: number }>('SELECT bytes FROM usage WHERE owner = ?', owner)?.bytes ?? 0
  }

  /** Bytes of the chunks of all owners for whom a fog node vouched last. */
  vouchedBy(by: string): number {
    const sql = 'SELECT coalesce(sum(bytes), 0) AS bytes FROM usage JOIN vouchers USING (owner) WHERE by = ?'
    return this.#db.get<{ bytes: number }>(sql, by)!.bytes
  }

  /** Within a write: notes by whose word an owner stores. */
  vouch(owner: string, by: string): void {
    this.#db.run(
      'INSERT INTO vouchers VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET by = excluded.by WHERE by <> excluded.by',
      owner,
      by,
    )
  }

  /** Bytes of all that is kept; what several want counts to each. */
  bytes(): number {
    return this.#db.get<{ bytes: number }>('SELECT coalesce(sum(bytes), 0) AS bytes FROM usage')!.bytes
  }

  /** Ids of the objects whose shards are kept here. @param now ms since epoch */
  objects(now: number): string[] {
    return this.#db
      .all<{ name: string }>(
        `SELECT DISTINCT name FROM labels WHERE name LIKE 'object %' AND EXISTS (SELECT 1 FROM leases WHERE label = id AND until > ?)`,
        now,
      )
      .map(({ name }) => name.slice(objectLabel('').length))
  }

  hasLease(key: string, owner: string): boolean {
    return this.#of(Buffer.from(key, 'hex'), owner)
  }

  /** Within a write: leases a chunk, or renews its lease; an end that was promised is never moved forward. */
  add(key: string, bytes: number, o: { label: string; owner: string; until: number }): void {
    const hash = Buffer.from(key, 'hex')
    const label = this.#label(o.label, o.owner)
    if (this.#db.run('UPDATE leases SET until = max(until, ?) WHERE hash = ? AND label = ?', o.until, hash, label))
      return
    if (!this.#of(hash, o.owner)) this.#count(o.owner, bytes)
    this.#db.run('INSERT INTO leases VALUES (?, ?, ?, ?)', hash, label, o.until, bytes)
  }

  /** Within a write: the time of an owner's leases under a label is over; they go with the others of which it is. */
  end(label: string, owner: string): void {
    this.#db.run(
      'UPDATE leases SET until = 0 WHERE label = (SELECT id FROM labels WHERE name = ? AND owner = ?)',
      label,
      owner,
    )
  }

  /** Within a write: removes some of the leases whose time is over. @returns their chunks; none: that was all */
  removeOver(now: number): string[] {
    const rows = this.#db.all<LeaseRow>(
      `SELECT hash, label, bytes, owner FROM leases JOIN labels ON labels.id = label WHERE until <= ? LIMIT ${ENDED_PER_TURN}`,
      now,
    )
    for (const row of rows) this.#remove(row)
    for (const label of new Set(rows.map(({ label }) => label)))
      this.#db.run('DELETE FROM labels WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM leases WHERE label = ?1)', label)
    return rows.map(({ hash }) => Buffer.from(hash).toString('hex'))
  }

  #remove({ hash, label, bytes, owner }: LeaseRow): void {
    this.#db.run('DELETE FROM leases WHERE hash = ? AND label = ?', hash, label)
    if (!this.#of(hash, owner)) this.#count(owner, -bytes)
  }

  #of(hash: Uint8Array, owner: string): boolean {
    return (
      this.#db.get(
        'SELECT 1 FROM leases JOIN labels ON labels.id = label WHERE hash = ? AND owner = ? LIMIT 1',
        hash,
        owner,
      ) !== undefined
    )
  }

  #count(owner: string, bytes: number): void {
    this.#db.run(
      'INSERT INTO usage VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes',
      owner,
      bytes,
    )
  }

  #label(name: string, owner: string): number {
    const found = this.#db.get<{ id: number }>('SELECT id FROM labels WHERE name = ? AND owner = ?', name, owner)
    if (found) return found.id
    return this.#db.get<{ id: number }>('INSERT INTO labels (name, owner) VALUES (?, ?) RETURNING id', name, owner)!.id
  }
}

interface LeaseRow {
  hash: Uint8Array
  label: number
  bytes: number
  owner: string
}
