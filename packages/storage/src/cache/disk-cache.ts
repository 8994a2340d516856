import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { type CID, isPinGoError } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { cidOfKey, keyOf } from '../blocks/key.ts'
import type { BlockCache } from '../cdn/port.ts'
import { SizedCache } from './s3-fifo.ts'

/** Blocks that were offered once and are remembered. */
const MAX_SEEN = 100_000
/** Blocks that wait to be written; what is offered beyond is not taken. */
const MAX_WAITING = 32
/** Part of the budget that may wait to be removed: finding out what else keeps a block costs a walk over all pins, so many go at once. */
const SWEEP_SHARE = 1 / 16
const MAX_SWEEP_BYTES = 1 << 30

/**
 * Blocks of other nodes that are kept on this one's disk because they are read here: in its {@link BlockStore}, within a budget of
 * their own, evicted by S3-FIFO. What is leased or pinned is not the cache's to remove: it only gives up its own claim, and garbage
 * collection decides. Which blocks it claims stands in `cache.sqlite`; without that file the store's next collection takes them.
 */
export class DiskCache implements BlockCache {
  readonly #blocks: BlockStore
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  readonly #delete: StatementSync
  readonly #claims: SizedCache<true>
  readonly #sweepBytes: number
  readonly #seen = new Set<string>()
  #victims = new Set<string>()
  #victimBytes = 0
  #sweeping: Promise<number> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #isClosed = false
  readonly #ends: (() => void)[]

  private constructor(blocks: BlockStore, db: DatabaseSync, maxBytes: number) {
    this.#blocks = blocks
    this.#db = db
    this.#insert = db.prepare('INSERT OR REPLACE INTO cached (hash, bytes) VALUES (?, ?)')
    this.#delete = db.prepare('DELETE FROM cached WHERE hash = ?')
    this.#sweepBytes = Math.min(MAX_SWEEP_BYTES, maxBytes * SWEEP_SHARE)
    this.#claims = new SizedCache({
      maxBytes: maxBytes - this.#sweepBytes,
      onEvict: (key, _, bytes) => {
        this.#delete.run(Buffer.from(key, 'hex'))
        this.#victims.add(key)
        this.#victimBytes += bytes
      },
    })
    for (const { hash, bytes } of db.prepare('SELECT hash, bytes FROM cached ORDER BY rowid').all()) {
      const key = Buffer.from(hash as Uint8Array).toString('hex')
      if (blocks.has(cidOfKey(key))) this.#claims.set(key, true, bytes as number)
      else this.#delete.run(hash as Uint8Array)
    }
    this.#ends = [
      blocks.keepAlso((key) => this.#claims.has(key)),
      blocks.onRemove((key) => {
        if (this.#claims.delete(key)) this.#delete.run(Buffer.from(key, 'hex'))
      }),
    ]
  }

  /**
   * The cache of the store in `folder`.
   * @param o.maxBytes the budget: what it claims, with what waits to be removed, never takes more
   */
  static open(folder: string, blocks: BlockStore, o: { maxBytes: number }): DiskCache {
    const file = join(folder, 'cache.sqlite')
    let db: DatabaseSync
    try {
      db = openDatabase(file)
    } catch {
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
      db = openDatabase(file)
    }
    return new DiskCache(blocks, db, o.maxBytes)
  }

  /** Notes a read of a block, by its sha2-256 in hex; nothing when it is none of the cache's. */
  touch(key: string): void {
    this.#claims.get(key)
  }

  /** Whether the cache claims a block. */
  has(cid: CID): boolean {
    return this.#claims.has(keyOf(cid))
  }

  /** {@link DiskCache.admit} for who does not wait for it; a block that cannot be written is not cached, and that is all. */
  offer(cid: CID, bytes: Uint8Array): void {
    this.admit(cid, bytes).catch(() => undefined)
  }

  /**
   * Offers a block that came from elsewhere or is read from memory: it is written when it is offered for the second time, since most
   * blocks are read once. A full disk or quota is no error here.
   * @returns whether it is in the store now
   */
  async admit(cid: CID, bytes: Uint8Array): Promise<boolean> {
    const key = keyOf(cid)
    if (this.#blocks.has(cid)) return true
    if (!this.#seen.delete(key)) {
      this.#seen.add(key)
      if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.values().next().value!)
      return false
    }
    if (this.#waiting >= MAX_WAITING) return false
    this.#waiting += 1
    const mine = this.#last.then(() => this.#write(cid, key, bytes))
    this.#last = mine.catch(() => undefined)
    return await mine.finally(() => {
      this.#waiting -= 1
    })
  }

  /** One at a time: nothing is evicted while it is being written. */
  async #write(cid: CID, key: string, bytes: Uint8Array): Promise<boolean> {
    if (this.#isClosed) return false
    if (this.#blocks.has(cid)) return true
    if (this.#victimBytes + bytes.byteLength > this.#sweepBytes) await this.#sweep()
    this.#claims.set(key, true, bytes.byteLength)
    if (!this.#claims.has(key)) return false // larger than the budget
    this.#insert.run(Buffer.from(key, 'hex'), bytes.byteLength)
    try {
      await this.#put(cid, bytes)
      return true
    } catch (error) {
      this.#claims.delete(key)
      this.#delete.run(Buffer.from(key, 'hex'))
      if (isPinGoError(error, 'QUOTA_EXCEEDED') || isPinGoError(error, 'DISK_FULL')) return false
      throw error
    }
  }

  /**
   * Claims a block that somebody put into the store, or notes that it is read again: for who needs what it fetches at once and has no
   * second time to wait for.
   */
  async claim(cid: CID): Promise<void> {
    const key = keyOf(cid)
    const bytes = this.#blocks.size(cid)
    if (this.#isClosed || bytes === undefined || this.#claims.get(key)) return
    this.#claims.set(key, true, bytes)
    if (this.#claims.has(key)) this.#insert.run(Buffer.from(key, 'hex'), bytes)
    if (this.#victimBytes > this.#sweepBytes) await this.#sweep()
  }

  /** Makes room for data that must be stored. @returns bytes that came free, which may be fewer than `bytes` */
  async free(bytes: number): Promise<number> {
    this.#claims.shrink(Math.max(0, this.#claims.bytes - Math.max(0, bytes - this.#victimBytes)))
    return await this.#sweep()
  }

  stats(): { blocks: number; bytes: number } {
    return { blocks: this.#claims.size, bytes: this.#claims.bytes }
  }

  /** Before the store is closed. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#last
    await this.#sweeping?.catch(() => undefined)
    for (const end of this.#ends) end()
    this.#db.close()
  }

  async #put(cid: CID, bytes: Uint8Array): Promise<void> {
    try {
      await this.#blocks.put(cid, bytes)
    } catch (error) {
      if (this.#victims.size === 0) throw error
      await this.#sweep()
      await this.#blocks.put(cid, bytes)
    }
  }

  /** Removes what was evicted and nothing else keeps. */
  async #sweep(): Promise<number> {
    while (this.#sweeping) await this.#sweeping
    if (this.#victims.size === 0) return 0
    const victims = this.#victims
    this.#victims = new Set()
    this.#victimBytes = 0
    this.#sweeping = this.#blocks
      .gc({ among: [...victims].map((key) => cidOfKey(key)) })
      .then(({ bytes }) => bytes)
      .finally(() => {
        this.#sweeping = undefined
      })
    return await this.#sweeping
  }
}

function openDatabase(file: string): DatabaseSync {
  const db = new DatabaseSync(file)
  try {
    // what is lost here is only a claim: the block is collected and fetched again
    db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS cached (hash BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL) STRICT`)
    db.prepare('SELECT hash, bytes FROM cached LIMIT 1').get()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
