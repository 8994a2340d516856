import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { isPinGoError, LEAF_BYTES, PinGoError } from '@pingo/wire'
import type { OnProgress } from '../cdn/port.ts'
import { CHUNK_BYTES } from '../limits.ts'
import type { HttpPool, Source } from './http-client.ts'

/**
 * What a new TCP connection surely brings in its first flight: ten segments (RFC 6928), of which TLS's tickets may take one, and the answer's head
 * most of another; segments a little shorter than those of Ethernet will do.
 */
const PIECE_BYTES = 11_700
/** What it brings in two flights, at any pace: the second is twice the first. */
const LARGE_PIECE_BYTES = 28_000
/** The pieces of the first leaf. As many connections are opened in one turn of the event loop, these before all others. */
const FIRST = Math.ceil(LEAF_BYTES / PIECE_BYTES)
/** Between so many connections and the next when all is to come in one flight: at once it would overflow a router before 100 Mbit/s. */
const PAUSE_MS = 3
/** What comes so long after the first piece was lost on the way: Linux waits as long before it sends the end of a flight again. */
const LOST_MS = 200

/**
 * One block, or the first bytes of a file, over many new connections at once, a range on each: TCP begins with 14 KiB a connection and doubles
 * each round trip, so that a MiB over one takes seven round trips. Its first leaf comes in the first flights: three round trips from cold, those of
 * TCP, TLS and the request, and what pacing (BBR) and the handshakes' CPU take. What is behind comes in two, or in the first too. For links so long
 * that this is what a reader waits for.
 * Unchecked.
 * @param o.headers of the requests, beside the range
 * @param o.maxBytes how much of it is wanted when it is longer; by default what is longer than 1 MiB is not fetched so
 * @param o.bytes how long it is, where that is known: then no more connections are made than it takes
 * @param o.inOneFlight all of it, over twice the connections: for what is long and of use only when it is whole. Not from a source from which the
 *   last such flight had losses: a narrow link is filled by less
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
    inOneFlight?: boolean
  },
): Promise<Uint8Array | undefined> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  const stop = new AbortController()
  const signal = o.signal ? AbortSignal.any([o.signal, stop.signal]) : stop.signal
  let total: number | undefined
  let isWhole = true
  const inOneFlight = o.inOneFlight && !o.pool.narrow.has(source)
  const spans = ranges(o.bytes ?? CHUNK_BYTES, inOneFlight).map((range) => ({ ...range, at: range.start }))
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
  // the system is handed connections at the end of a turn: the first are on their way while the last are made
  let turn: Promise<unknown> = Promise.resolve()
  const parts = spans.map((range, n) => {
    if (n >= FIRST && n % FIRST === 0) turn = turn.then(() => (inOneFlight ? sleep(PAUSE_MS) : nextTurn()))
    return { range, end: n < FIRST ? part(range) : turn.then(() => part(range)) }
  })
  for (const { end } of parts) end.catch(() => undefined) // those behind the end of the block are not waited for
  let firstAt: number | undefined
  try {
    for (const { range, end } of parts) {
      if (total !== undefined && range.start >= total) break
      await end.catch((error) => {
        // a node that lets in no more connections may send the whole over one
        if (total === undefined || !isPinGoError(error, 'SOURCE_UNREACHABLE')) throw error
        isWhole = false
      })
      if (!isWhole) return undefined
      firstAt ??= performance.now()
    }
    if (inOneFlight && firstAt !== undefined && performance.now() - firstAt > LOST_MS) o.pool.narrow.add(source)
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

/** The pieces, one for each connection. @param bytes how far they must reach; the first is there in any case */
function ranges(bytes: number, inOneFlight: boolean | undefined): { start: number; end: number }[] {
  const pieces: { start: number; end: number }[] = []
  for (let start = 0; start < Math.max(1, Math.min(bytes, CHUNK_BYTES)); start = pieces.at(-1)!.end) {
    const size = inOneFlight || pieces.length < FIRST ? PIECE_BYTES : LARGE_PIECE_BYTES
    pieces.push({ start, end: Math.min(CHUNK_BYTES, start + size) })
  }
  return pieces
}
