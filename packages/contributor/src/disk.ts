import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  BlockStore,
  type Disk,
  DiskCache,
  GroupedDatabase,
  keyOf,
  SCRUB_SCHEMA,
  Scrubber,
} from '@pingo/storage/fetching'
import { PinGoError, parseCid } from '@pingo/wire'
import { DEFAULT_KEEP_FREE_BYTES } from './owner/limits.ts'

const MIB = 1 << 20
/** What lies in the folder beside blocks: two indexes, their write-ahead logs of 4 MiB each, folders. */
const FIXED_BYTES = 16 * MIB
/** What a block takes beside its bytes: rounding up to the file system's 4 KiB, and its rows in the indexes. */
const BLOCK_OVERHEAD_BYTES = 4_608
/** The parts of the quota that blocks of the running lease, and files that are being read, may hold on to; the rest can be evicted at any time. */
const LEASE_SHARE = 0.25
const READING_SHARE = 0.5
/** A disk that was low is taken up again when this much more than the margin is free: no going to and fro. */
const RECOVERED = 1.1
const WATCH_MS = 10_000
/** A tenth of a hundredth of a core: the machine is its owner's. */
const SCRUB_BYTES_PER_SECOND = 1 * MIB

export interface DiskOptions {
  /** All that the folder may take, bytes. */
  quotaBytes: number
  /** Bytes that stay free on the disk. */
  keepFreeBytes?: number
  clock?: () => number
  /** Told when the disk gets low, and when it is no longer. */
  onChange?: () => void
  /** For tests. */
  disk?: Disk
  watchMs?: number
}

export interface DiskStatus {
  quotaBytes: number
  /** Bytes that the folder takes at most, by what is counted. */
  usedBytes: number
  /** The owner's disk is nearly full: nothing is stored, and cached blocks make room. */
  isLow: boolean
  /** Blocks that were found damaged at rest, and dropped. */
  damaged: number
}

/**
 * What an owner lends of a disk: a folder that never takes more than its quota. It holds copies of what is needed for leases, none of
 * them the last: evicted by S3-FIFO, but those that the running lease uses; verified at rest in the background; the first to go when
 * the owner's disk gets full.
 */
export class ContributorDisk {
  readonly blocks: BlockStore
  readonly #cache: DiskCache
  readonly #db: GroupedDatabase
  readonly #scrubber: Scrubber
  #o: DiskOptions
  /** Blocks that running leases use, with the slices whose leases these are. */
  readonly #leased = new Map<string, { bytes: number; slices: Set<number> }>()
  #leasedBytes = 0
  #isLow = false
  #damaged = 0
  #watch: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(blocks: BlockStore, cache: DiskCache, db: GroupedDatabase, o: DiskOptions) {
    this.blocks = blocks
    this.#cache = cache
    this.#db = db
    this.#o = o
    blocks.keepAlso((key) => this.#leased.has(key))
    blocks.onFull((bytes) => this.#free(bytes))
    this.#scrubber = new Scrubber({
      blocks,
      db,
      clock: o.clock ?? Date.now,
      isWanted: () => true,
      bytesPerSecond: SCRUB_BYTES_PER_SECOND,
      onCorrupt: () => {
        this.#damaged += 1
        o.onChange?.()
      },
    })
  }

  /** @throws PinGoError STORE_IN_USE, DISK_FULL, DATABASE_UNREADABLE */
  static async open(folder: string, o: DiskOptions): Promise<ContributorDisk> {
    const keepFree = o.keepFreeBytes ?? DEFAULT_KEEP_FREE_BYTES
    const quotaBytes = o.quotaBytes - FIXED_BYTES
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const blocks = await BlockStore.open(folder, {
      quotaBytes,
      overheadBytes: BLOCK_OVERHEAD_BYTES,
      minFreeBytes: keepFree,
      disk: o.disk,
      clock: o.clock,
    })
    try {
      const cache = DiskCache.open(folder, blocks, { maxBytes: quotaBytes })
      const db = new GroupedDatabase(join(folder, 'scrub.sqlite'), SCRUB_SCHEMA)
      const disk = new ContributorDisk(blocks, cache, db, { ...o, keepFreeBytes: keepFree })
      // what nobody claims was left by a crash; what is over the quota, by an owner who lends less than before
      await blocks.gc()
      if (blocks.usedBytes > quotaBytes) await disk.#free(blocks.usedBytes - quotaBytes)
      await disk.look()
      disk.#scrubber.start()
      disk.#watch = setInterval(() => void disk.look().catch(() => undefined), o.watchMs ?? WATCH_MS).unref()
      return disk
    } catch (error) {
      await blocks.close()
      throw error
    }
  }

  status(): DiskStatus {
    const { quotaBytes } = this.#o
    return {
      quotaBytes,
      usedBytes: this.#isClosed ? 0 : this.blocks.usedBytes + FIXED_BYTES,
      isLow: this.#isLow,
      damaged: this.#damaged,
    }
  }

  /** Notes that blocks, which are here, are read for a slice's running lease: it keeps as many as fit, and all are cached. */
  async use(cids: readonly string[], slice = 0): Promise<void> {
    const most = LEASE_SHARE * this.#roomBytes
    for (const cid of cids.map(parseCid)) {
      const bytes = this.blocks.size(cid) ?? 0
      const key = keyOf(cid)
      const held = this.#leased.get(key)
      if (held) held.slices.add(slice)
      else if (this.#leasedBytes + bytes <= most) {
        this.#leased.set(key, { bytes, slices: new Set([slice]) })
        this.#leasedBytes += bytes
      }
      await this.#cache.claim(cid)
    }
  }

  /** A slice's lease is over: what it alone held on to is the cache's to keep or to drop. */
  async endLease(slice = 0): Promise<void> {
    const keys: string[] = []
    for (const [key, { bytes, slices }] of this.#leased) {
      if (!slices.delete(slice) || slices.size > 0) continue
      this.#leased.delete(key)
      this.#leasedBytes -= bytes
      keys.push(key)
    }
    await this.blocks.gc({ amongKeys: keys })
  }

  /** Looks at the owner's disk: when it is low, cached blocks go first. Called now and then; never fails for a disk that is full. */
  async look(): Promise<void> {
    if (this.#isClosed) return
    const margin = this.#o.keepFreeBytes!
    const enough = this.#isLow ? margin * RECOVERED : margin
    let free = await this.blocks.freeBytes()
    if (free < enough && (await this.#free(enough - free)) > 0) free = await this.blocks.freeBytes()
    const isLow = free < enough
    if (isLow === this.#isLow) return
    this.#isLow = isLow
    this.#o.onChange?.()
  }

  /** The owner lends more or less from now on: what is over it goes, cached blocks first. */
  async limit({ quotaBytes, keepFreeBytes }: { quotaBytes: number; keepFreeBytes: number }): Promise<void> {
    if (this.#isClosed || (quotaBytes === this.#o.quotaBytes && keepFreeBytes === this.#o.keepFreeBytes)) return
    this.#o = { ...this.#o, quotaBytes, keepFreeBytes }
    this.blocks.limit({ quotaBytes: this.#roomBytes, minFreeBytes: keepFreeBytes })
    if (this.blocks.usedBytes > this.#roomBytes) await this.#free(this.blocks.usedBytes - this.#roomBytes)
    await this.look()
  }

  /** Bytes of the files that may be read at once. */
  get readingBytes(): number {
    return READING_SHARE * this.#roomBytes
  }

  get #roomBytes(): number {
    return this.#o.quotaBytes - FIXED_BYTES
  }

  /** Nothing is stored now, since the owner's disk is nearly full. */
  get isLow(): boolean {
    return this.#isLow
  }

  /** What is said to whoever wanted to store something meanwhile. */
  low(cause?: unknown): PinGoError {
    return new PinGoError(
      'DISK_LOW',
      'The disk of this machine is nearly full: nothing is stored on it before space is free again.',
      { hint: 'Free some space; the contributor goes on by itself.', cause },
    )
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#watch)
    await this.#scrubber.close()
    await this.#cache.close()
    await this.blocks.close()
    this.#db.close()
  }

  /** Cached blocks first, then what nobody claims. Of those that the lease uses only the claim goes. */
  async #free(bytes: number): Promise<number> {
    let freed = 0
    while (freed < bytes && this.#cache.stats().blocks > 0) freed += await this.#cache.free(bytes - freed)
    return freed >= bytes ? freed : freed + (await this.blocks.gc()).bytes
  }
}
