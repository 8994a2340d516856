import type { Rate } from './protocol.ts'

/** Keys that are remembered; beyond it the one unused for longest is forgotten. */
const MAX_KEYS = 20_000

interface Bucket {
  tokens: number
  at: number
}

/**
 * Token buckets by key (a peer and a protocol). A bucket survives its peer's connection, so that reconnecting earns nothing.
 * @param now a monotonic clock, ms
 */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>()
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Takes a token; false when there is none. */
  take(key: string, rate: Rate): boolean {
    const bucket = this.#filled(key, rate)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  /** Takes a token, if need be one of the future. @returns how long to wait for it, ms */
  reserve(key: string, rate: Rate): number {
    const bucket = this.#filled(key, rate)
    bucket.tokens -= 1
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens * 1000) / rate.perSecond)
  }

  #filled(key: string, rate: Rate): Bucket {
    const now = this.#now()
    const known = this.#buckets.get(key)
    if (known) {
      // moved to the end: the map is in the order of last use
      this.#buckets.delete(key)
      known.tokens = Math.min(rate.burst, known.tokens + (Math.max(0, now - known.at) * rate.perSecond) / 1000)
      known.at = now
    }
    const bucket = known ?? { tokens: rate.burst, at: now }
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > MAX_KEYS) this.#buckets.delete(this.#buckets.keys().next().value!)
    return bucket
  }
}
