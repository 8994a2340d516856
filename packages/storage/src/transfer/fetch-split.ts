import { LEAF_BYTES, PinGoError } from '@pingo/wire'
import type { OnProgress } from '../cdn/port.ts'
import { CHUNK_BYTES } from '../limits.ts'
import type { HttpPool, Source } from './http-client.ts'
import { MAX_LANES } from './lanes.ts'

/**
 * What a new TCP connection surely brings in its first flight: ten segments (RFC 6928), of which TLS's tickets take one and the answer's head
 * takes one.
 */
const FIRST_FLIGHT_BYTES = 11 << 10
/** The pieces that come in one flight: they hold the first leaf of a shard, which can be shown by itself. */
const SMALL = Math.ceil(LEAF_BYTES / FIRST_FLIGHT_BYTES)
/** The others come in two. */
const LARGE = MAX_LANES - 1 - SMALL
/** Of the first and of the last large piece. */
const MOST_BYTES = 36 << 10
const LEAST_BYTES = 22 << 10

/**
 * One block, or the first bytes of a file, over many new connections at once, a range on each: TCP begins with 14 KiB a connection and doubles
 * each round trip, so that a MiB over one takes seven round trips, over these two. A small block comes in the first. For links so long that this is
 * what a reader waits for.
 * Unchecked.
 * @param o.headers of the requests, beside the range
 * @param o.maxBytes how much of it is wanted when it is longer; by default what is longer than 1 MiB is not fetched so
 * @param o.bytes how long it is, where that is known: then no more connections are made than it takes
 * @returns undefined when the source cannot do it: then it is asked for the whole
 * @throws PinGoError BLOCK_MISSING, SOURCE_*, TRANSFER_TIMEOUT, or the signal's reason
 */
export async function fetchSplit(
  source: Source,
  path: string,
  o: {
    headers: Record<string, string>
    signal?: AbortSignal
    deadlineMs: number
    idleMs?: number
    pool: HttpPool
    onProgress?: OnProgress
    maxBytes?: number
    bytes?: number
  },
): Promise<Uint8Array | undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const stop = new AbortController()
  const signal = o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal
  let total: number | undefined
  let isWhole = true
  const spans = ranges(o.bytes ?? CHUNK_BYTES).map((range) => ({ ...range, at: range.start }))
  const progress = () => {
    if (!o.onProgress || total === undefined || total > CHUNK_BYTES) return
    const gap = spans.find(({ at, end }) => at < end)
    const came = Math.min(total, gap?.at ?? total)
    if (came > 0) o.onProgress(buffer.subarray(0, came), total)
  }
  const part = async (span: Span) => {
    const { start, end } = span
    let status = 0
    await o.pool.stream(
      source,
      path,
      {
        headers: { ...o.headers, range: `bytes=${start}-${end - 1}` },
        signal,
        deadlineMs: o.deadlineMs,
        idleMs: o.idleMs,
      },
      {
        head(code, headers) {
          status = code
          const [, from, all] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? []
          if (all !== undefined) total ??= Math.min(Number(all), o.maxBytes ?? Number.POSITIVE_INFINITY)
          return status === 206 && Number(from) === start
        },
        part(bytes) {
          if (span.at + bytes.byteLength > end) return false
          buffer.set(bytes, span.at)
          span.at += bytes.byteLength
          progress()
          return true
        },
      },
    )
    if (status === 404 || status === 410) throw new PinGoError('BLOCK_MISSING', `${source.url} does not have ${path}.`)
    const wanted = Math.min(end, total ?? 0)
    if (total === undefined || total > CHUNK_BYTES || (start < wanted && span.at !== wanted)) isWhole = false
  }
  const parts = spans.map((range) => ({ range, end: part(range) }))
  for (const { end } of parts) end.catch(() => undefined) // those behind the end of the block are not waited for
  try {
    for (const { range, end } of parts) {
      if (total !== undefined && range.start >= total) break
      await end
      if (!isWhole) return undefined
    }
    if ((total ?? 0) > spans.at(-1)!.end) return undefined // it is longer than it was said to be
    return buffer.subarray(0, total)
  } catch (error) {
    stop.abort()
    throw o.signal?.aborted ? o.signal.reason : error
  }
}

interface Span {
  start: number
  end: number
  /** How far it has come. */
  at: number
}

/**
 * The pieces, one for each connection, so that all of them end together. Two flights bring up to 40 KiB; where the sender paces them (BBR) the
 * second takes the longer the larger it is. Handshakes take the CPU one after another: who comes later gets less.
 * @param bytes how far they must reach; one at least
 */
function ranges(bytes: number): { start: number; end: number }[] {
  const step = (MOST_BYTES - LEAST_BYTES) / (LARGE - 1)
  const sizes = [
    ...Array<number>(SMALL).fill(FIRST_FLIGHT_BYTES),
    ...Array.from({ length: LARGE }, (_, n) => Math.round(MOST_BYTES - n * step)),
  ]
  let at = 0
  const all = sizes.map((size) => {
    const start = at
    at = Math.min(CHUNK_BYTES, at + size)
    return { start, end: at }
  })
  return all.filter(({ start }) => start === 0 || start < bytes)
}
