import {
  type CID,
  type Commit,
  decode,
  encode,
  FORGET_TYPE,
  ForgetSchema,
  type Locations,
  LocationsSchema,
  MAX_CLOCK_SKEW_MS,
  PinGoError,
  parseCid,
  unseal,
} from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { keyOf } from '../blocks/key.ts'
import { type CaredObject, type CaredPart, type CaretakerStore, FORGOTTEN_KEPT_MS } from '../durability/ports.ts'
import { decodeLocations } from '../objects/object.ts'
import type { GroupedDatabase } from './database.ts'
import { careLabel, FOREVER, type Leases } from './leases.ts'
import { checkTree, manifestBlocks, readManifest, readPart } from './manifest-blocks.ts'
import { openObjectRecord } from './object-record.ts'
import type { ObjectHealth, ObjectState } from './port.ts'

const MAX_LOCATIONS_BYTES = 1 << 20
const MAX_WORD_BYTES = 1 << 10
/**
 * Versions of locations are times where they can be: one that is so far ahead is not believed. It would win over every later word of
 * where the shards are, for good.
 */
const MAX_VERSION_AHEAD_MS = 24 * 3_600_000
/** Words of one owner that are remembered although the object was never here. */
const MAX_FOREIGN_WORDS = 10_000
const NOT_CHECKED: ObjectHealth = { checkedAt: undefined, stripesByShards: {} }

export const CARE_SCHEMA = `
CREATE TABLE IF NOT EXISTS objects (id TEXT PRIMARY KEY, manifest TEXT NOT NULL, health TEXT NOT NULL, due_at INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS objects_by_due ON objects (due_at);
CREATE TABLE IF NOT EXISTS owners (id TEXT NOT NULL REFERENCES objects ON DELETE CASCADE, owner TEXT NOT NULL, record BLOB NOT NULL,
  at INTEGER NOT NULL, stored INTEGER NOT NULL, PRIMARY KEY (id, owner)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owners_by_owner ON owners (owner);
CREATE TABLE IF NOT EXISTS locations (id TEXT NOT NULL REFERENCES objects ON DELETE CASCADE, part INTEGER NOT NULL, version INTEGER NOT NULL,
  locations BLOB NOT NULL, PRIMARY KEY (id, part)) STRICT;
CREATE TABLE IF NOT EXISTS forgotten (id TEXT NOT NULL, owner TEXT NOT NULL, record BLOB NOT NULL, word BLOB NOT NULL,
  at INTEGER NOT NULL, heard_at INTEGER NOT NULL, PRIMARY KEY (id, owner)) STRICT, WITHOUT ROWID;
`

interface ObjectRow {
  id: string
  manifest: string
  health: string
  due_at: number
}

/**
 * The objects that this node is a caretaker of, in SQLite; their manifests in the block store, leased until the object goes.
 * Public data that several people store are one object with several owners: it goes when the last of them forgets it.
 */
export class SqliteCaretakerStore implements CaretakerStore {
  readonly #db: GroupedDatabase
  readonly #leases: Leases
  readonly #blocks: BlockStore
  readonly #clock: () => number
  /** Told of each commit, so that its chunks are kept soon. */
  onCommit: (id: string) => void = () => undefined

  constructor(o: { db: GroupedDatabase; leases: Leases; blocks: BlockStore; clock: () => number }) {
    this.#db = o.db
    this.#leases = o.leases
    this.#blocks = o.blocks
    this.#clock = o.clock
  }

  /**
   * Takes an object into care; due at once. An owner's word of where its shards are counts more than what was known, since it has just
   * stored them; but not over what others keep well. Handed over by a caretaker, the newer version counts.
   * @param authorize throws when the asker may not; @returns whether the asker may change where the shards are said to be
   * @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED, OBJECT_FORGOTTEN, OBJECT_DIFFERS, MESSAGE_*, SIGNATURE_INVALID
   */
  async commit(
    commit: Commit,
    asker: string,
    authorize: (of: { owner: string; id: string }) => boolean,
  ): Promise<void> {
    const { owner, record } = await openObjectRecord(commit.record)
    const { id } = record
    const mayRelocate = authorize({ owner, id })
    if (record.at > this.#clock() + MAX_CLOCK_SKEW_MS)
      throw new PinGoError('MESSAGE_INVALID', 'The record of the object is of the future: check the clock.')
    const manifestCid = parseCid(record.manifest)
    const manifest = await readManifest(this.#blocks, manifestCid)
    if (id !== (manifest.root ?? record.manifest))
      throw new PinGoError('MANIFEST_MALFORMED', `The manifest is not that of object ${id}.`)
    if (commit.locations.length !== manifest.parts.length)
      throw new PinGoError(
        'MANIFEST_MALFORMED',
        `Of ${manifest.parts.length} parts, ${commit.locations.length} are told.`,
      )
    for (const [part, locations] of commit.locations.entries()) {
      await readPart(this.#blocks, manifest, part)
      decodeLocations(locations, manifest, part)
      this.#checkVersion(locations)
    }
    if (manifest.root !== undefined) await checkTree(this.#blocks, manifest)
    const blocks: { cid: CID; bytes: number }[] = []
    for await (const cid of manifestBlocks(this.#blocks, manifestCid)) {
      const bytes = this.#blocks.size(cid)
      if (bytes === undefined) throw new PinGoError('BLOCK_MISSING', `Block ${cid} of the manifest is not here.`)
      blocks.push({ cid, bytes })
    }
    const isLost = await this.#isLost(id)
    await this.#db.write(() => {
      const said = this.#db.get<{ at: number }>('SELECT at FROM forgotten WHERE id = ? AND owner = ?', id, owner)
      if (said && said.at >= record.at)
        throw new PinGoError('OBJECT_FORGOTTEN', `The owner of ${id} said that it is kept no longer.`)
      const known = this.#row(id)
      const others = this.#owners(id).filter((each) => each.owner !== owner)
      if (known && known.manifest !== record.manifest) {
        // the same public data, cut otherwise: replaced when they are lost, or nobody else's
        if (!isLost && others.length > 0)
          throw new PinGoError('OBJECT_DIFFERS', `Object ${id} is kept already, by another manifest.`, {
            hint: 'Commit it by the manifest that is there.',
            details: { manifest: known.manifest },
          })
        for (const each of this.#owners(id)) this.#disown(id, each.owner)
      }
      this.#db.run(
        `INSERT INTO objects VALUES (?, ?, '{"stripesByShards":{}}', ?) ON CONFLICT (id) DO UPDATE SET due_at = min(due_at, excluded.due_at)`,
        id,
        record.manifest,
        this.#clock(),
      )
      this.#db.run(
        `INSERT INTO owners VALUES (?, ?, ?, ?, ?) ON CONFLICT (id, owner) DO UPDATE SET record = excluded.record, at = excluded.at,
         stored = excluded.stored WHERE excluded.at > at`,
        id,
        owner,
        commit.record,
        record.at,
        record.storedBytes,
      )
      const isKeptElsewhere = others.length > 0 && known !== undefined && isChecked(known) && !isLost
      for (const [part, locations] of commit.locations.entries())
        if (asker !== owner) {
          if (mayRelocate || !this.locations(id, part)) this.#putLocations(id, part, locations)
        } else if (!isKeptElsewhere) this.#putLocations(id, part, this.#anew(id, part, locations))
      for (const { cid, bytes } of blocks) {
        // a lease that was over may have let it be collected since it was seen above
        if (!this.#blocks.has(cid)) throw new PinGoError('BLOCK_MISSING', `Block ${cid} of the manifest is not here.`)
        this.#leases.add(keyOf(cid), bytes, { label: careLabel(id), owner, until: FOREVER })
      }
    })
    this.onCommit(id)
  }

  /** What is told of an object to those who ask; the owner named, when it is one of them. */
  state(id: string, owner?: string): ObjectState | undefined {
    const row = this.#row(id)
    const said = this.#said(id)
    if (!row) return said && { record: said.record, health: NOT_CHECKED, forgotten: said.word }
    return { record: this.#record(id, owner), health: JSON.parse(row.health) }
  }

  locations(id: string, part: number): Locations | undefined {
    const row = this.#db.get<{ locations: Uint8Array }>(
      'SELECT locations FROM locations WHERE id = ? AND part = ?',
      id,
      part,
    )
    return row && decode(LocationsSchema, row.locations, MAX_LOCATIONS_BYTES)
  }

  /** Objects of an owner, and bytes of all their shards in the network. */
  usage(owner: string): { objects: number; storedBytes: number } {
    return this.#db.get<{ objects: number; storedBytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(stored), 0) AS storedBytes FROM owners WHERE owner = ?',
      owner,
    )!
  }

  /** Objects in care, and how many are to be checked by `now` (ms since epoch). */
  count(now: number): { objects: number; due: number } {
    return this.#db.get<{ objects: number; due: number }>(
      'SELECT count(*) AS objects, coalesce(sum(due_at <= ?), 0) AS due FROM objects',
      now,
    )!
  }

  /** Ids of objects in care, those first that are checked next. */
  ids(limit: number): string[] {
    return this.#db.all<{ id: string }>('SELECT id FROM objects ORDER BY due_at LIMIT ?', limit).map(({ id }) => id)
  }

  async due(now: number, limit: number): Promise<string[]> {
    return this.#db
      .all<{ id: string }>('SELECT id FROM objects WHERE due_at <= ? ORDER BY due_at LIMIT ?', now, limit)
      .map(({ id }) => id)
  }

  async get(id: string): Promise<CaredObject | undefined> {
    const row = this.#row(id)
    if (!row) return undefined
    const [first, ...others] = this.#owners(id)
    return {
      id,
      record: first!.record,
      others: others.map(({ record }) => record),
      manifestCid: parseCid(row.manifest),
      manifest: await readManifest(this.#blocks, row.manifest),
      health: JSON.parse(row.health),
      dueAt: row.due_at,
    }
  }

  async part(id: string, part: number): Promise<CaredPart | undefined> {
    const row = this.#row(id)
    const locations = row && this.locations(id, part)
    if (!row || !locations) return undefined
    const manifest = await readManifest(this.#blocks, row.manifest)
    return { stripes: (await readPart(this.#blocks, manifest, part)).stripes, locations }
  }

  /** @throws PinGoError MANIFEST_MALFORMED */
  async setLocations(id: string, part: number, locations: Locations): Promise<boolean> {
    const row = this.#row(id)
    if (!row) return false
    const manifest = await readManifest(this.#blocks, row.manifest)
    if (part >= manifest.parts.length) return false
    decodeLocations(locations, manifest, part)
    this.#checkVersion(locations)
    return await this.#db.write(
      () => this.#row(id)?.manifest === row.manifest && this.#putLocations(id, part, locations),
    )
  }

  async setChecked(id: string, health: ObjectHealth, dueAt: number): Promise<void> {
    await this.#db.write(() =>
      this.#db.run('UPDATE objects SET health = ?, due_at = ? WHERE id = ?', JSON.stringify(health), dueAt, id),
    )
  }

  async hasten(at: number): Promise<void> {
    await this.#db.write(() => this.#db.run('UPDATE objects SET due_at = ?1 WHERE due_at > ?1', at))
  }

  async *blocks(id: string): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
    const row = this.#row(id)
    if (!row) return
    for await (const cid of manifestBlocks(this.#blocks, parseCid(row.manifest)))
      yield { cid, bytes: await this.#blocks.get(cid) }
  }

  async forgotten(id: string): Promise<Uint8Array | undefined> {
    if (this.#row(id)) return undefined // another owner wants it
    return this.#said(id)?.word
  }

  /**
   * @param isFromKnown who sends it is known: then the word is remembered also when the object was never here
   * @throws PinGoError MESSAGE_*, SIGNATURE_INVALID
   */
  async forget(id: string, sealed: Uint8Array, isFromKnown = true): Promise<void> {
    const { from: owner, value } = await unseal(ForgetSchema, FORGET_TYPE, sealed, MAX_WORD_BYTES)
    const now = this.#clock()
    if (value.id !== id || value.at > now + MAX_CLOCK_SKEW_MS)
      throw new PinGoError('MESSAGE_INVALID', `The word to forget is not of object ${id}, or of the future.`)
    await this.#db.write(() => {
      this.#db.run('DELETE FROM forgotten WHERE heard_at < ?', now - FORGOTTEN_KEPT_MS)
      const owned = this.#db.get<{ at: number; record: Uint8Array }>(
        'SELECT at, record FROM owners WHERE id = ? AND owner = ?',
        id,
        owner,
      )
      if (owned && owned.at > value.at) return // it was stored again since
      // only an owner's word counts: of an object that is unknown here, anybody might send one
      if (!owned && (!isFromKnown || this.#row(id) || this.#wordsOf(owner) >= MAX_FOREIGN_WORDS)) return
      this.#db.run(
        `INSERT INTO forgotten VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id, owner) DO UPDATE SET word = excluded.word, at = excluded.at,
         heard_at = excluded.heard_at WHERE excluded.at > at`,
        id,
        owner,
        owned?.record ?? new Uint8Array(0),
        sealed,
        value.at,
        now,
      )
      this.#disown(id, owner)
    })
  }

  async remove(id: string): Promise<void> {
    await this.#db.write(() => {
      for (const { owner } of this.#owners(id)) this.#disown(id, owner)
    })
  }

  #disown(id: string, owner: string): void {
    this.#leases.end(careLabel(id), owner)
    this.#db.run('DELETE FROM owners WHERE id = ? AND owner = ?', id, owner)
    if (this.#owners(id).length === 0) this.#db.run('DELETE FROM objects WHERE id = ?', id)
  }

  #said(id: string): { record: Uint8Array; word: Uint8Array } | undefined {
    return this.#db.get('SELECT record, word FROM forgotten WHERE id = ? ORDER BY at DESC', id)
  }

  #wordsOf(owner: string): number {
    return this.#db.get<{ n: number }>('SELECT count(*) AS n FROM forgotten WHERE owner = ?', owner)!.n
  }

  /** An owner's locations as the newest version, unless they are what is known. */
  #anew(id: string, part: number, told: Locations): Locations {
    const known = this.locations(id, part)
    if (!known) return told
    const isSame = Buffer.compare(encode({ ...told, version: 0 }), encode({ ...known, version: 0 })) === 0
    return isSame ? known : { ...told, version: (known.version ?? 0) + 1 }
  }

  #putLocations(id: string, part: number, locations: Locations): boolean {
    return (
      this.#db.run(
        `INSERT INTO locations VALUES (?, ?, ?, ?) ON CONFLICT (id, part) DO UPDATE SET version = excluded.version,
         locations = excluded.locations WHERE excluded.version > version`,
        id,
        part,
        locations.version ?? 0,
        encode(locations),
      ) > 0
    )
  }

  #row(id: string): ObjectRow | undefined {
    return this.#db.get<ObjectRow>('SELECT * FROM objects WHERE id = ?', id)
  }

  #owners(id: string): { owner: string; record: Uint8Array }[] {
    return this.#db.all('SELECT owner, record FROM owners WHERE id = ? ORDER BY at, owner', id)
  }

  #record(id: string, owner?: string): Uint8Array {
    const owners = this.#owners(id)
    return (owners.find((each) => each.owner === owner) ?? owners[0]!).record
  }

  /** True when a check found a stripe that could not be read. */
  async #isLost(id: string): Promise<boolean> {
    const row = this.#row(id)
    if (!row || !isChecked(row)) return false
    const { stripesByShards } = JSON.parse(row.health) as ObjectHealth
    const { code } = await readManifest(this.#blocks, row.manifest)
    return Object.keys(stripesByShards).some((left) => Number(left) < code.k)
  }

  #checkVersion({ version = 0 }: Locations): void {
    if (version > this.#clock() + MAX_VERSION_AHEAD_MS)
      throw new PinGoError('MESSAGE_INVALID', 'The locations are of the future: check the clock.')
  }
}

const isChecked = ({ health }: ObjectRow): boolean => (JSON.parse(health) as ObjectHealth).checkedAt !== undefined
