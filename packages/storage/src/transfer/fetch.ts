import { type CID, DAG_PB, type FileRef, isPinGoError, PinGoError } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { type CidLike, keyOf } from '../blocks/key.ts'
import { refOf, sizeMismatch } from '../files/file-store.ts'
import { readNode } from '../files/unixfs.ts'
import { MAX_FILE_BLOCKS, MAX_FILE_DEPTH } from '../limits.ts'
import { Holders } from './holders.ts'
import { type HttpPool, type Source, sharedPool } from './http-client.ts'

export interface FetchProgress {
  /** Blocks of the file that are here, those that were here before included; and the bytes of the file in them. */
  blocks: number
  bytes: number
  /** Bytes of the whole file. */
  totalBytes: number
}

export interface FetchOptions {
  signal?: AbortSignal
  /** Blocks on their way at once: 4 a source by default, 16 at most. */
  concurrency?: number
  onProgress?: (progress: FetchProgress) => void
  /** One attempt at one block is given up after it; what came is kept. 30 s by default. */
  timeoutMs?: number
  /** False trusts the disk for leaves that are here; by default each is read and checked. */
  verify?: boolean
  /**
   * Gets the file's blocks (sha2-256 in hex) as they are known. Garbage collection spares them until the fetch ends; who wants them
   * longer hands in a set that it keeps by {@link BlockStore.keepAlso}.
   */
  kept?: Set<string>
  /** Pins the root under this kind before garbage collection could reach the file. */
  pin?: string
  /** Connections to use; those of the process by default. */
  pool?: HttpPool
}

const CONCURRENCY_PER_SOURCE = 4
const MAX_CONCURRENCY = 16
const ATTEMPT_MS = 30_000

/**
 * Brings a file into a store: only the blocks that are missing or damaged, from several sources at once, each verified before
 * it is kept. A source that sends wrong bytes is dropped; a block that broke off is gone on with where it ended. When it
 * fails or is aborted, calling it again goes on from there.
 * @throws PinGoError FETCH_FAILED (no source has a block: says why, source by source), FILE_MALFORMED, FILE_SIZE_MISMATCH,
 *   FILE_TOO_LARGE, QUOTA_EXCEEDED, DISK_FULL, SOURCE_INVALID, or the signal's reason
 */
export async function fetchFile(
  file: FileRef | CidLike,
  sources: readonly Source[],
  into: BlockStore,
  o: FetchOptions = {},
): Promise<void> {
  o.signal?.throwIfAborted()
  const { cid, bytes } = refOf(file)
  const stop = new AbortController()
  const fetch = new Fetch(sources, into, o, o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal)
  const endKeeping = into.keepAlso((key) => fetch.kept.has(key))
  try {
    await fetch.run(cid, bytes)
    if (o.pin !== undefined) into.pin(cid, o.pin)
  } catch (error) {
    stop.abort(error) // the other blocks on their way are not wanted any more
    throw o.signal?.aborted ? o.signal.reason : error
  } finally {
    await fetch.settled()
    endKeeping()
  }
}

interface Wanted {
  cid: CID
  bytes: number | undefined
  depth: number
}

/** One file on its way: from the root down, as far as nodes are known. */
class Fetch {
  readonly #holders: Holders
  readonly #into: BlockStore
  readonly #o: FetchOptions
  readonly #signal: AbortSignal
  readonly #atOnce: number
  readonly #left: Wanted[] = []
  readonly #seen = new Set<string>()
  readonly kept: Set<string>
  readonly #running = new Set<Promise<void>>()
  readonly #progress: FetchProgress = { blocks: 0, bytes: 0, totalBytes: 0 }

  constructor(sources: readonly Source[], into: BlockStore, o: FetchOptions, signal: AbortSignal) {
    this.#holders = new Holders(sources, o.pool ?? sharedPool, o.timeoutMs ?? ATTEMPT_MS)
    this.#into = into
    this.#o = o
    this.#signal = signal
    this.kept = o.kept ?? new Set()
    const wanted = o.concurrency ?? CONCURRENCY_PER_SOURCE * sources.length
    this.#atOnce = Math.max(1, Math.min(MAX_CONCURRENCY, wanted))
  }

  async run(root: CID, bytes: number | undefined): Promise<void> {
    this.#want({ cid: root, bytes, depth: 1 })
    while (this.#left.length > 0 || this.#running.size > 0) {
      while (this.#left.length > 0 && this.#running.size < this.#atOnce) {
        const one: Promise<void> = this.#bring(this.#left.pop()!).finally(() => this.#running.delete(one))
        this.#running.add(one)
      }
      await Promise.race(this.#running)
    }
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#running)
    this.#holders.close()
  }

  #want(wanted: Wanted): void {
    const key = `${wanted.cid.code}:${keyOf(wanted.cid)}`
    if (this.#seen.has(key)) return
    if (this.#seen.size >= MAX_FILE_BLOCKS)
      throw new PinGoError('FILE_TOO_LARGE', `The file has more than ${MAX_FILE_BLOCKS} blocks.`)
    if (wanted.depth > MAX_FILE_DEPTH + 1)
      throw new PinGoError('FILE_MALFORMED', `The file's tree is deeper than ${MAX_FILE_DEPTH} levels.`)
    this.#seen.add(key)
    this.kept.add(keyOf(wanted.cid))
    this.#left.push(wanted)
  }

  async #bring({ cid, bytes, depth }: Wanted): Promise<void> {
    const block = await this.#block(cid)
    const node = block && cid.code === DAG_PB ? readNode(cid, block) : undefined
    const held = node?.data.byteLength ?? block?.byteLength ?? this.#into.size(cid) ?? 0
    const size = node?.bytes ?? held
    if (bytes !== undefined && size !== bytes) {
      if (depth === 1) throw sizeMismatch(cid, bytes, size)
      throw new PinGoError('FILE_MALFORMED', `Block ${cid} has ${size} bytes, its parent says ${bytes}.`)
    }
    if (depth === 1) this.#progress.totalBytes = size
    this.#progress.blocks += 1
    this.#progress.bytes += held
    // the last child first: what is left is a stack
    for (const child of node?.children.toReversed() ?? []) this.#want({ ...child, depth: depth + 1 })
    this.#o.onProgress?.({ ...this.#progress })
  }

  /** Brings the block unless it is here. @returns its bytes when they say more than its size in the store does */
  async #block(cid: CID): Promise<Uint8Array | undefined> {
    this.#signal.throwIfAborted()
    if (this.#into.has(cid)) {
      if (this.#o.verify === false && cid.code !== DAG_PB) return undefined
      try {
        return await this.#into.get(cid)
      } catch (error) {
        if (!isPinGoError(error, 'BLOCK_CORRUPT') && !isPinGoError(error, 'BLOCK_MISSING')) throw error
      }
    }
    let node: Uint8Array | undefined
    const accept = async (bytes: Uint8Array) => {
      try {
        await this.#into.put(cid, bytes, { isCold: true })
        if (cid.code === DAG_PB) node = Uint8Array.from(bytes) // the buffer is used again
        return true
      } catch (error) {
        if (isPinGoError(error, 'BLOCK_MISMATCH')) return false
        throw error
      }
    }
    await this.#holders.get(cid, accept, this.#signal)
    return node
  }
}
