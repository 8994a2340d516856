import { type CID, DAG_CBOR, DAG_PB, isPinGoError, PinGoError, RAW } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { cidOfKey, keyOf } from '../blocks/key.ts'
import type { DiskCache } from '../cache/disk-cache.ts'
import { SizedCache } from '../cache/s3-fifo.ts'
import type { BlockSource, BlockStream } from '../cdn/port.ts'
import type { Answer } from './answers.ts'
import { MAX_JOINED_BYTES } from './fast-lane.ts'

/** What a block costs beside its bytes: its answer in one piece when it is small, the heads of its answers, its places in maps. */
const OVERHEAD_BYTES = 2 << 10
const costOf = (bytes: number): number => bytes + Math.min(bytes, MAX_JOINED_BYTES) + OVERHEAD_BYTES

/** A block in memory. */
export interface HotBlock {
  readonly cid: CID
  /** Its sha2-256 in hex. */
  readonly key: string
  readonly bytes: Uint8Array
  /** Whether the store has it, as far as is known. */
  isStored: boolean
  /** Answers that were made of it: as a raw block; as a file, null when it is not a whole one. */
  raw?: Answer
  file?: Answer | null
  leaves?: Answer
}

export interface ReadOptions {
  signal?: AbortSignal
  /** The file that the block is read for. */
  root?: CID
  /** Only what is here: NOT_CACHED for all else. */
  isLocal?: boolean
}

/** Counts of reads: from memory, from the store, from other nodes, in vain. */
export interface Reads {
  memory: number
  disk: number
  remote: number
  missing: number
}

/** The gateway's way to a block: memory, the store, other nodes. Each is verified when it comes from disk or from elsewhere. */
export class HotBlocks {
  readonly #store: BlockStore
  readonly #source: BlockSource | undefined
  readonly #disk: DiskCache | undefined
  /** By the CID's text, as it is canonically written: what a request names. */
  readonly #cache: SizedCache<HotBlock>
  readonly #loading = new Map<string, Promise<HotBlock>>()
  /** Blocks read, by where they were. */
  readonly reads: Reads = { memory: 0, disk: 0, remote: 0, missing: 0 }

  constructor(store: BlockStore, o: { source?: BlockSource; disk?: DiskCache; cacheBytes: number }) {
    this.#store = store
    this.#source = o.source
    this.#disk = o.disk
    this.#cache = new SizedCache({ maxBytes: o.cacheBytes })
    store.onRemove((key) => {
      for (const code of [RAW, DAG_PB, DAG_CBOR]) this.#cache.delete(cidOfKey(key, code).toString())
    })
  }

  /** A block in memory, by the text of its CID. */
  peek(text: string): HotBlock | undefined {
    const block = this.#cache.get(text)
    if (block === undefined) return undefined
    this.reads.memory += 1
    if (this.#disk !== undefined) this.#note(block, this.#disk)
    return block
  }

  /** @throws PinGoError BLOCK_MISSING, BLOCK_CORRUPT, NOT_CACHED, and what the source rejects with */
  async get(cid: CID, o: ReadOptions = {}): Promise<HotBlock> {
    const text = cid.toString()
    const hot = this.peek(text)
    if (hot) return hot
    if (this.#store.has(cid)) {
      const block = await this.#load(cid, text).catch((error: unknown) => {
        if (
          (this.#source || o.isLocal) &&
          (isPinGoError(error, 'BLOCK_MISSING') || isPinGoError(error, 'BLOCK_CORRUPT'))
        )
          return
        throw error
      })
      if (block) {
        this.reads.disk += 1
        return block
      }
    }
    if (o.isLocal) throw new PinGoError('NOT_CACHED', `Block ${cid} is not here, and is not to be fetched.`)
    if (!this.#source) {
      this.reads.missing += 1
      throw new PinGoError('BLOCK_MISSING', `Block ${cid} is not here.`)
    }
    const bytes = await this.#source.get(cid, o).catch((error: unknown) => {
      if (isPinGoError(error, 'BLOCK_MISSING')) this.reads.missing += 1
      throw error
    })
    return this.#came(cid, text, bytes)
  }

  /**
   * A block that would have to be fetched, as it comes: for who checks it himself. It is kept when it was checked here.
   * @returns undefined when it is here already, or its source has no such thing
   */
  async stream(cid: CID, o: ReadOptions & { signal: AbortSignal }): Promise<BlockStream | undefined> {
    if (o.isLocal || !this.#source?.stream || this.size(cid) !== undefined) return undefined
    const stream = await this.#source.stream(cid, o)
    stream.block.then(
      (bytes) => this.#came(cid, cid.toString(), bytes),
      () => undefined,
    )
    return stream
  }

  #came(cid: CID, text: string, bytes: Uint8Array): HotBlock {
    this.reads.remote += 1
    return this.#cache.get(text) ?? this.#keep(text, { cid, key: keyOf(cid), bytes, isStored: this.#store.has(cid) })
  }

  /** Bytes of a block in memory or in the store; undefined when it would have to be fetched. */
  size(cid: CID): number | undefined {
    return this.#cache.get(cid.toString())?.bytes.byteLength ?? this.#store.size(cid)
  }

  /** From the store, once for all who ask meanwhile. */
  #load(cid: CID, text: string): Promise<HotBlock> {
    const under = this.#loading.get(text)
    if (under) return under
    const loading = this.#store
      .get(cid)
      .then((bytes) => {
        const key = keyOf(cid)
        this.#disk?.touch(key)
        return this.#keep(text, { cid, key, bytes, isStored: true })
      })
      .finally(() => this.#loading.delete(text))
    this.#loading.set(text, loading)
    return loading
  }

  #keep(text: string, block: HotBlock): HotBlock {
    this.#cache.set(text, block, costOf(block.bytes.byteLength))
    return block
  }

  /** Tells the disk's cache of a read in memory. */
  #note(block: HotBlock, disk: DiskCache): void {
    if (block.isStored) disk.touch(block.key)
    else disk.offer(block.cid, block.bytes)
    block.isStored = true // offered once for each time that it came; whether it was taken is the cache's business
  }
}
