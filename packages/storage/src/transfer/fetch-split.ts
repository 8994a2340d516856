import { type CID, PinGoError } from '@pingo/wire'
import { CHUNK_BYTES } from '../limits.ts'
import type { HttpPool, Source } from './http-client.ts'

/** What a new TCP connection brings in its first round trip: ten segments (RFC 6928), less TLS and the answer's head. */
const FIRST_FLIGHT_BYTES = 13 << 10
const SMALL_PARTS = 5
/** Fewer than the connections that a pool has to one source. */
const PARTS = 16

/**
 * One block over many new connections at once, a range on each: TCP begins with 14 KiB a connection and doubles each round trip, so that a MiB
 * over one takes seven round trips, over these three. A small block comes in the first. For links so long that this is what a reader waits for.
 * Unchecked.
 * @returns undefined when the source cannot do it: then it is asked for the whole
 * @throws PinGoError BLOCK_MISSING, SOURCE_*, TRANSFER_TIMEOUT, or the signal's reason
 */
export async function fetchSplit(
  source: Source,
  cid: CID,
  o: { signal?: AbortSignal; deadlineMs: number; idleMs?: number; pool: HttpPool },
): Promise<Uint8Array | undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const stop = new AbortController()
  const signal = o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal
  let total: number | undefined
  let isWhole = true
  const part = async ({ start, end }: { start: number; end: number }) => {
    let status = 0
    let at = start
    await o.pool.stream(
      source,
      `/ipfs/${cid}?format=raw`,
      {
        headers: { accept: 'application/vnd.ipld.raw', range: `bytes=${start}-${end - 1}` },
        signal,
        deadlineMs: o.deadlineMs,
        idleMs: o.idleMs,
      },
      {
        head(code, headers) {
          status = code
          const [, from, all] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? []
          if (all !== undefined) total ??= Number(all)
          return status === 206 && Number(from) === start
        },
        part(bytes) {
          if (at + bytes.byteLength > end) return false
          buffer.set(bytes, at)
          at += bytes.byteLength
          return true
        },
      },
    )
    if (status === 404 || status === 410)
      throw new PinGoError('BLOCK_MISSING', `${source.url} does not have block ${cid}.`)
    const wanted = Math.min(end, total ?? 0)
    if (total === undefined || total > CHUNK_BYTES || (start < wanted && at !== wanted)) isWhole = false
  }
  const parts = ranges().map((range) => ({ range, end: part(range) }))
  for (const { end } of parts) end.catch(() => undefined) // those behind the end of the block are not waited for
  try {
    for (const { range, end } of parts) {
      if (total !== undefined && range.start >= total) break
      await end
      if (!isWhole) return undefined
    }
    return buffer.subarray(0, total)
  } catch (error) {
    stop.abort()
    throw o.signal?.aborted ? o.signal.reason : error
  }
}

/** Small ones first, so that a small block is there after one flight; the others share the rest. */
function ranges(): { start: number; end: number }[] {
  const small = SMALL_PARTS * FIRST_FLIGHT_BYTES
  const large = Math.ceil((CHUNK_BYTES - small) / (PARTS - SMALL_PARTS))
  return Array.from({ length: PARTS }, (_, n) => {
    const start = n < SMALL_PARTS ? n * FIRST_FLIGHT_BYTES : small + (n - SMALL_PARTS) * large
    return { start, end: Math.min(CHUNK_BYTES, start + (n < SMALL_PARTS ? FIRST_FLIGHT_BYTES : large)) }
  })
}
