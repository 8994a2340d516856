import { HttpPool, type Source } from '@pingo/storage/fetching'
import type { Bandwidth } from './bandwidth.ts'
import type { Direction } from './month.ts'

/** What a request and the head of its answer weigh, each way. */
export const HEAD_BYTES = 600

type StreamOptions = Parameters<HttpPool['stream']>[2]
type Sink = Parameters<HttpPool['stream']>[3]

/**
 * Connections whose GETs keep the owner's limits. Without a rate, bytes are counted as they come. With one, a body is asked for in ranges, each when it may come:
 * to stop reading would not do, because by then the system has taken in megabytes. To whom it gives the answer it looks like one.
 */
export class CountedPool extends HttpPool {
  readonly #bandwidth: Bandwidth

  constructor(bandwidth: Bandwidth) {
    super()
    this.#bandwidth = bandwidth
  }

  override async stream(source: Source, path: string, o: StreamOptions, sink: Sink): Promise<void> {
    const range = /^bytes=(\d+)-(\d*)$/.exec(o.headers?.range ?? '')
    const isOther = o.headers?.range !== undefined && !range
    if (!this.#bandwidth.isPaced || isOther) return this.#counted(source, path, o, sink)
    const start = Number(range?.[1] ?? 0)
    await this.#paced(source, path, o, sink, start, range?.[2] ? Number(range[2]) + 1 : Number.POSITIVE_INFINITY)
  }

  async #counted(source: Source, path: string, o: StreamOptions, sink: Sink): Promise<void> {
    const count = (bytes: number, direction: Direction) => this.#bandwidth.count(bytes, direction)
    if (this.#bandwidth.isPaced) await this.#bandwidth.take(HEAD_BYTES, 'received', o.signal)
    else count(HEAD_BYTES, 'received')
    count(HEAD_BYTES, 'sent')
    await super.stream(source, path, o, {
      head: (status, headers) => sink.head(status, headers),
      part: (bytes) => {
        count(bytes.byteLength, 'received')
        return sink.part(bytes)
      },
    })
  }

  /** A body [start, end) in ranges; `end` is known when the first answer has come. */
  async #paced(source: Source, path: string, o: StreamOptions, sink: Sink, start: number, end: number): Promise<void> {
    const bandwidth = this.#bandwidth
    const wasRange = o.headers?.range !== undefined
    for (let at = start; at < end; ) {
      const piece = Math.min(bandwidth.pieceBytes('received'), end - at)
      await bandwidth.take(HEAD_BYTES, 'sent', o.signal)
      await bandwidth.take(piece + HEAD_BYTES, 'received', o.signal)
      let came = 0
      let isEmpty = false
      /** The source sends something else than the range: that goes as it comes. */
      let isOther = false
      let isWanted = true
      try {
        await super.stream(
          source,
          path,
          { ...o, headers: { ...o.headers, range: `bytes=${at}-${at + piece - 1}` } },
          {
            head: (status, headers) => {
              const told = headers.get('content-range') ?? ''
              const [, from, all] = /^bytes (\d+)-\d+\/(\d+)$/.exec(told) ?? []
              isEmpty = status === 416 && start === 0 && told === 'bytes */0'
              if (isEmpty) return false
              isOther = status !== 206 || Number(from) !== at || all === undefined
              if (isOther && at > start) return false
              if (isOther) return (isWanted = sink.head(status, headers))
              end = Math.min(end, Number(all))
              if (at > start) return true
              return (isWanted = sink.head(wasRange ? 206 : 200, wholeHead(headers, start, end, Number(all), wasRange)))
            },
            part: (bytes) => {
              came += bytes.byteLength
              if (came > piece) bandwidth.count(Math.min(bytes.byteLength, came - piece), 'received')
              if (!isOther && came > piece) return false
              return (isWanted = sink.part(bytes))
            },
          },
        )
      } finally {
        if (came < piece) bandwidth.giveBack(piece - came, 'received')
      }
      if (isEmpty) return this.#counted(source, path, o, sink)
      if (!isWanted || (isOther && at === start)) return
      if (isOther || came !== Math.min(piece, end - at)) throw new Error('it sent another range than asked for')
      at += came
    }
  }
}

/** The head that an answer with all of the body would have had. */
function wholeHead(
  headers: ReadonlyMap<string, string>,
  start: number,
  end: number,
  all: number,
  wasRange: boolean,
): ReadonlyMap<string, string> {
  const head = new Map(headers)
  head.set('content-length', String(end - start))
  if (wasRange) head.set('content-range', `bytes ${start}-${end - 1}/${all}`)
  else head.delete('content-range')
  return head
}
