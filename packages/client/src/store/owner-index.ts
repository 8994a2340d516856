import { randomBytes } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { decode, encode } from '@pingo/wire'
import { transaction } from './database.ts'
import { type Entry, EntrySchema, isNewer, type Line, type Placed, type Stamp } from './entry.ts'
import type { Place } from './path-names.ts'

/** Entries that are read at once while listing. */
const PAGE = 500
const MAX_ENTRY_BYTES = 16 << 20
/** A put whose process died goes on within this time, or its object is forgotten. */
const EXPECTED_MS = 24 * 3_600_000
/** Sorts behind everything that a key may hold; see checkKey. */
const LAST = '\u{10ffff}'

/** What the caller settles of an entry; the index adds when, by whom and which version. */
export type NewEntry = Omit<Entry, 'created' | 'at' | 'version' | 'writer'>

export interface ListOptions {
  prefix?: string
  /** Keys that go on after it behind the prefix are told as one common prefix. */
  delimiter?: string
  /** Only what sorts behind this key or common prefix. */
  after?: string
  limit?: number
}
export interface Listing {
  entries: Placed[]
  prefixes: string[]
  /** Give it as `after` to go on; undefined at the end. */
  next: string | undefined
}

interface Row {
  bucket: string
  key: string
  info: Uint8Array
}

/**
 * What an owner stored: names, true sizes and wrapped keys, which the nodes never learn. Lives in SQLite on this machine; the lines of
 * several machines merge entry by entry (last writer wins, removals included).
 */
export class OwnerIndex {
  readonly db: DatabaseSync
  readonly #clock: () => number
  readonly #writer: string
  readonly #get: StatementSync
  readonly #page: StatementSync
  readonly #tombstone: StatementSync

  constructor(db: DatabaseSync, o: { clock?: () => number } = {}) {
    this.db = db
    this.#clock = o.clock ?? Date.now
    this.#get = db.prepare('SELECT bucket, key, info FROM entries WHERE bucket = ? AND key = ?')
    this.#page = db.prepare(
      `SELECT bucket, key, info FROM entries WHERE bucket = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ${PAGE}`,
    )
    this.#tombstone = db.prepare('SELECT at, writer, version FROM tombstones WHERE bucket = ? AND key = ?')
    this.#writer = this.meta('writer') ?? this.setMeta('writer', randomBytes(8).toString('hex'))
  }

  get({ bucket, key }: Place): Placed | undefined {
    const row = this.#get.get(bucket, key) as Row | undefined
    return row && placed(row)
  }

  /** Writes an entry; objects that only its last version used become garbage. */
  put(place: Place, entry: NewEntry): Placed {
    return transaction(this.db, () => {
      const before = this.get(place) ?? this.#gone(place)
      const whole: Entry = {
        ...entry,
        created: before && 'created' in before ? (before as Placed).created : this.#clock(),
        ...this.#stamp(before),
      }
      this.#write(place, whole)
      return { ...place, ...whole }
    })
  }

  /** Removes an entry and remembers that. @returns what was there */
  remove(place: Place): Placed | undefined {
    return transaction(this.db, () => {
      const before = this.get(place)
      if (before) this.#bury(place, this.#stamp(before))
      return before
    })
  }

  /** Entries in the order of their keys' bytes. Costs as many look-ups as it returns, however many lie behind a common prefix. */
  list(
    bucket: string,
    { prefix = '', delimiter, after = '', limit = Number.POSITIVE_INFINITY }: ListOptions = {},
  ): Listing {
    const listing: Listing = { entries: [], prefixes: [], next: undefined }
    // what `after` shares a common prefix with was told before it, or with it
    const told = delimiter && after.startsWith(prefix) ? after.indexOf(delimiter, prefix.length) : -1
    let from = told < 0 ? after : after.slice(0, told + delimiter!.length) + LAST
    let last = ''
    for (;;) {
      const rows = this.#page.all(bucket, from, prefix, prefix + LAST) as unknown as Row[]
      let jumped = false
      for (const row of rows) {
        if (row.key === '') continue // the bucket's own line
        if (listing.entries.length + listing.prefixes.length >= limit) {
          listing.next = last
          return listing
        }
        const cut = delimiter ? row.key.indexOf(delimiter, prefix.length) : -1
        if (cut < 0) {
          listing.entries.push(placed(row))
          last = from = row.key
          continue
        }
        last = row.key.slice(0, cut + delimiter!.length)
        listing.prefixes.push(last)
        from = last + LAST
        jumped = true
        break
      }
      if (!jumped && rows.length < PAGE) return listing
      if (!jumped) from = rows.at(-1)!.key
    }
  }

  /** All entries below a prefix, a page at a time. */
  *below(bucket: string, prefix = ''): Generator<Placed> {
    for (let from = ''; ; ) {
      const rows = this.#page.all(bucket, from, prefix, prefix + LAST) as unknown as Row[]
      for (const row of rows) if (row.key !== '') yield placed(row)
      if (rows.length < PAGE) return
      from = rows.at(-1)!.key
    }
  }

  /** Buckets by name, those included that are only there because something lies in them. */
  buckets(): { bucket: string; created: number; isPublic: boolean }[] {
    const names = this.db
      .prepare("SELECT DISTINCT bucket FROM entries WHERE bucket NOT LIKE '.%' ORDER BY bucket")
      .all() as { bucket: string }[]
    return names.map(({ bucket }) => {
      const own = this.get({ bucket, key: '' })
      const created = own?.created ?? this.list(bucket, { limit: 1 }).entries[0]?.created ?? 0
      return { bucket, created, isPublic: own?.isPublic ?? false }
    })
  }

  /** The entries that an object is a part of. */
  byObject(id: string): Placed[] {
    const rows = this.db.prepare('SELECT bucket, key FROM holds WHERE id = ? ORDER BY bucket, key').all(id)
    return rows.map((row) => this.get(row as unknown as Place)!)
  }

  totals(): { entries: number; bytes: number } {
    return this.db
      .prepare(
        "SELECT count(*) AS entries, coalesce(sum(bytes), 0) AS bytes FROM entries WHERE key != '' AND bucket NOT LIKE '.%'",
      )
      .get() as { entries: number; bytes: number }
  }

  /** Grows with every change: tells whether a backup is still whole. */
  get revision(): number {
    return Number(this.meta('revision') ?? 0)
  }

  /** Every line, as another machine of the owner merges it. A view of one moment, whoever writes meanwhile. */
  lines(): Line[] {
    return transaction(this.db, () => {
      const lines: Line[] = []
      for (const row of this.db.prepare('SELECT bucket, key, info FROM entries').iterate() as unknown as Iterable<Row>)
        lines.push([row.bucket, row.key, decode(EntrySchema, row.info, MAX_ENTRY_BYTES)])
      const gone = this.db.prepare('SELECT bucket, key, at, writer, version FROM tombstones').iterate()
      for (const { bucket, key, ...stamp } of gone as unknown as Iterable<Place & Stamp & { version: number }>)
        lines.push([bucket, key, { gone: { at: stamp.at, writer: stamp.writer, version: stamp.version } }])
      return lines
    })
  }

  /**
   * Takes over what is newer in the lines of another machine. Nothing is lost: what is only here stays.
   * @returns changed: lines taken over; isAhead: whether there are lines here that the others lack
   */
  merge(lines: readonly Line[]): { changed: number; isAhead: boolean } {
    return transaction(this.db, () => {
      let changed = 0
      let alike = 0
      for (const [bucket, key, line] of lines) {
        const place = { bucket, key }
        const theirs: Stamp = 'gone' in line ? line.gone : line
        const ours = this.get(place) ?? this.#gone(place)
        if (ours && isNewer(ours, theirs)) continue
        alike += 1
        if (ours && !isNewer(theirs, ours)) continue
        changed += 1
        if ('gone' in line) this.#bury(place, line.gone)
        else this.#write(place, line)
      }
      const { n } = this.db
        .prepare('SELECT (SELECT count(*) FROM entries) + (SELECT count(*) FROM tombstones) AS n')
        .get() as { n: number }
      return { changed, isAhead: n > alike }
    })
  }

  /** Objects that nothing has needed for a while (ms), and that the network is to forget. */
  garbage(forMs = 0): string[] {
    const rows = this.db.prepare('SELECT id FROM garbage WHERE at <= ? ORDER BY at').all(this.#clock() - forMs)
    return rows.map(({ id }) => id as string)
  }

  /** Whether an entry or an upload under way is made of the object. */
  isHeld(id: string): boolean {
    const { n } = this.db
      .prepare('SELECT (SELECT count(*) FROM holds WHERE id = ?1) + (SELECT count(*) FROM parts WHERE id = ?1) AS n')
      .get(id) as { n: number }
    return n > 0
  }

  /** Notes objects that are to be forgotten unless something refers to them. */
  discard(ids: Iterable<string>, inMs = 0): void {
    transaction(this.db, () => {
      const add = this.db.prepare(
        'INSERT INTO garbage (id, at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET at = min(at, excluded.at)',
      )
      for (const id of ids) if (!this.isHeld(id)) add.run(id, this.#clock() + inMs)
    })
  }

  /**
   * Notes an object that the network is about to keep for good. Unless something refers to it within a day, the process died before it
   * could say what it was for: it is forgotten.
   */
  expect(id: string): void {
    this.discard([id], EXPECTED_MS)
  }

  /** Whether the object was noted and nothing came of it yet. */
  isExpected(id: string): boolean {
    return this.db.prepare('SELECT 1 FROM garbage WHERE id = ?').get(id) !== undefined
  }

  /**
   * Settles that the network is told to forget an object. From here on whoever stores the same object (public data have one id wherever
   * they come from) has to commit it again.
   * @returns false when something refers to it by now
   */
  forgetting(id: string): boolean {
    return transaction(this.db, () => {
      const isHeld = this.isHeld(id)
      if (isHeld) this.forgotten(id)
      else this.db.prepare('UPDATE garbage SET told = 1 WHERE id = ?').run(id)
      return !isHeld
    })
  }

  /** Whether the network may have been told to forget the object. */
  isForgetting(id: string): boolean {
    return this.db.prepare('SELECT 1 FROM garbage WHERE id = ? AND told = 1').get(id) !== undefined
  }

  forgotten(id: string): void {
    this.db.prepare('DELETE FROM garbage WHERE id = ?').run(id)
  }

  meta(name: string): string | undefined {
    return this.db.prepare('SELECT value FROM meta WHERE name = ?').get(name)?.value as string | undefined
  }

  setMeta(name: string, value: string): string {
    this.db
      .prepare('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value')
      .run(name, value)
    return value
  }

  close(): void {
    this.db.close()
  }

  #gone({ bucket, key }: Place): (Stamp & { version: number }) | undefined {
    return this.#tombstone.get(bucket, key) as (Stamp & { version: number }) | undefined
  }

  #stamp(before: (Stamp & { version: number }) | undefined): Stamp & { version: number } {
    return {
      at: Math.max(this.#clock(), (before?.at ?? 0) + 1),
      version: (before?.version ?? 0) + 1,
      writer: this.#writer,
    }
  }

  #write({ bucket, key }: Place, entry: Entry): void {
    this.db.prepare('DELETE FROM tombstones WHERE bucket = ? AND key = ?').run(bucket, key)
    this.db
      .prepare(
        `INSERT INTO entries (bucket, key, at, writer, bytes, info) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (bucket, key)
         DO UPDATE SET at = excluded.at, writer = excluded.writer, bytes = excluded.bytes, info = excluded.info`,
      )
      .run(bucket, key, entry.at, entry.writer, entry.bytes, encode(entry))
    this.#hold(
      { bucket, key },
      entry.extents.map(({ id }) => id),
    )
  }

  #bury({ bucket, key }: Place, stamp: Stamp & { version: number }): void {
    this.db.prepare('DELETE FROM entries WHERE bucket = ? AND key = ?').run(bucket, key)
    this.db
      .prepare(
        `INSERT INTO tombstones (bucket, key, at, writer, version) VALUES (?, ?, ?, ?, ?) ON CONFLICT (bucket, key)
         DO UPDATE SET at = excluded.at, writer = excluded.writer, version = excluded.version`,
      )
      .run(bucket, key, stamp.at, stamp.writer, stamp.version)
    this.#hold({ bucket, key }, [])
  }

  /** Settles which objects an entry is made of; those that nothing is made of any more become garbage. */
  #hold({ bucket, key }: Place, ids: string[]): void {
    const before = this.db.prepare('SELECT id FROM holds WHERE bucket = ? AND key = ?').all(bucket, key)
    this.db.prepare('DELETE FROM holds WHERE bucket = ? AND key = ?').run(bucket, key)
    const add = this.db.prepare('INSERT INTO holds (id, bucket, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
    for (const id of ids) {
      add.run(id, bucket, key)
      this.forgotten(id)
    }
    this.discard(before.map(({ id }) => id as string))
    this.setMeta('revision', String(this.revision + 1))
  }
}

const placed = (row: Row): Placed => ({
  bucket: row.bucket,
  key: row.key,
  ...decode(EntrySchema, row.info, MAX_ENTRY_BYTES),
})
