import { isPinGoError, PinGoError } from '@pingo/wire'
import type { StorageNode } from '../nodes/port.ts'
import { within } from './abort.ts'
import type { Chunk, MadeStripe } from './make-stripe.ts'
import { stripeKey } from './object.ts'
import type { NodePool } from './pool.ts'

/** A chunk that is not stored after so long goes to another node. */
const PUT_DEADLINE_MS = 30_000

export interface SpreadOptions {
  pool: NodePool
  upload: string
  signal?: AbortSignal
  /** The chunk is not needed any more. */
  onStored: (shard: number) => void
  onReplaced: () => void
}

/**
 * Stores the chunks of a stripe, each on a node of its own: the best by rank, and the next one in the place of each that fails.
 * @param kept holders of an earlier try, whose shards are left as they are
 * @returns the PeerId for each shard when all are synced; undefined for empty ones
 * @throws PinGoError as {@link NodePool.find}
 */
export async function spread(
  { stripe, chunks }: MadeStripe,
  o: SpreadOptions,
  kept: readonly (string | undefined)[] = [],
): Promise<(string | undefined)[]> {
  const key = stripeKey(stripe)
  const wanted = chunks.filter((chunk) => chunk !== undefined).length
  const taken = new Set(kept.filter((peerId) => peerId !== undefined))
  const holders: (string | undefined)[] = chunks.map((_, shard) => kept[shard])
  const next = () =>
    o.pool.find(wanted, () => {
      const best = o.pool.ranked(key, wanted + taken.size)
      const free = best.find(({ record }) => !taken.has(record.peerId))
      if (free) taken.add(free.record.peerId)
      return free
    })
  const stop = new AbortController()
  const signal = o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal
  const store = async (shard: number, first: StorageNode | undefined) => {
    for (let node = first ?? (await next()); ; node = await next()) {
      try {
        await putChunk(node, chunks[shard]!, o.upload, signal)
      } catch (error) {
        signal.throwIfAborted()
        o.pool.fail(node, error)
        taken.delete(node.record.peerId)
        o.onReplaced()
        continue
      }
      holders[shard] = node.record.peerId
      o.pool.moved()
      o.onStored(shard)
      return
    }
  }
  // ranks are drawn once for all shards: a replacement alone asks again
  const missing = chunks.flatMap((chunk, shard) => (chunk && holders[shard] === undefined ? [shard] : []))
  const first = await o.pool.find(wanted, () => {
    const free = o.pool.ranked(key, wanted + taken.size).filter(({ record }) => !taken.has(record.peerId))
    return free.length >= missing.length ? free : undefined
  })
  for (const { record } of first.slice(0, missing.length)) taken.add(record.peerId)
  const all = missing.map((shard, n) => store(shard, first[n]))
  try {
    await Promise.all(all)
  } catch (error) {
    stop.abort(error)
    await Promise.allSettled(all)
    throw error
  }
  return holders
}

/** Stores a chunk, within a deadline. */
export async function putChunk(node: StorageNode, { cid, bytes }: Chunk, upload: string, signal?: AbortSignal) {
  try {
    await node.putChunk(cid, bytes, { upload, signal: within(PUT_DEADLINE_MS, signal) })
  } catch (cause) {
    signal?.throwIfAborted()
    if (isPinGoError(cause)) throw cause
    throw new PinGoError('SOURCE_UNREACHABLE', `${node.record.url} did not store a chunk in time.`, { cause })
  }
}
