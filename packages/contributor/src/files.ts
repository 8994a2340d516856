import { FileStore, fetchFile, type Source } from '@pingo/storage'
import { type FileRef, isPinGoError } from '@pingo/wire'
import { type Bandwidth, capReached } from './bandwidth/bandwidth.ts'
import { CountedPool } from './bandwidth/counted-pool.ts'
import type { ContributorDisk } from './disk.ts'

/** A block may be evicted, or found damaged, between its coming and its reading: then it is fetched again. */
const ATTEMPTS = 3

/** Files by CID: from the disk cache, else fetched from the fog node, every block verified. */
export class Files {
  readonly #disk: ContributorDisk
  readonly #store: FileStore
  readonly #sources: () => Source[]
  readonly #bandwidth: Bandwidth | undefined
  readonly #pool: CountedPool | undefined
  /** Bytes of the files that are being read, and who waits for one to be done. */
  #reading = 0
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
    while (this.#reading > 0 && this.#reading + ref.bytes > this.#disk.readingBytes) {
      await this.#done.promise
      signal.throwIfAborted()
    }
    this.#reading += ref.bytes
    try {
      return await this.#read(ref, signal, slice)
    } finally {
      this.#reading -= ref.bytes
      this.#done.resolve()
      this.#done = Promise.withResolvers()
    }
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
    try {
      await fetchFile(ref, this.#sources(), this.#disk.blocks, { signal, verify: false, kept, ...(pool && { pool }) })
    } catch (error) {
      if (this.#bandwidth?.isCapped && isPinGoError(error, 'FETCH_FAILED')) throw capReached()
      throw error
    }
  }

  async #read(ref: FileRef, signal: AbortSignal, slice: number): Promise<Uint8Array> {
    const { blocks } = this.#disk
    const kept = new Set<string>()
    const endKeeping = blocks.keepAlso((key) => kept.has(key))
    try {
      for (let attempt = 1; ; attempt++) {
        // what is here already is verified when it is read
        if (!this.#disk.isLow) await this.#fetch(ref, signal, kept)
        try {
          await this.#disk.use(await this.#store.chunks(ref.cid), slice)
          return await this.#store.readAll(ref.cid)
        } catch (error) {
          if (!isPinGoError(error) || !['BLOCK_MISSING', 'BLOCK_CORRUPT'].includes(error.code)) throw error
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
