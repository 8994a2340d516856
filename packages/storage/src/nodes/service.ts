import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  ALLOWANCE_TYPE,
  CHUNK_LEASE_MS,
  type ChunkProof,
  type CID,
  type Commit,
  type Identity,
  isPinGoError,
  type Locations,
  MAX_ALLOWANCE_MS,
  PinGoError,
  proofBytes,
  seal,
  UPLOAD_LEASE_MS,
  type Usage,
} from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { type CidLike, keyOf } from '../blocks/key.ts'
import { leafCount, merkleProof } from '../durability/merkle.ts'
import type { Asker } from './access.ts'
import { CARE_SCHEMA, SqliteCaretakerStore } from './care-store.ts'
import { GroupedDatabase } from './database.ts'
import { KNOWN_SCHEMA, KnownNodes } from './known-nodes.ts'
import { LEASES_SCHEMA, Leases, objectLabel, uploadLabel } from './leases.ts'
import { type CheckName, NAMES_SCHEMA, NameStore } from './name-store.ts'
import { openObjectRecord } from './object-record.ts'
import { type NodeSettings, OwnRecord } from './own-record.ts'
import type { ObjectState } from './port.ts'
import { counted } from './rate.ts'
import { Room } from './room.ts'
import { SCRUB_SCHEMA, Scrubber, type ScrubberOptions } from './scrubber.ts'
import { SqliteStandings, STANDINGS_SCHEMA } from './standings.ts'

/** Chunks that are looked up before others get a turn. */
const LOOKED_UP_PER_TURN = 256
/** Chunks whose leases are renewed before others get a turn. */
const KEPT_PER_TURN = 256
/** Chunks that nobody wants any more are collected after this. */
const SOON_MS = 5_000
/** Records of names are versions still when they are over, for so long. */
const ENDED_NAMES_KEPT_MS = 90 * 24 * 3_600_000
/** What the cache gives up at once for data that must be stored: each time costs a walk over all pins. */
const ROOM_BYTES = 64 << 20
export interface StorageServiceOptions {
  /** Folder of `storage.sqlite`. */
  folder: string
  /** Where chunks go. Its own quota bounds what is written; here it is told. */
  blocks: BlockStore
  identity: Identity
  settings: NodeSettings
  /** Bytes that chunks may take. */
  quotaBytes: number
  /** True for the fog nodes that live: they may vouch for owners, renew leases and write repaired shards. */
  isFogNode?: (peerId: string) => boolean
  /** True for a fog node that may vouch without bounds: of the same operator. */
  isTrusted?: (peerId: string) => boolean
  /** True for those that may tell where an object's shards are: the fog nodes that see to it, and those next in rank. */
  mayRelocate?: (peerId: string, id: string) => boolean
  /** Checks a name's record; without it, names are not kept. */
  checkName?: CheckName
  /** How the disk is read in the background. */
  scrub?: Pick<ScrubberOptions, 'bytesPerSecond' | 'roundMs'>
  /** Asked for room before a chunk is refused: what is only cached goes. @returns bytes that came free */
  makeRoom?: (bytes: number) => Promise<number>
  /** Told of each chunk that was damaged on disk and is dropped, and of the objects that it is of: their caretakers bring it back. */
  onDamage?: (cid: CID, objects: string[]) => void
  /** ms since epoch. */
  clock?: () => number
}

/**
 * A fog node's storage: chunks under leases, objects in care, names; metadata in one SQLite database. What a promise resolves to is
 * on disk. Callers are told apart by who they are ({@link Asker}); what they may do is decided here.
 */
export class StorageService {
  readonly blocks: BlockStore
  readonly identity: Identity
  readonly care: SqliteCaretakerStore
  readonly names: NameStore
  readonly scrubber: Scrubber
  /** Fog nodes that proved themselves: their allowances count also while they are away. */
  readonly known: KnownNodes
  /** What this node thinks of the others. */
  readonly standings: SqliteStandings
  readonly #o: StorageServiceOptions
  readonly #db: GroupedDatabase
  readonly #leases: Leases
  readonly #room: Room
  readonly #record: OwnRecord
  readonly #clock: () => number
  readonly #unkeep: () => void
  /** Chunks that are being written, by how many: not leased yet, and not to be collected. */
  readonly #writing = new Map<string, number>()
  #collecting: Promise<void> = Promise.resolve()
  #soon: NodeJS.Timeout | undefined

  private constructor(o: StorageServiceOptions, db: GroupedDatabase) {
    this.#o = o
    this.#db = db
    this.#clock = o.clock ?? Date.now
    this.blocks = o.blocks
    this.identity = o.identity
    this.#leases = new Leases(db)
    this.care = new SqliteCaretakerStore({ db, leases: this.#leases, blocks: o.blocks, clock: this.#clock })
    this.names = new NameStore(db, o.checkName, this.#clock)
    this.known = new KnownNodes(db, this.#clock)
    this.standings = new SqliteStandings(db)
    this.#record = new OwnRecord({
      identity: o.identity,
      settings: o.settings,
      quotaBytes: o.quotaBytes,
      usedBytes: () => o.blocks.stats().bytes,
      clock: this.#clock,
    })
    this.#room = new Room({
      peerId: this.peerId,
      leases: this.#leases,
      quotaBytes: o.quotaBytes,
      isFogNode: (peerId) => this.#isFogNode(peerId),
      isKnown: (peerId) => this.known.has(peerId),
      isTrusted: o.isTrusted,
      clock: this.#clock,
    })
    const isWanted = (key: string) => this.#leases.isKept(key, this.#clock())
    this.#unkeep = o.blocks.keepAlso((key) => this.#writing.has(key) || isWanted(key))
    this.scrubber = new Scrubber({
      ...o.scrub,
      blocks: o.blocks,
      db,
      clock: this.#clock,
      isWanted,
      onCorrupt: (cid) => o.onDamage?.(cid, this.#leases.objectsOf(keyOf(cid))),
    })
  }

  /** @throws PinGoError DATABASE_UNREADABLE */
  static open(o: StorageServiceOptions): StorageService {
    return new StorageService(
      o,
      new GroupedDatabase(
        join(o.folder, 'storage.sqlite'),
        LEASES_SCHEMA + CARE_SCHEMA + NAMES_SCHEMA + SCRUB_SCHEMA + KNOWN_SCHEMA + STANDINGS_SCHEMA,
      ),
    )
  }

  get peerId(): string {
    return this.identity.peerId
  }

  /**
   * Stores a chunk under the lease of an upload ({@link UPLOAD_LEASE_MS}).
   * @throws PinGoError as {@link BlockStore.put}; ALLOWANCE_EXCEEDED, ALLOWANCE_MISSING
   */
  async putChunk(asker: Asker, cid: CID, bytes: Uint8Array, upload: string): Promise<void> {
    const key = keyOf(cid)
    const { peerId: owner } = asker
    const lease = { label: uploadLabel(upload), owner, until: this.#clock() + UPLOAD_LEASE_MS }
    const end = this.#room.reserve(asker, this.#leases.hasLease(key, owner) ? 0 : bytes.byteLength)
    const unguard = this.#guard(key)
    try {
      await this.#put(cid, bytes)
      await this.#db.write(() => {
        end() // from here on the lease counts
        if (asker.allowance) this.#leases.vouch(owner, asker.allowance.by)
        this.#leases.add(key, bytes.byteLength, lease)
      })
    } catch (error) {
      if (isPinGoError(error, 'DISK_FULL') || isPinGoError(error, 'QUOTA_EXCEEDED')) this.#record.full()
      throw error
    } finally {
      end()
      unguard()
    }
  }

  get settings(): Readonly<NodeSettings> {
    return this.#record.settings
  }

  /** Changes what the node tells of itself: that it leaves, its price. */
  set(settings: Partial<NodeSettings>): void {
    this.#record.set(settings)
  }

  /** What the node tells of itself, signed. */
  record(): Promise<Uint8Array> {
    return this.#record.sealed()
  }

  /** Bytes of the chunks under leases; those of several owners count to each. */
  get leasedBytes(): number {
    return this.#leases.bytes()
  }

  /** Ids of the objects that have shards here under leases. */
  leasedObjects(): string[] {
    return this.#leases.objects(this.#clock())
  }

  /** Those of `cids` that are not here. @throws PinGoError CID_MALFORMED, CID_UNSUPPORTED */
  async missing<C extends CidLike>(cids: readonly C[]): Promise<C[]> {
    const missing: C[] = []
    for (const [n, cid] of cids.entries()) {
      if (n % LOOKED_UP_PER_TURN === LOOKED_UP_PER_TURN - 1) await nextTurn()
      if (!this.blocks.has(cid)) missing.push(cid)
    }
    return missing
  }

  /**
   * Renews leases of chunks for an object, {@link CHUNK_LEASE_MS} from now at most. By the object's owner, or a fog node that shows the
   * owner's record: then the chunks count to the owner.
   * @returns those that are not here
   * @throws PinGoError FORBIDDEN, ALLOWANCE_EXCEEDED, ALLOWANCE_MISSING
   */
  async keep(
    asker: Asker,
    { object, cids, until, record }: { object: string; cids: readonly CID[]; until: number; record?: Uint8Array },
  ): Promise<CID[]> {
    const owner = this.#isFogNode(asker.peerId) && record ? await this.#ownerOf(object, record) : asker.peerId
    const lease = {
      label: objectLabel(object),
      owner,
      until: Math.floor(Math.min(until, this.#clock() + CHUNK_LEASE_MS)),
    }
    const missing: CID[] = []
    for (let at = 0; at < cids.length; at += KEPT_PER_TURN) {
      const here: { key: string; bytes: number }[] = []
      let more = 0
      for (const cid of cids.slice(at, at + KEPT_PER_TURN)) {
        const bytes = this.blocks.size(cid)
        const key = keyOf(cid)
        if (bytes === undefined) missing.push(cid)
        else {
          here.push({ key, bytes })
          if (!this.#leases.hasLease(key, owner)) more += bytes
        }
      }
      if (owner === asker.peerId) this.#room.check(asker, more)
      // from the look above to the lease nothing else runs: no chunk is collected between, no byte promised twice
      await this.#db.write(() => {
        for (const { key, bytes } of here) this.#leases.add(key, bytes, lease)
      })
    }
    return missing
  }

  /** Ends the leases that the asker has for an object. */
  async drop(asker: Asker, object: string): Promise<void> {
    await this.#db.write(() => this.#leases.end(objectLabel(object), asker.peerId))
    this.#collectSoon()
  }

  /** @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT, LEAF_UNKNOWN */
  async challenge(cid: CID, leaf: number, nonce: Uint8Array): Promise<ChunkProof> {
    const chunk = await this.blocks.get(cid)
    if (leaf >= leafCount(chunk.byteLength))
      throw new PinGoError('LEAF_UNKNOWN', `Block ${cid} has ${leafCount(chunk.byteLength)} leaves.`)
    const proof = merkleProof(chunk, leaf)
    const signature = await this.identity.sign(proofBytes(nonce, cid.toString(), leaf))
    return { ...proof, bytes: chunk.byteLength, signature }
  }

  /**
   * By the object's owner, who needs an allowance also for what is here already, or by a fog node that hands it over.
   * @throws PinGoError FORBIDDEN, ALLOWANCE_MISSING, ALLOWANCE_EXCEEDED, and as {@link SqliteCaretakerStore.commit}
   */
  async commit(asker: Asker, commit: Commit, object: string): Promise<void> {
    await this.care.commit(commit, asker.peerId, ({ owner, id }) => {
      if (id !== object) throw forbidden('The record is of another object.')
      if (owner === asker.peerId) {
        this.#room.check(asker, 0)
        return true
      }
      if (!this.#isFogNode(asker.peerId))
        throw forbidden('An object is committed by its owner, or handed over by a fog node.')
      return this.#mayRelocate(asker, id)
    })
  }

  object(id: string, asker?: Asker): ObjectState | undefined {
    return this.care.state(id, asker?.peerId)
  }

  /** @throws PinGoError OBJECT_MISSING */
  locations(id: string, part: number): Locations {
    const locations = this.care.locations(id, part)
    if (!locations) throw objectMissing(id)
    return locations
  }

  /** @throws PinGoError FORBIDDEN, OBJECT_MISSING, MANIFEST_MALFORMED */
  async relocate(asker: Asker, id: string, part: number, locations: Locations): Promise<void> {
    if (!this.#mayRelocate(asker, id)) throw forbidden("Where an object's shards are is told by its caretakers.")
    if (!(await this.care.setLocations(id, part, locations)) && !this.care.locations(id, part)) throw objectMissing(id)
  }

  /** @throws PinGoError MESSAGE_*, SIGNATURE_INVALID */
  async forget(id: string, word: Uint8Array, asker?: Asker): Promise<void> {
    const isKnown =
      asker !== undefined &&
      (this.#isFogNode(asker.peerId) || (asker.allowance !== undefined && this.#room.isGood(asker.allowance)))
    await this.care.forget(id, word, isKnown)
    this.#collectSoon()
  }

  /** Vouches for an owner. @param until ms since epoch, {@link MAX_ALLOWANCE_MS} from now at most */
  async allowance(owner: string, bytes: number, until: number): Promise<Uint8Array> {
    const value = { owner, bytes, until: Math.min(until, this.#clock() + MAX_ALLOWANCE_MS) }
    return await seal(this.identity, ALLOWANCE_TYPE, value)
  }

  usage(asker: Asker): Usage {
    const { allowance } = asker
    return {
      bytes: this.#leases.usedBy(asker.peerId),
      ...this.care.usage(asker.peerId),
      allowanceBytes: allowance && this.#room.isGood(allowance) ? allowance.bytes : 0,
      allowanceUntil: allowance?.until,
      price: this.settings.price,
    }
  }

  /**
   * Collects the chunks whose last lease ended.
   * @param o.orphansMs also those that never had a lease, which a crash may leave, when they were put before this time (ms)
   */
  async collect(o: { orphansMs?: number } = {}): Promise<{ blocks: number; bytes: number }> {
    const before = this.#collecting
    const mine = before.then(() => this.#collect(o.orphansMs))
    this.#collecting = mine.then(
      () => undefined,
      () => undefined,
    )
    return await mine
  }

  async #collect(orphansMs: number | undefined): Promise<{ blocks: number; bytes: number }> {
    const over: string[] = []
    for (let some: string[]; (some = await this.#db.write(() => this.#leases.removeOver(this.#clock()))).length > 0; )
      for (const key of some) over.push(key)
    await this.names.prune(this.#clock() - ENDED_NAMES_KEPT_MS)
    // one walk over the pins for all of them
    const freed = over.length > 0 ? await this.blocks.gc({ amongKeys: over }) : { blocks: 0, bytes: 0 }
    if (orphansMs === undefined) return freed
    const orphans = await this.blocks.gc({ olderThanMs: orphansMs })
    return { blocks: freed.blocks + orphans.blocks, bytes: freed.bytes + orphans.bytes }
  }

  /** Leases ended early: their chunks go shortly, many at once, because each collection walks over all pins. */
  #collectSoon(): void {
    this.#soon ??= setTimeout(() => {
      void this.collect()
        .catch(() => undefined) // the next one takes what is left
        .finally(() => {
          this.#soon = undefined
        })
    }, SOON_MS).unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#soon)
    await this.#collecting
    await this.scrubber.close()
    this.#unkeep()
    this.#db.close()
  }

  /** Leased data go before what is cached here. */
  async #put(cid: CID, bytes: Uint8Array): Promise<void> {
    try {
      await this.blocks.put(cid, bytes)
    } catch (error) {
      if (!isPinGoError(error, 'QUOTA_EXCEEDED') && !isPinGoError(error, 'DISK_FULL')) throw error
      if (!(await this.#o.makeRoom?.(ROOM_BYTES))) throw error
      await this.blocks.put(cid, bytes)
    }
  }

  async #ownerOf(object: string, sealed: Uint8Array): Promise<string> {
    const { owner, record } = await openObjectRecord(sealed)
    if (record.id !== object) throw forbidden('The record is of another object.')
    return owner
  }

  #mayRelocate({ peerId }: Asker, id: string): boolean {
    if (peerId === this.peerId) return true
    return this.#isFogNode(peerId) && this.#o.mayRelocate?.(peerId, id) !== false
  }

  #isFogNode(peerId: string): boolean {
    return peerId === this.peerId || this.#o.isFogNode?.(peerId) === true
  }

  /** Keeps a chunk from being collected before it is leased. */
  #guard(key: string): () => void {
    return counted(this.#writing, key, 1)
  }
}

const forbidden = (message: string) => new PinGoError('FORBIDDEN', message)
const objectMissing = (id: string) => new PinGoError('OBJECT_MISSING', `This node does not care for object ${id}.`)
