import { type CID, LEAF_BYTES } from '@pingo/wire'
import type { OnFirstLeaf, OnProgress } from '../cdn/port.ts'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import type { HttpPool, Source } from './http-client.ts'

const HASH_BYTES = 32
const MAX_HASHES_BYTES = HASH_BYTES * Math.ceil(MAX_BLOCK_BYTES / LEAF_BYTES)

/**
 * The first leaf of a block that is on its way, as soon as it is there together with the hashes of all leaves, for which the source is asked here.
 * They come in one round trip beside the leaf. A source that does not tell them, or fails, is passed over.
 * @param tell called once at most
 * @returns `came`, to be told of what came of the block; `stop`, when nothing more comes
 */
export function firstLeaf(
  source: Source,
  cid: CID,
  o: { signal?: AbortSignal; deadlineMs: number; idleMs?: number; pool: HttpPool },
  tell: OnFirstLeaf,
): { came: OnProgress; stop(): void } {
  const over = new AbortController()
  const signal = o.signal ? AbortSignal.any([o.signal, over.signal]) : over.signal
  let leaf: Uint8Array | undefined
  let hashes: Uint8Array | undefined
  const tellBoth = () => {
    if (!leaf || !hashes || signal.aborted) return
    over.abort()
    tell(leaf, hashes)
  }
  askHashes(source, cid, { ...o, signal }).then(
    (all) => {
      hashes = all
      tellBoth()
    },
    () => undefined,
  )
  return {
    came(bytes, total) {
      if (leaf || bytes.byteLength < Math.min(LEAF_BYTES, total)) return
      leaf = bytes.subarray(0, LEAF_BYTES)
      tellBoth()
    },
    stop: () => over.abort(),
  }
}

async function askHashes(
  source: Source,
  cid: CID,
  o: { signal: AbortSignal; deadlineMs: number; idleMs?: number; pool: HttpPool },
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = []
  let isWhole = false
  let left = 0
  await o.pool.stream(source, `/v1/blocks/${cid}/leaves`, o, {
    head(status, headers) {
      left = Number(headers.get('content-length'))
      return status === 200 && left > 0 && left <= MAX_HASHES_BYTES && left % HASH_BYTES === 0
    },
    part(bytes) {
      left -= bytes.byteLength
      if (left >= 0) parts.push(Uint8Array.from(bytes))
      isWhole = left === 0
      return left > 0
    },
  })
  return isWhole ? Buffer.concat(parts) : undefined
}
