import { isIPv4 } from 'node:net'

/** Askers whose buckets are remembered. */
const MAX_BUCKETS = 20_000

/** Token buckets: each key may take `burst` at once and `perSecond` in the long run. Bounded: the bucket unused for longest is forgotten. */
export class RateLimit {
  readonly #perSecond: number
  readonly #burst: number
  readonly #clock: () => number
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  constructor(o: { perSecond: number; burst: number; clock: () => number }) {
    this.#perSecond = o.perSecond
    this.#burst = o.burst
    this.#clock = o.clock
  }

  /** @returns false when the bucket of `key` has less than `tokens` */
  take(key: string, tokens = 1): boolean {
    const now = this.#clock()
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now }
    this.#buckets.delete(key) // to the end: used last
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > MAX_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value!)
    const elapsed = Math.max(0, now - bucket.at) / 1_000
    bucket.tokens = Math.min(this.#burst, bucket.tokens + elapsed * this.#perSecond)
    bucket.at = now
    if (bucket.tokens < tokens) return false
    bucket.tokens -= tokens
    return true
  }
}

/** How many of each key are under way. */
export class Concurrency {
  readonly #max: number
  readonly #under = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** @returns ends it; undefined when there are too many */
  enter(key: string, n = 1): (() => void) | undefined {
    if ((this.#under.get(key) ?? 0) + n > this.#max) return undefined
    return counted(this.#under, key, n)
  }
}

/** Adds `n` to a count. @returns takes it away again, once */
export function counted(counts: Map<string, number>, key: string, n: number): () => void {
  counts.set(key, (counts.get(key) ?? 0) + n)
  let isCounted = true
  return () => {
    if (!isCounted) return
    isCounted = false
    const left = counts.get(key)! - n
    if (left > 0) counts.set(key, left)
    else counts.delete(key)
  }
}

/** What an address is counted by: the /24 of IPv4, the /56 of IPv6, which one subscriber has. */
export function networkOf(address: string | undefined): string {
  const plain = (address ?? '').replace(/^::ffff:/, '')
  if (isIPv4(plain)) return plain.split('.').slice(0, 3).join('.')
  const [head = '', tail = ''] = plain.split('%')[0]!.split('::')
  const left = head.split(':').filter(Boolean)
  const right = tail.split(':').filter(Boolean)
  const groups = plain.includes('::')
    ? [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right]
    : left
  return groups
    .slice(0, 4)
    .map((group, i) => (i === 3 ? group.padStart(4, '0').slice(0, 2) : group))
    .join(':')
}
