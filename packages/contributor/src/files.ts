import { type Extent, FileStore, fetchFile, type Source } from '@pingo/storage/fetching'
import { type FileRef, isPinGoError } from '@pingo/wire'
import { type Bandwidth, capReached } from './bandwidth/bandwidth.ts'
import { CountedPool } from './bandwidth/counted-pool.ts'
import type { ContributorDisk } from './disk.ts'

/** A block may be evicted, or found damaged, between its coming and its reading: then it is fetched again. */
const ATTEMPTS = 3
/** Blocks on their way at once from a source, a MiB of memory each: one file gets all of them, files that come beside each other share. */
const BLOCKS_AT_ONCE = 4

/** Files by CID: from the disk cache, else fetched from the fog node, every block verified. */
export class Files {
  readonly #disk: ContributorDisk
  readonly #store: FileStore
  readonly #sources: () => Source[]
  readonly #bandwidth: Bandwidth | undefined
  readonly #pool: CountedPool | undefined
  /** Bytes of the files that are being read, and who waits for one to be done. */
  #reading = 0
  #fetching = 0
  /** Files that are read in parts, by slice and CID: where their bytes lie. What is here has been fetched. */
  readonly #opened = new Map<string, Promise<Extent[]>>()
  #done = Promise.withResolvers<void>()

  /** @param bandwidth the owner's limits; absent: none */
  constructor(disk: ContributorDisk, sources: () => Source[], bandwidth?: Bandwidth) {
    this.#disk = disk
    this.#store = new FileStore(disk.blocks)
    this.#sources = sources
    this.#bandwidth = bandwidth
    this.#pool = bandwidth && new CountedPool(bandwidth)
  }

  /**
   * Files that have no room beside each other are read one after the other.
   * @param slice whose lease holds on to them
   * @throws PinGoError FETCH_FAILED, QUOTA_EXCEEDED, DISK_LOW, DATA_CAP_REACHED, and as {@link fetchFile}
   */
  async read(ref: FileRef, signal: AbortSignal, slice = 0): Promise<Uint8Array> {
    return await this.#bring(ref, signal, slice, () => this.#store.readAll(ref.cid))
  }

  /**
   * Fills `into` with a file's bytes from `start` on. The file is fetched when it is first asked for; of what is evicted meanwhile the missing
   * blocks are fetched again.
   * @throws PinGoError as {@link Files.read}
   */
  async readPart(ref: FileRef, start: number, into: Uint8Array, signal: AbortSignal, slice = 0): Promise<void> {
    const key = `${slice} ${ref.cid}`
    for (let attempt = 1; attempt < ATTEMPTS; attempt++) {
      const opening = this.#opened.get(key) ?? this.#open(key, ref, signal, slice)
      try {
        return await this.#store.readPart(await opening, start, into)
      } catch (error) {
        signal.throwIfAborted()
        if (this.#opened.get(key) === opening) this.#opened.delete(key)
        // an opening that failed for another reader's end is tried again as well
        if (!isGone(error) && isPinGoError(error)) throw error
      }
    }
    // where it has hardly room it is read while nothing can evict it
    await this.#bring(ref, signal, slice, async () => this.#store.readPart(await this.#store.extents(ref), start, into))
  }

  /** A slice's lease is over: what it alone held on to is the cache's. */
  async endLease(slice: number): Promise<void> {
    for (const key of this.#opened.keys()) if (key.startsWith(`${slice} `)) this.#opened.delete(key)
    await this.#disk.endLease(slice)
  }

  #open(key: string, ref: FileRef, signal: AbortSignal, slice: number): Promise<Extent[]> {
    const opening = this.#bring(ref, signal, slice, () => this.#store.extents(ref))
    this.#opened.set(key, opening)
    opening.catch(() => this.#opened.get(key) === opening && this.#opened.delete(key))
    return opening
  }

  /** Keeps a file of this machine's own, one of the cache's as long as it lies there. @throws PinGoError QUOTA_EXCEEDED, DISK_LOW */
  async put(bytes: Uint8Array, slice: number): Promise<FileRef> {
    if (this.#disk.isLow) throw this.#disk.low()
    const ref = await this.#store.put(bytes)
    await this.#disk.use(await this.#store.chunks(ref.cid), slice)
    return ref
  }

  /** A file that {@link Files.put} kept, without asking anybody for it. @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT */
  readKept(ref: FileRef): Promise<Uint8Array> {
    return this.#store.readAll(ref.cid)
  }

  /** Drops a file that will not be wanted again. */
  async drop(ref: FileRef): Promise<void> {
    for (const cid of await this.#store.chunks(ref.cid).catch(() => [])) await this.#disk.blocks.delete(cid)
  }

  /** Ends the connections that are idle. */
  close(): void {
    this.#pool?.close()
  }

  async #fetch(ref: FileRef, signal: AbortSignal, kept: Set<string>): Promise<void> {
    const pool = this.#pool
    const sources = this.#sources()
    const concurrency = Math.max(1, Math.floor((BLOCKS_AT_ONCE * sources.length) / ++this.#fetching))
    try {
      await fetchFile(ref, sources, this.#disk.blocks, {
        signal,
        verify: false,
        kept,
        concurrency,
        ...(pool && { pool }),
      })
    } catch (error) {
      if (this.#bandwidth?.isCapped && isPinGoError(error, 'FETCH_FAILED')) throw capReached()
      throw error
    } finally {
      this.#fetching--
    }
  }

  /** Fetches what is missing of a file, as soon as there is room for it, and keeps all of it while `then` reads it. */
  async #bring<T>(ref: FileRef, signal: AbortSignal, slice: number, then: () => Promise<T>): Promise<T> {
    while (this.#reading > 0 && this.#reading + ref.bytes > this.#disk.readingBytes) {
      await this.#done.promise
      signal.throwIfAborted()
    }
    this.#reading += ref.bytes
    try {
      return await this.#read(ref, signal, slice, then)
    } finally {
      this.#reading -= ref.bytes
      this.#done.resolve()
      this.#done = Promise.withResolvers()
    }
  }

  async #read<T>(ref: FileRef, signal: AbortSignal, slice: number, then: () => Promise<T>): Promise<T> {
    const { blocks } = this.#disk
    const kept = new Set<string>()
    const endKeeping = blocks.keepAlso((key) => kept.has(key))
    try {
      for (let attempt = 1; ; attempt++) {
        // what is here already is verified when it is read
        if (!this.#disk.isLow) await this.#fetch(ref, signal, kept)
        try {
          await this.#disk.use(await this.#store.chunks(ref.cid), slice)
          return await then()
        } catch (error) {
          if (!isGone(error)) throw error
          if (this.#disk.isLow) throw this.#disk.low(error)
          if (attempt === ATTEMPTS) throw error
        }
      }
    } catch (error) {
      if (!isPinGoError(error, 'DISK_FULL')) throw error
      await this.#disk.look()
      throw this.#disk.isLow ? this.#disk.low(error) : error
    } finally {
      endKeeping()
    }
  }
}

const isGone = (error: unknown): boolean =>
  isPinGoError(error) && ['BLOCK_MISSING', 'BLOCK_CORRUPT'].includes(error.code)
