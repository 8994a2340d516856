import { type CID, isPinGoError, PinGoError } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { Arrivals, follow } from './follow.ts'
import { type Entry, Gate } from './gate.ts'
import type { BlockCache, BlockSource, BlockStream, Finder, FindOptions } from './port.ts'
import { race } from './race.ts'
import { ReadAhead } from './read-ahead.ts'
import { Scores } from './scores.ts'
import { realTiming, type Timing } from './timing.ts'

export interface ReadThroughOptions {
  finder: Finder
  /** What is here already: never fetched ahead; nodes of files are read from it. */
  local?: { has(cid: CID): boolean; get(cid: CID): Promise<Uint8Array> }
  /** Offered what was fetched because somebody asked. */
  cache?: BlockCache
  /** Blocks on their way at once; 32 by default. Times three of them in memory at most: see `race.ts`. */
  maxFetches?: number
  /** A block is given up after it, the wait for its turn included. 20 s by default. */
  timeoutMs?: number
  /** Memory for blocks that were fetched ahead and not read yet. 32 MiB by default. */
  aheadBytes?: number
  timing?: Timing
}

const MAX_FETCHES = 32
const MAX_LOW = 12
const MAX_WAITING = 2_048
/** Nothing is fetched ahead while so many blocks are on their way or wait for their turn. */
const MAX_FLIGHTS_AHEAD = 128
const TIMEOUT_MS = 20_000
const AHEAD_BYTES = 32 << 20
/** What nobody has is not looked for again so soon. */
const MISSING_MS = 10_000
const MAX_MISSING = 10_000

/** A block on its way, for all who wait for it. */
interface Flight {
  entry: Entry
  waiters: number
  /** Fetched ahead: goes on although nobody waits. */
  isAhead: boolean
  stop: AbortController
  bytes: Promise<Uint8Array>
  /** What has come, for who reads it as it comes. */
  arrivals: Arrivals
}

/**
 * Blocks from other nodes, each fetched once for all who ask meanwhile, from the nearest holders, checked before anybody sees it
 * who did not ask for a {@link ReadThrough.stream}. Who reads a file in order finds the next blocks on their way already.
 */
export class ReadThrough implements BlockSource {
  readonly #o: ReadThroughOptions
  readonly #timing: Timing
  readonly #scores: Scores
  readonly #gate: Gate
  readonly #readAhead = new ReadAhead()
  readonly #flights = new Map<string, Flight>()
  /** Fetched ahead, not read yet; the oldest first. */
  readonly #ahead = new Map<string, Uint8Array>()
  #aheadBytes = 0
  readonly #missing = new Map<string, { until: number; root: CID | undefined; error: PinGoError }>()

  constructor(o: ReadThroughOptions) {
    this.#o = o
    this.#timing = o.timing ?? realTiming
    this.#scores = new Scores(this.#timing)
    const max = o.maxFetches ?? MAX_FETCHES
    this.#gate = new Gate({ max, maxLow: Math.min(MAX_LOW, Math.max(1, max - 1)), maxWaiting: MAX_WAITING })
  }

  /**
   * @throws PinGoError BLOCK_MISSING (nobody has it: known without asking for a while), BLOCK_UNREACHABLE, TRANSFER_TIMEOUT, OVERLOADED, or
   *   the signal's reason
   */
  async get(cid: CID, o: FindOptions = {}): Promise<Uint8Array> {
    return await (await this.#ask(cid, o)).block
  }

  /** Like {@link ReadThrough.get}, with what comes told as it comes. The signal must end when the reader is gone. */
  async stream(cid: CID, o: FindOptions = {}): Promise<BlockStream> {
    const { block, arrivals } = await this.#ask(cid, o)
    return await follow(block, arrivals)
  }

  async #ask(cid: CID, o: FindOptions): Promise<{ block: Promise<Uint8Array>; arrivals: Arrivals }> {
    o.signal?.throwIfAborted()
    if (o.root) await this.#learnLocally(o.root)
    const root = o.root ?? this.#readAhead.rootOf(cid)
    const key = keyOf(cid)
    const ahead = this.#ahead.get(key)
    if (ahead) this.#drop(key)
    const flight = ahead ? undefined : this.#flight(cid, root, false)
    const bytes = flight ? this.#join(flight, o.signal) : Promise.resolve(ahead!)
    this.#fetchAhead(cid)
    const block = bytes.then((block) => {
      this.#readAhead.learn(cid, block, root ?? cid)
      this.#o.cache?.offer(cid, block)
      return block
    })
    return { block, arrivals: flight?.arrivals ?? new Arrivals() }
  }

  /** Like {@link ReadThrough.get}, after all whom somebody waits for; nothing is offered to the cache nor fetched ahead. */
  async getLater(cid: CID, o: FindOptions = {}): Promise<Uint8Array> {
    o.signal?.throwIfAborted()
    return await this.#join(this.#flight(cid, o.root, true), o.signal)
  }

  #flight(cid: CID, root: CID | undefined, isLow: boolean): Flight {
    const key = keyOf(cid)
    const known = this.#flights.get(key)
    if (known) {
      if (!isLow) this.#gate.raise(known.entry)
      return known
    }
    const stop = new AbortController()
    const flight: Flight = {
      entry: { isLow },
      waiters: 0,
      isAhead: false,
      stop,
      bytes: Promise.resolve(new Uint8Array(0)),
      arrivals: new Arrivals(),
    }
    flight.bytes = this.#fetch(cid, key, root, flight).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    })
    flight.bytes.catch(() => undefined) // those who wait meet it
    this.#flights.set(key, flight)
    return flight
  }

  async #fetch(cid: CID, key: string, root: CID | undefined, flight: Flight): Promise<Uint8Array> {
    const { entry, stop, arrivals } = flight
    const { signal } = stop
    const gone = this.#missing.get(key)
    // with another root, others may be asked
    if (gone && gone.until > this.#timing.now() && (!root || gone.root?.equals(root))) throw gone.error
    this.#missing.delete(key)
    const timeoutMs = this.#o.timeoutMs ?? TIMEOUT_MS
    const cancel = this.#timing.after(timeoutMs, () =>
      stop.abort(
        new PinGoError('TRANSFER_TIMEOUT', `Block ${cid} did not come within ${timeoutMs} ms.`, {
          hint: 'Nodes that hold it are slow or far: try again.',
        }),
      ),
    )
    try {
      await this.#gate.enter(entry, signal)
      try {
        const batches = this.#o.finder.find(cid, { root, signal })
        return await race(cid, batches, { signal, scores: this.#scores, timing: this.#timing, arrivals })
      } finally {
        this.#gate.leave(entry)
      }
    } catch (error) {
      if (isPinGoError(error, 'BLOCK_MISSING')) this.#noteMissing(key, root, error)
      throw error
    } finally {
      cancel()
    }
  }

  /** Waits for a flight; when nobody waits any more, it ends. */
  async #join(flight: Flight, signal: AbortSignal | undefined): Promise<Uint8Array> {
    flight.waiters += 1
    const { promise, reject } = Promise.withResolvers<never>()
    const leave = () => reject(signal!.reason)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await Promise.race([flight.bytes, promise])
    } finally {
      signal?.removeEventListener('abort', leave)
      flight.waiters -= 1
      if (flight.waiters === 0 && !flight.isAhead) this.#end(flight)
    }
  }

  #end(flight: Flight): void {
    for (const [key, each] of this.#flights) if (each === flight) this.#flights.delete(key)
    flight.stop.abort()
  }

  #fetchAhead(cid: CID): void {
    const next = this.#readAhead.next(cid)
    for (const each of next?.cids ?? []) {
      if (this.#flights.size >= MAX_FLIGHTS_AHEAD) return
      const key = keyOf(each)
      if (this.#flights.has(key) || this.#ahead.has(key) || this.#missing.has(key) || this.#o.local?.has(each)) continue
      const flight = this.#flight(each, next!.root, true)
      flight.isAhead = true
      flight.bytes.then(
        (bytes) => {
          if (flight.waiters === 0) this.#keepAhead(key, bytes)
        },
        () => undefined,
      )
    }
  }

  #keepAhead(key: string, bytes: Uint8Array): void {
    this.#ahead.set(key, bytes)
    this.#aheadBytes += bytes.byteLength
    for (const oldest of this.#ahead.keys()) {
      if (this.#aheadBytes <= (this.#o.aheadBytes ?? AHEAD_BYTES)) return
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    this.#aheadBytes -= this.#ahead.get(key)?.byteLength ?? 0
    this.#ahead.delete(key)
  }

  #noteMissing(key: string, root: CID | undefined, error: PinGoError): void {
    this.#missing.delete(key)
    this.#missing.set(key, { until: this.#timing.now() + MISSING_MS, root, error })
    if (this.#missing.size > MAX_MISSING) this.#missing.delete(this.#missing.keys().next().value!)
  }

  /** The children of a root that is here are not told by any fetch. */
  async #learnLocally(root: CID): Promise<void> {
    if (this.#readAhead.knows(root) || !this.#o.local?.has(root)) return
    try {
      this.#readAhead.learn(root, await this.#o.local.get(root), root)
    } catch {
      // then nothing is fetched ahead
    }
  }
}
