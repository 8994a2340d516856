import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type CID, matchesCid, PinGoError } from '@pingo/wire'
import { CHUNK_BYTES, MAX_BLOCK_BYTES } from '../limits.ts'
import { BlockIndex } from './block-index.ts'
import { blockFiles, type Disk, diskError, isCode, moveUp, nodeDisk } from './disk.ts'
import { collectGarbage } from './garbage.ts'
import { type CidLike, keyOf, toCid } from './key.ts'
import { OneByOne } from './one-by-one.ts'
import { type Pin, Pins } from './pins.ts'
import { Space } from './space.ts'

export interface BlockStoreOptions {
  /** Bytes that blocks may take. Unlimited by default. */
  quotaBytes?: number
  /** What of the quota each block takes beside its bytes: what the file system and the index add. 0 by default. */
  overheadBytes?: number
  /** Bytes that stay free on the disk: a block that would take them is refused with DISK_FULL. */
  minFreeBytes?: number
  /** For tests: a file system that fails. */
  disk?: Disk
  /** For tests: ms since epoch. */
  clock?: () => number
}

/** Memory that is lent for one block, bytes; larger ones get their own. One byte more than a chunk: see {@link Disk.read}. */
const LENT_BYTES = CHUNK_BYTES + 1
const MAX_SPARE = 16

/**
 * Blocks on disk, one file each: `blocks/ab/<sha256 in hex>`, written aside, synced and renamed, so that a block is there
 * whole or not at all; an index in SQLite; pins in a journal. Every read is verified. One process at a time.
 */
export class BlockStore {
  readonly #folder: string
  readonly #index: BlockIndex
  readonly #pins: Pins
  readonly #disk: Disk
  readonly #clock: () => number
  readonly #space: Space
  /** A block is written and removed by one at a time. */
  readonly #busy = new OneByOne()
  /** For each who holds the store, the blocks put meanwhile: they may belong to a file that is not pinned yet. */
  readonly #holds = new Set<Set<string>>()
  readonly #keepers = new Set<(key: string) => boolean>()
  readonly #removalListeners = new Set<(key: string) => void>()
  /** Grows with every pin, so that garbage collection notices those made meanwhile. */
  #pinned = 0
  readonly #spare: Buffer[] = []
  /** Blocks that were verified for whoever reads them in parts. */
  readonly #believed = new Set<string>()
  #believing: Promise<void> = Promise.resolve()
  #isClosed = false

  private constructor(folder: string, index: BlockIndex, pins: Pins, o: BlockStoreOptions) {
    this.#folder = folder
    this.#index = index
    this.#pins = pins
    this.#disk = o.disk ?? nodeDisk
    this.#clock = o.clock ?? Date.now
    this.#space = new Space({
      folder,
      quotaBytes: o.quotaBytes ?? Number.POSITIVE_INFINITY,
      overheadBytes: o.overheadBytes ?? 0,
      minFreeBytes: o.minFreeBytes ?? 0,
      stored: () => index.stats(),
      free: () => this.#disk.free(folder),
    })
  }

  /**
   * Opens the store in `folder`, or makes one. After a crash, what was half-written is swept and the index is compared with
   * the files; a damaged index is rebuilt from them.
   * @throws PinGoError STORE_IN_USE, DISK_FULL
   */
  static async open(folder: string, o: BlockStoreOptions = {}): Promise<BlockStore> {
    let index: BlockIndex | undefined
    try {
      await mkdir(join(folder, 'blocks'), { recursive: true, mode: 0o700 })
      const opened = BlockIndex.open(join(folder, 'index.sqlite'))
      index = opened.index
      await mkdir(join(folder, 'tmp'), { recursive: true, mode: 0o700 })
      for (const name of await readdir(join(folder, 'tmp'))) await rm(join(folder, 'tmp', name), { force: true })
      const store = new BlockStore(folder, index, new Pins(join(folder, 'pins.log')), o)
      if (!opened.isTrusted) await store.#compare()
      return store
    } catch (error) {
      index?.close(false)
      throw diskError(error, folder)
    }
  }

  /**
   * Stores a block; durable when it resolves. One that is here already is read, and written only when the disk damaged it: what is
   * acknowledged is there.
   * @param o.isCold nobody here reads it soon: it takes none of the memory in which the system keeps files that are read
   * @throws PinGoError BLOCK_MISMATCH, BLOCK_TOO_LARGE, QUOTA_EXCEEDED, DISK_FULL, CID_MALFORMED, CID_UNSUPPORTED
   */
  async put(cid: CidLike, bytes: Uint8Array, o: { isCold?: boolean } = {}): Promise<void> {
    const parsed = toCid(cid)
    if (bytes.byteLength > MAX_BLOCK_BYTES)
      throw new PinGoError(
        'BLOCK_TOO_LARGE',
        `A block of ${bytes.byteLength} bytes is over the limit of ${MAX_BLOCK_BYTES}.`,
      )
    if (!matchesCid(parsed, bytes))
      throw new PinGoError('BLOCK_MISMATCH', `The bytes are not those of block ${parsed}.`, {
        hint: 'They were damaged on their way, or the sender lies: fetch the block again, from another source.',
      })
    const key = keyOf(parsed)
    for (const held of this.#holds) held.add(key)
    let giveBack: (() => void) | undefined
    try {
      for (let isStored = false; !isStored; ) {
        this.#checkOpen()
        // room is made before the block is anybody's own: what is removed for it may wait for other blocks
        if (this.#index.size(key) === undefined) giveBack ??= await this.#space.take(bytes.byteLength)
        isStored = await this.#alone(key, () => this.#store(key, bytes, giveBack !== undefined, o))
      }
    } catch (error) {
      throw diskError(error, this.#folder)
    } finally {
      giveBack?.()
    }
  }

  /** @returns false when the block is not here any more and there is no room for it yet */
  async #store(key: string, bytes: Uint8Array, hasRoom: boolean, o: { isCold?: boolean }): Promise<boolean> {
    const size = this.#index.size(key)
    if (size !== undefined) {
      const there = await this.#read(key, size)
      if (there && Buffer.compare(there, bytes) === 0) {
        this.#index.touch(key, this.#clock())
        return true
      }
      await this.#remove(key)
    }
    if (!hasRoom) return false
    try {
      await this.#disk.write(this.#path(key), bytes, join(this.#folder, 'tmp'), o)
      this.#index.add(key, bytes.byteLength, this.#clock())
      return true
    } catch (error) {
      await this.#disk.remove(this.#path(key)).catch(() => undefined)
      throw error
    }
  }

  /**
   * A block's bytes, verified. A block that the disk damaged is dropped, so that it can be fetched again.
   * @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT
   */
  async get(cid: CidLike): Promise<Uint8Array> {
    return await this.#get(cid)
  }

  /**
   * Like {@link BlockStore.get}, in memory that the next reader gets when `giveBack` is called: for who sends many blocks and keeps none.
   * Fresh memory for each would have the garbage collector look at everything after every 64 MiB.
   */
  async lend(cid: CidLike): Promise<{ bytes: Uint8Array; giveBack(): void }> {
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(LENT_BYTES)
    let isLent = true
    const giveBack = () => {
      if (isLent && this.#spare.length < MAX_SPARE) this.#spare.push(buffer)
      isLent = false
    }
    try {
      return { bytes: await this.#get(cid, buffer), giveBack }
    } catch (error) {
      giveBack()
      throw error
    }
  }

  /**
   * Fills `into` with a block's bytes from `start` on. The block is verified as a whole when a part of it is first asked for; after that its
   * file, which nobody writes again, is believed until it goes or the store is closed. For who reads small parts over and over.
   * @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT
   */
  async readPart(cid: CidLike, start: number, into: Uint8Array): Promise<void> {
    const key = keyOf(cid)
    if (!this.#believed.has(key)) await this.#believe(cid, key)
    this.#checkOpen()
    const isThere = await this.#disk.readPart(this.#path(key), start, into).catch((error) => {
      if (isCode(error, 'EIO')) return false
      throw error
    })
    if (isThere) return
    // says what is wrong with it, and drops it when it is damaged
    this.#believed.delete(key)
    const { byteLength } = await this.get(cid)
    throw new RangeError(`Block ${toCid(cid)} has ${byteLength} bytes, not the ${into.byteLength} from ${start} on.`)
  }

  /** One block after the other, in the same memory. */
  async #believe(cid: CidLike, key: string): Promise<void> {
    const turn = this.#believing.then(async () => {
      if (this.#believed.has(key)) return
      const { giveBack } = await this.lend(cid)
      giveBack()
      if (this.#index.size(key) !== undefined) this.#believed.add(key)
    })
    this.#believing = turn.catch(() => undefined)
    await turn
  }

  async #get(cid: CidLike, into?: Uint8Array): Promise<Uint8Array> {
    const parsed = toCid(cid)
    const key = keyOf(parsed)
    this.#checkOpen()
    const size = this.#index.size(key)
    if (size === undefined) throw missing(parsed)
    const bytes = await this.#read(key, size, into)
    if (bytes && matchesCid(parsed, bytes)) return bytes
    await this.#alone(key, async () => {
      // it may have been removed and put again meanwhile
      const now = await this.#read(key, size)
      if (!now || !matchesCid(parsed, now)) await this.#remove(key)
    })
    if (!bytes) throw missing(parsed)
    throw new PinGoError('BLOCK_CORRUPT', `Block ${parsed} was damaged on disk and is dropped.`, {
      hint: 'Fetch it again from another holder; when this happens often, check the disk.',
      details: { cid: parsed.toString() },
    })
  }

  /** True when the block is here, as far as the index knows. */
  has(cid: CidLike): boolean {
    return this.size(cid) !== undefined
  }

  /** Bytes of a block, undefined when it is not here. */
  size(cid: CidLike): number | undefined {
    this.#checkOpen()
    return this.#index.size(keyOf(cid))
  }

  /** Removes a block, pinned or not. */
  async delete(cid: CidLike): Promise<void> {
    const key = keyOf(cid)
    await this.#alone(key, () => this.#remove(key))
  }

  stats(): { blocks: number; bytes: number } {
    this.#checkOpen()
    return this.#index.stats()
  }

  /** Bytes that count against the quota: with overhead, and with what is being written or removed. */
  get usedBytes(): number {
    this.#checkOpen()
    return this.#space.usedBytes
  }

  /** Another quota and margin from now on; what is over them stays until somebody removes it. */
  limit(limits: { quotaBytes: number; minFreeBytes: number }): void {
    this.#space.limit(limits)
  }

  /** Bytes that may still be written to the disk. */
  async freeBytes(): Promise<number> {
    return await this.#disk.free(this.#folder)
  }

  /**
   * Who removes what is dispensable when a block has no room, before it is refused.
   * @param makeRoom removes at least so many bytes, if it can, and tells how many came free; it must not wait for a put
   */
  onFull(makeRoom: (bytes: number) => Promise<number>): void {
    this.#space.makeRoom = makeRoom
  }

  /**
   * Keeps a root and all that it links to, as often as there are kinds; durable when it returns. `kind` is the owner's label.
   * @throws PinGoError PIN_INVALID, DISK_FULL
   */
  pin(root: CidLike, kind: string): void {
    this.#checkOpen()
    this.#pins.add(root, kind)
    this.#pinned += 1
  }

  /** Ends one kind of pin of a root, or all of them. */
  unpin(root: CidLike, kind?: string): void {
    this.#checkOpen()
    this.#pins.remove(root, kind)
  }

  /** Ends all pins of a kind. */
  unpinAll(kind: string): void {
    this.#checkOpen()
    this.#pins.removeAll(kind)
  }

  pins(): Pin[] {
    return [...this.#pins.list()]
  }

  /**
   * While it is held, {@link BlockStore.gc} spares every block that is put (even one that was here already): who writes a file
   * of many blocks holds the store until the file is pinned.
   */
  hold(): { release(): void } {
    const held = new Set<string>()
    this.#holds.add(held)
    return { release: () => void this.#holds.delete(held) }
  }

  /**
   * Keeps whatever `isKept` says, beside what is pinned: leases, caches. Asked for each block at the moment of its removal.
   * @param isKept gets a block's sha2-256 in hex
   * @returns ends it
   */
  keepAlso(isKept: (key: string) => boolean): () => void {
    this.#keepers.add(isKept)
    return () => this.#keepers.delete(isKept)
  }

  /**
   * Tells of every block that is removed, whatever the reason, by its sha2-256 in hex.
   * @returns ends it
   */
  onRemove(listener: (key: string) => void): () => void {
    this.#removalListeners.add(listener)
    return () => this.#removalListeners.delete(listener)
  }

  /** The blocks that are here, in order of their hashes (hex), from after `after` on; a page at a time. */
  entries(after?: string): Generator<{ key: string; bytes: number }> {
    this.#checkOpen()
    return this.#index.entries(Number.MAX_SAFE_INTEGER, after)
  }

  /**
   * Removes what no pin reaches (through the links of UnixFS files and of dag-cbor blocks) and nobody else keeps
   * ({@link BlockStore.keepAlso}). Puts may go on meanwhile.
   * @param o.olderThanMs spares blocks that were put, or put again, within this time; 0 by default
   * @param o.among looks at these blocks only
   * @param o.amongKeys the same, by their sha2-256 in hex
   */
  async gc(
    o: { olderThanMs?: number; among?: Iterable<CidLike>; amongKeys?: Iterable<string> } = {},
  ): Promise<{ blocks: number; bytes: number }> {
    const before = this.#clock() - (o.olderThanMs ?? 0)
    const among = o.among ? new Set([...o.among].map((cid) => keyOf(toCid(cid)))) : o.amongKeys
    const hold = this.hold()
    try {
      return await collectGarbage(
        {
          roots: () => this.pins().map(({ root }) => root),
          pinned: () => this.#pinned,
          has: (key) => this.#index.size(key) !== undefined,
          read: (cid) => this.get(cid),
          isKept: (key) =>
            [...this.#holds].some((held) => held.has(key)) || [...this.#keepers].some((keeps) => keeps(key)),
          remove: (key, isGarbage) =>
            this.#alone(key, async () => {
              if (!isGarbage()) return false
              await this.#remove(key)
              return true
            }),
        },
        among ? this.#index.pick(among, before) : this.#index.entries(before),
      )
    } finally {
      hold.release()
    }
  }

  /** Waits for what is under way, then closes. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#busy.settled()
    this.#pins.close()
    this.#index.close()
  }

  async #compare(): Promise<void> {
    const at = this.#clock()
    const found = new Set<string>()
    await moveUp(join(this.#folder, 'blocks'))
    for await (const { key, bytes } of blockFiles(join(this.#folder, 'blocks'))) {
      if (bytes > MAX_BLOCK_BYTES) {
        await this.#disk.remove(this.#path(key))
        continue
      }
      found.add(key)
      if (this.#index.size(key) === undefined) this.#index.add(key, bytes, at)
    }
    const gone = [...this.#index.entries()].filter(({ key }) => !found.has(key))
    this.#index.transaction(() => {
      for (const { key } of gone) this.#index.remove(key)
    })
  }

  /** A block's file; no bytes of one that the disk cannot read any more: it is damaged like any other. */
  async #read(key: string, size: number, into?: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.#disk.read(this.#path(key), size, into)
    } catch (error) {
      if (isCode(error, 'EIO')) return new Uint8Array(0)
      throw error
    }
  }

  async #remove(key: string): Promise<void> {
    const removed = this.#space.count(this.#index.size(key) ?? 0)
    try {
      this.#index.remove(key)
      this.#believed.delete(key)
      for (const listener of this.#removalListeners) listener(key)
      await this.#disk.remove(this.#path(key))
    } finally {
      removed()
    }
  }

  async #alone<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    this.#checkOpen()
    return await this.#busy.run(key, work)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new PinGoError('STORE_CLOSED', 'The store is closed.')
  }

  #path(key: string): string {
    return join(this.#folder, 'blocks', key.slice(0, 2), key)
  }
}

const missing = (cid: CID) =>
  new PinGoError('BLOCK_MISSING', `Block ${cid} is not here.`, {
    hint: 'Fetch it first.',
    details: { cid: cid.toString() },
  })
