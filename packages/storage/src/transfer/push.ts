import { setTimeout as sleep } from 'node:timers/promises'
import { isPinGoError, PinGoError, parseCid } from '@pingo/wire'
import { z } from 'zod'
import type { BlockStore } from '../blocks/block-store.ts'
import { type CidLike, toCid } from '../blocks/key.ts'
import { FileStore } from '../files/file-store.ts'
import { MAX_MISSING_CIDS } from '../limits.ts'
import { type HttpAnswer, type HttpPool, type HttpRequest, request, type Source, sharedPool } from './http-client.ts'

export interface PushProgress {
  /** Blocks that the target has of the file, of all. */
  blocks: number
  totalBlocks: number
  /** Bytes that were sent. */
  sentBytes: number
}

export interface PushOptions {
  signal?: AbortSignal
  /** Blocks on their way at once, 4 by default. */
  concurrency?: number
  onProgress?: (progress: PushProgress) => void
  pool?: HttpPool
}

const CONCURRENCY = 4
const ATTEMPTS = 4
const FIRST_PAUSE_MS = 200
const MAX_ANSWER_BYTES = 1 << 20
/** CIDs a question: their answer stays far below {@link MAX_ANSWER_BYTES}. */
const BATCH = 1_000

const MissingSchema = z.object({ missing: z.array(z.string().max(200)).max(MAX_MISSING_CIDS) })
const ErrorSchema = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(2_000), hint: z.string().max(2_000).optional() }),
})

/**
 * Brings a file to a node that takes blocks: asks which are missing, sends those. When it fails, calling it again goes on.
 * @throws PinGoError BLOCK_MISSING, SOURCE_UNREACHABLE, UNAUTHORIZED, PUSH_FAILED, the target's own (QUOTA_EXCEEDED, DISK_FULL),
 *   or the signal's reason
 */
export async function pushFile(cid: CidLike, from: BlockStore, target: Source, o: PushOptions = {}): Promise<void> {
  const pool = o.pool ?? sharedPool
  const cids = await new FileStore(from).chunks(cid)
  const progress: PushProgress = { blocks: 0, totalBlocks: cids.length, sentBytes: 0 }
  for (let at = 0; at < cids.length; at += BATCH) {
    const batch = cids.slice(at, at + BATCH)
    const missing = await askMissing(batch, target, pool, o.signal)
    progress.blocks += batch.length - missing.length
    o.onProgress?.({ ...progress })
    const next = missing[Symbol.iterator]()
    const lane = async () => {
      for (const text of next) {
        const bytes = await from.get(text)
        await call(target, `/v1/blocks/${text}`, { method: 'PUT', body: bytes, signal: o.signal }, pool)
        progress.blocks += 1
        progress.sentBytes += bytes.byteLength
        o.onProgress?.({ ...progress })
      }
    }
    const lanes = Array.from({ length: Math.max(1, o.concurrency ?? CONCURRENCY) }, lane)
    try {
      await Promise.all(lanes)
    } catch (error) {
      next.return?.(undefined) // the other lanes end with what they have in hand
      await Promise.allSettled(lanes)
      throw error
    }
  }
}

async function askMissing(
  cids: string[],
  target: Source,
  pool: HttpPool,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const answer = await call(
    target,
    '/v1/blocks/missing',
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ cids }), signal },
    pool,
  )
  const asked = new Map(cids.map((cid) => [toCid(cid).toString(), cid]))
  try {
    const { missing } = MissingSchema.parse(JSON.parse(Buffer.from(answer.body).toString('utf8')))
    return missing.map((cid) => asked.get(parseCid(cid).toString())).filter((cid) => cid !== undefined)
  } catch (cause) {
    throw new PinGoError('PUSH_FAILED', `${target.url} did not say which blocks it misses.`, {
      hint: 'Check that the address is that of a PinGo node.',
      cause,
    })
  }
}

/** A call that is repeated while the network or the target's load is to blame. */
async function call(target: Source, path: string, o: HttpRequest, pool: HttpPool): Promise<HttpAnswer> {
  for (let attempt = 1, pause = FIRST_PAUSE_MS; ; attempt++, pause *= 2) {
    let failure: PinGoError
    try {
      const answer = await request(target, path, { ...o, maxBytes: MAX_ANSWER_BYTES }, pool)
      if (answer.status >= 200 && answer.status < 300) return answer
      failure = refusal(target, answer)
      if (answer.status !== 503 && answer.status !== 429) throw failure
    } catch (error) {
      if (!isPinGoError(error, 'SOURCE_UNREACHABLE')) throw error
      failure = error
    }
    if (attempt >= ATTEMPTS) throw failure
    await sleep(pause, undefined, { signal: o.signal }).catch(() => o.signal?.throwIfAborted())
  }
}

function refusal(target: Source, { status, body }: HttpAnswer): PinGoError {
  if (status === 401 || status === 403)
    return new PinGoError('UNAUTHORIZED', `${target.url} refuses the token.`, {
      hint: 'Use the token that the node printed when it started.',
    })
  try {
    const { error } = ErrorSchema.parse(JSON.parse(Buffer.from(body).toString('utf8')))
    return new PinGoError(error.code, error.message, { hint: error.hint, details: { status } })
  } catch {
    return new PinGoError('PUSH_FAILED', `${target.url} answered ${status} and took no block.`, { details: { status } })
  }
}
