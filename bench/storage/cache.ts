import { SizedCache } from '../../packages/storage/src/cache/s3-fifo.ts'
import type { Row } from '../run.ts'
import { hitLatencies } from './latency.ts'
import { cdnTrace, type Trace, zipfTrace } from './traces.ts'

/**
 * Hit ratio of the storage's cache (S3-FIFO) against LRU at a tenth of the bytes that are asked for, and what a hit at the gateway adds
 * to the time of a bare `node:http` server that has the same bytes in memory.
 */
export const summary = 'hit ratio of the cache against LRU on Zipf and CDN traces; latency that a hit adds'

const CACHE_SHARE = 0.1
const BAR_POINTS = 5
const BAR_MS = 1
const SEED = 42

interface Cache {
  get(key: string): unknown
  set(key: string, value: unknown, bytes: number): void
}

export default async function cache(): Promise<Row[]> {
  const traces = {
    'Zipf(0.9), 100,000 objects, 1,000,000 requests': zipfTrace({
      objects: 100_000,
      requests: 1_000_000,
      alpha: 0.9,
      seed: SEED,
    }),
    'CDN, 50,000 popular objects, 500,000 requests': cdnTrace({ objects: 50_000, requests: 500_000, seed: SEED }),
  }
  const rows: Row[] = []
  for (const [name, trace] of Object.entries(traces)) {
    const maxBytes = trace.bytes * CACHE_SHARE
    const ours = replay(trace, new SizedCache({ maxBytes }))
    const lru = replay(trace, new Lru(maxBytes))
    const points = 100 * (ours.hits - lru.hits)
    rows.push({
      name: `${name}: hits ${percent(ours.hits)} %, LRU ${percent(lru.hits)} %; of bytes ${percent(ours.bytes)} %, LRU ${percent(lru.bytes)} %; asked for once: ${percent(trace.once)} % of objects`,
      measured: points,
      unit: 'points above LRU',
      bar: `≥ ${BAR_POINTS}`,
      holds: points >= BAR_POINTS,
    })
  }
  const { gateway, bare } = await hitLatencies()
  rows.push({
    name: `p50 of a hit at the gateway, 4 KiB, less that of bare node:http (${bare.toFixed(3)} ms)`,
    measured: gateway - bare,
    unit: 'ms',
    bar: `≤ ${BAR_MS}`,
    holds: gateway - bare <= BAR_MS,
  })
  return rows
}

/** Parts of the requests, and of their bytes, that the cache had. */
function replay({ requests, sizes }: Trace, cache: Cache): { hits: number; bytes: number } {
  let hits = 0
  let hitBytes = 0
  let allBytes = 0
  for (const object of requests) {
    const bytes = sizes[object]!
    allBytes += bytes
    if (cache.get(String(object)) !== undefined) {
      hits += 1
      hitBytes += bytes
    } else cache.set(String(object), true, bytes)
  }
  return { hits: hits / requests.length, bytes: hitBytes / allBytes }
}

/** The yardstick: what was used longest ago goes. */
class Lru implements Cache {
  readonly #maxBytes: number
  readonly #sizes = new Map<string, number>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get(key: string): unknown {
    const bytes = this.#sizes.get(key)
    if (bytes === undefined) return undefined
    this.#sizes.delete(key)
    this.#sizes.set(key, bytes)
    return true
  }

  set(key: string, _: unknown, bytes: number): void {
    this.#sizes.set(key, bytes)
    this.#bytes += bytes
    for (const [oldest, size] of this.#sizes) {
      if (this.#bytes <= this.#maxBytes) return
      this.#sizes.delete(oldest)
      this.#bytes -= size
    }
  }
}

const percent = (part: number): string => (100 * part).toFixed(1)
