import { setTimeout as sleep } from 'node:timers/promises'

/** The rate over any span of so long is within the limit. */
const WINDOW_SECONDS = 5
/** What is let through in one piece is worth so much of a second: with the rest of the rate, a window holds no more than it may. */
const PIECE_SECONDS = 0.25
export const MAX_PIECE_BYTES = 64 << 10
const LEAST_PIECE_BYTES = 1 << 10
/** Who waits looks again so often whether the limit changed. */
const LOOK_MS = 250

export interface BucketClock {
  /** Monotonic, ms. */
  now(): number
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>
}

export const machineClock: BucketClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
}

/**
 * Lets bytes of one direction through, first come, first served, so that in any 5 s there are at most `bytesPerSecond` × 5 (from 4 KiB/s on).
 * A piece goes at once when what went before it has been paid for, and those behind it wait for its time: sum of a window ≤ rate × 5 s + one piece, and a
 * piece is at most a quarter of a second at a rate that is lower by that.
 */
export class Bucket {
  readonly #clock: BucketClock
  #rate: number
  /** When the next piece may go. */
  #freeAt = Number.NEGATIVE_INFINITY
  #last: Promise<void> = Promise.resolve()

  /** @param rate bytes per second; 0: no limit */
  constructor(rate: number, clock: BucketClock) {
    this.#rate = rate
    this.#clock = clock
  }

  get isLimited(): boolean {
    return this.#rate > 0
  }

  /** Bytes to ask for at once: more are let through in several pieces. */
  get pieceBytes(): number {
    if (this.#rate === 0) return MAX_PIECE_BYTES
    return Math.max(LEAST_PIECE_BYTES, Math.min(MAX_PIECE_BYTES, Math.floor(this.#rate * PIECE_SECONDS)))
  }

  /** ms until so many bytes more would have gone through. */
  etaMs(bytes: number): number {
    if (this.#rate === 0) return 0
    return Math.max(0, this.#freeAt - this.#clock.now()) + (bytes / this.#paid) * 1000
  }

  /** Holds at once, for those that wait too; what is owed is paid at the new rate. */
  change(rate: number): void {
    const now = this.#clock.now()
    const owed = this.#rate === 0 ? 0 : (Math.max(0, this.#freeAt - now) / 1000) * this.#paid
    this.#rate = rate
    this.#freeAt = rate === 0 || owed === 0 ? Number.NEGATIVE_INFINITY : now + (owed / this.#paid) * 1000
  }

  /** Waits until a piece may go. @throws the signal's reason */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (!this.isLimited) return signal?.throwIfAborted()
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    try {
      await unlessAborted(before, signal)
      for (let wait = this.#freeAt - this.#clock.now(); wait > 0; wait = this.#freeAt - this.#clock.now())
        await this.#clock.sleep(Math.min(wait, LOOK_MS), signal)
      signal?.throwIfAborted()
      this.owe(bytes)
    } finally {
      void before.then(resolve)
    }
  }

  /** Bytes that went without asking: those that come after wait for them. Negative: of what was taken, so many did not go. */
  owe(bytes: number): void {
    if (this.#rate === 0) return
    this.#freeAt = Math.max(this.#freeAt, this.#clock.now()) + (bytes / this.#paid) * 1000
  }

  get #paid(): number {
    return this.#rate * (1 - PIECE_SECONDS / WINDOW_SECONDS)
  }
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (!signal) return work
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
