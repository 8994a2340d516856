import { type CID, isPinGoError } from '@pingo/wire'
import { CHUNK_BYTES } from '../limits.ts'
import type { FindOptions } from './port.ts'

export interface PrefetchOptions {
  signal?: AbortSignal
  /** Bytes that may be fetched; a block counts as a whole chunk until it is here. */
  budget?: number
  /** Blocks at once, 4 by default. */
  concurrency?: number
  /** The root of the file that they are of. */
  root?: CID
  /** How many nodes near by have each: those that few have are fetched first, so that what is spread becomes even. */
  count?(cids: readonly CID[]): Promise<ReadonlyMap<CID, number>>
  /** 0 … 1; decides among the equally rare, so that many nodes that fetch the same do not all begin with the same. */
  random?: () => number
}

export interface Prefetched {
  blocks: number
  bytes: number
  /** Those that could not be had; asked for again they come as any other. */
  failed: CID[]
  /** Those that the budget did not reach. */
  left: CID[]
}

const CONCURRENCY = 4

/**
 * Brings blocks to this node before anybody asks, after all that somebody waits for: a job's next shards to where its leases are.
 * @param from its `getLater`
 * @param into keeps them; those that are here cost nothing
 * @throws PinGoError QUOTA_EXCEEDED, DISK_FULL, or the signal's reason
 */
export async function prefetch(
  cids: readonly CID[],
  from: { getLater(cid: CID, o?: FindOptions): Promise<Uint8Array> },
  into: { has(cid: CID): boolean; put(cid: CID, bytes: Uint8Array): Promise<void> },
  o: PrefetchOptions = {},
): Promise<Prefetched> {
  const { signal, root, budget = Number.POSITIVE_INFINITY } = o
  signal?.throwIfAborted()
  const random = o.random ?? Math.random
  const wanted = [...new Map(cids.map((cid) => [cid.toString(), cid])).values()].filter((cid) => !into.has(cid))
  const counts = await o.count?.(wanted)
  // what nobody near has may come from afar: it is the rarest
  const rarest = wanted
    .map((cid) => ({ cid, order: (counts?.get(cid) ?? 0) + random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ cid }) => cid)
  const done: Prefetched = { blocks: 0, bytes: 0, failed: [], left: [] }
  const stop = new AbortController()
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const next = rarest.values()
  let reserved = 0
  const lane = async () => {
    for (const cid of next) {
      either.throwIfAborted()
      if (done.bytes + reserved + CHUNK_BYTES > budget) {
        done.left.push(cid)
        continue
      }
      reserved += CHUNK_BYTES
      let bytes: Uint8Array
      try {
        bytes = await from.getLater(cid, { signal: either, root })
      } catch (error) {
        either.throwIfAborted()
        if (!isPinGoError(error)) throw error
        done.failed.push(cid)
        continue
      } finally {
        reserved -= CHUNK_BYTES
      }
      done.bytes += bytes.byteLength
      await into.put(cid, bytes)
      done.blocks += 1
    }
  }
  try {
    await Promise.all(Array.from({ length: o.concurrency ?? CONCURRENCY }, lane))
  } finally {
    stop.abort()
  }
  return done
}
