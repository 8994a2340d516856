import { Random } from '../../packages/data/src/order/random.ts'

/** What was asked for, in order: numbers of objects, whose sizes in bytes are in `sizes`. */
export interface Trace {
  requests: number[]
  sizes: number[]
  /** Bytes of all objects that are asked for. */
  bytes: number
  /** Part of the objects that are asked for once. */
  once: number
}

/** Requests for `objects` objects of one size whose popularity falls with their rank to the power of `alpha`, each independent of the others. */
export function zipfTrace(o: { objects: number; requests: number; alpha: number; seed: number }): Trace {
  const random = uniform(o.seed)
  const rank = zipf(o.objects, o.alpha)
  return summed(
    Array.from({ length: o.requests }, () => rank(random())),
    Array<number>(o.objects).fill(1),
  )
}

/**
 * Requests as an edge of a CDN sees them. What is said of a source was read there (R), in one that quotes it (Q), or is from memory and
 * was not found again (M); parameters without a source are ours.
 * - Popularity Zipf-like, exponent 0.8: web proxies have 0.64 to 0.83 (Q; Breslau, Cao, Fan, Phillips, Shenker: "Web Caching and
 *   Zipf-like Distributions", INFOCOM 1999).
 * - About three quarters of the objects are asked for once: nearly three quarters in Akamai's caches (Q; Maggs, Sitaraman: "Algorithmic
 *   Nuggets in Content Delivery", SIGCOMM CCR 45(3), 2015), about 70 % at proxies (R, abstract; Mahanti, Williamson, Eager: "Traffic
 *   Analysis of a Web Proxy Caching Hierarchy", IEEE Network, May 2000). It depends on how long one looks: over whole traces the
 *   median is 26 % (Q; Yang et al.: "FIFO Queues Are All You Need for Cache Eviction", SOSP 2023), so this is a hard trace. A quarter of
 *   the requests is for such an object, made for it; the tail of the popular ones adds the others.
 * - Sizes log-normal in their body (M; Barford, Crovella: "Generating Representative Web Workloads", SIGMETRICS 1998), median 32 KiB, cut
 *   at 1 MiB as blocks are; independent of popularity, with which they hardly correlate (R, abstract; Breslau et al.).
 * - Popularity drifts: with 2 % of the requests a new object takes the place of another at a random rank. That content is new and ages
 *   matters to caches (R, abstract; Traverso et al.: "Temporal Locality in Today's Content Caching", SIGCOMM CCR 43(5), 2013).
 */
export function cdnTrace(o: { objects: number; requests: number; seed: number }): Trace {
  const random = uniform(o.seed)
  const sizes: number[] = []
  const make = () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const bytes = MEDIAN_BYTES * Math.exp(SIGMA * normal)
    return sizes.push(Math.round(Math.min(MAX_BYTES, Math.max(MIN_BYTES, bytes)))) - 1
  }
  const ranked = Array.from({ length: o.objects }, make)
  const rank = zipf(o.objects, ALPHA)
  const requests = Array.from({ length: o.requests }, () => {
    if (random() < ONCE) return make()
    if (random() < DRIFT) ranked[Math.floor(random() * o.objects)] = make()
    return ranked[rank(random())]!
  })
  return summed(requests, sizes)
}

const ALPHA = 0.8
const ONCE = 0.25
const DRIFT = 0.02
const MEDIAN_BYTES = 32 << 10
const SIGMA = 1.5
const MIN_BYTES = 64
const MAX_BYTES = 1 << 20

function summed(requests: number[], sizes: number[]): Trace {
  const counts = new Map<number, number>()
  for (const object of requests) counts.set(object, (counts.get(object) ?? 0) + 1)
  let bytes = 0
  let once = 0
  for (const [object, count] of counts) {
    bytes += sizes[object]!
    if (count === 1) once += 1
  }
  return { requests, sizes, bytes, once: once / counts.size }
}

/** The rank of a uniform draw from [0, 1). */
function zipf(objects: number, alpha: number): (draw: number) => number {
  const sums = new Float64Array(objects)
  let sum = 0
  for (let n = 0; n < objects; n++) sums[n] = sum += (n + 1) ** -alpha
  return (draw) => {
    let [low, high] = [0, objects - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle]! < draw * sum) low = middle + 1
      else high = middle
    }
    return low
  }
}

function uniform(seed: number): () => number {
  const random = Random.from(seed)
  return () => random.next() / 2 ** 32
}
