import { type Code, LEAF_BYTES, PinGoError, type Stripe, sha256 } from '@pingo/wire'
import { leafCount, leafHash, rootOf } from '../durability/merkle.ts'
import { erasureCode } from '../erasure/erasure-code.ts'
import type { ChunkSource } from './chunk-source.ts'
import { dataShards, shardCid, shardDigest, shardRoot, storedBytesOf, width } from './object.ts'

const EMPTY = new Uint8Array(0)
const HASH_BYTES = 32
const DEFAULT_PATIENCE_MS = 5_000

/** How a shard is wanted. */
export interface Wanted {
  /** It is the first that is shown. */
  isAwaited?: boolean
  /** Told of its first leaf, when that is there and was checked before all of it is. */
  onFirstLeaf?: (leaf: Uint8Array) => void
}

/**
 * Reads the data shards of one stripe: each from where it is; when one cannot be had, or not in time, from any k shards.
 * What was fetched stays until the stripe is let go.
 */
export class StripeReader {
  readonly index: number
  readonly #stripe: Stripe
  readonly #code: Code
  readonly #source: ChunkSource
  /** Ends fetches: the stripe was let go, or there are enough shards. */
  readonly #closed = new AbortController()
  readonly #enough = new AbortController()
  readonly #signal: AbortSignal
  readonly #reading: AbortSignal
  readonly #fetches = new Map<number, Promise<Uint8Array>>()
  /** What came, by shard. */
  readonly #here = new Map<number, Uint8Array>()
  readonly #failed = new Set<number>()
  #rebuilt: Promise<Map<number, Uint8Array>> | undefined
  #isSearched = false

  constructor(index: number, stripe: Stripe, code: Code, source: ChunkSource, signal: AbortSignal) {
    this.#signal = AbortSignal.any([signal, this.#closed.signal, this.#enough.signal])
    this.#reading = signal
    this.index = index
    this.#stripe = stripe
    this.#code = code
    this.#source = source
  }

  /** Ends what is on its way. */
  close(): void {
    this.#closed.abort()
  }

  /** A data shard was used and is not asked for again: its memory is free. */
  forget(shard: number): void {
    if (this.#rebuilt) return void this.#rebuilt.then((shards) => shards.delete(shard)).catch(() => undefined)
    if (this.#here.delete(shard)) this.#fetches.delete(shard)
  }

  /** A data shard, as it is stored. @throws PinGoError OBJECT_UNREADABLE */
  async data(shard: number, wanted: Wanted = {}): Promise<Uint8Array> {
    if (this.#code.k === 1) return await this.#copy(wanted)
    if (!this.#rebuilt) {
      const fetch = this.#fetch(shard, wanted)
      const came = await inTime(fetch, this.#source.patienceMs?.() ?? DEFAULT_PATIENCE_MS)
      if (came === 'here') return await fetch
      this.#reading.throwIfAborted()
      this.#rebuilt ??= this.#rebuild(came === 'late')
    }
    const direct = this.#fetches.get(shard)
    const rebuilt = this.#rebuilt.then((shards) => shards.get(shard)!)
    try {
      return await Promise.any(direct ? [rebuilt, direct] : [rebuilt])
    } catch (error) {
      throw (error as AggregateError).errors[0]
    }
  }

  async #copy(wanted: Wanted): Promise<Uint8Array> {
    try {
      return await this.#fetch(0, wanted)
    } catch {
      await this.#search([0])
      return await this.#fetch(0).catch(() => {
        throw this.#unreadable(0)
      })
    }
  }

  #fetch(shard: number, wanted: Wanted = {}): Promise<Uint8Array> {
    const known = this.#fetches.get(shard)
    if (known) return known
    const fetch = this.#get(shard, wanted)
    fetch.then(
      (bytes) => this.#here.set(shard, bytes),
      () => {
        this.#fetches.delete(shard)
        this.#failed.add(shard)
      },
    )
    this.#fetches.set(shard, fetch)
    return fetch
  }

  async #get(shard: number, { isAwaited, onFirstLeaf }: Wanted): Promise<Uint8Array> {
    const stored = storedBytesOf(this.#stripe, this.#code, shard)
    if (stored === 0) return EMPTY
    const cid = shardCid(this.#stripe, this.#code, shard)
    const bytes = await this.#source.get(cid, {
      hint: { stripe: this.index, shard },
      signal: this.#signal,
      isAwaited,
      bytes: stored,
      // one that is all there is comes no later by itself
      onFirstLeaf:
        onFirstLeaf && stored > LEAF_BYTES
          ? (leaf, hashes) => this.#isFirstLeaf(shard, leaf, hashes) && onFirstLeaf(leaf)
          : undefined,
    })
    if (bytes.byteLength === stored) return bytes
    throw new PinGoError(
      'MANIFEST_MALFORMED',
      `Shard ${shard} of stripe ${this.index} has another length than its manifest says.`,
    )
  }

  /** Whether these are the first leaf of a shard and the hashes of all its leaves: its root in the manifest says so. */
  #isFirstLeaf(shard: number, leaf: Uint8Array, hashes: Uint8Array): boolean {
    const bytes = storedBytesOf(this.#stripe, this.#code, shard)
    const count = leafCount(bytes)
    if (leaf.byteLength !== Math.min(LEAF_BYTES, bytes) || hashes.byteLength !== count * HASH_BYTES) return false
    const each = Array.from({ length: count }, (_, n) => hashes.subarray(n * HASH_BYTES, (n + 1) * HASH_BYTES))
    if (Buffer.compare(rootOf(each), shardRoot(this.#stripe, this.#code, shard)) !== 0) return false
    return Buffer.compare(leafHash(leaf), each[0]!) === 0
  }

  /** All data shards, from any k. @param isLate what is on its way may never come */
  async #rebuild(isLate: boolean): Promise<Map<number, Uint8Array>> {
    const { k, m } = this.#code
    const { shardBytes } = this.#stripe
    await this.#gather(isLate)
    const shards = Array.from({ length: k + m }, (_, shard) => this.#here.get(shard))
    const wanted: number[] = []
    for (let shard = 0; shard < dataShards(this.#stripe); shard++) if (shards[shard] === undefined) wanted.push(shard)
    const rebuilt = wanted.length === 0 ? [] : erasureCode({ k, m }).rebuild(shards, shardBytes, wanted)
    const result = new Map([...this.#here].filter(([shard]) => shard < k)) // parity has done its work
    for (const [n, shard] of wanted.entries()) {
      const bytes = rebuilt[n]!.subarray(0, storedBytesOf(this.#stripe, this.#code, shard))
      // whoever encoded the stripe may have lied
      if (Buffer.compare(sha256(bytes), shardDigest(this.#stripe, this.#code, shard)) !== 0)
        throw new PinGoError(
          'OBJECT_UNREADABLE',
          `Stripe ${this.index} was encoded wrongly: its parity does not fit its data.`,
        )
      result.set(shard, bytes)
    }
    this.#enough.abort() // whatever else is on its way is not needed any more
    this.#here.clear()
    this.#fetches.clear()
    return result
  }

  /** Fetches until k shards are here: those that are on their way, then as many others as are lacking, one more whenever none comes in time. */
  async #gather(isLate: boolean): Promise<void> {
    const { k } = this.#code
    const running = () => this.#fetches.size - this.#here.size
    let spare = isLate ? running() : 0
    for (;;) {
      const isThere = await new Promise<boolean>((resolve) => {
        let timer: NodeJS.Timeout | undefined
        let isOver = false
        const end = (isThere: boolean) => {
          isOver = true
          resolve(isThere)
        }
        const step = () => {
          clearTimeout(timer)
          if (isOver) return
          if (this.#here.size >= k) return end(true)
          while (this.#here.size + running() < k + spare) if (!this.#startAnother(step)) break
          if (running() === 0) return end(false)
          timer = setTimeout(() => {
            spare += 1
            step()
          }, this.#source.patienceMs?.() ?? DEFAULT_PATIENCE_MS)
        }
        for (const fetch of this.#fetches.values()) fetch.then(step, step)
        step()
      })
      if (isThere) return
      this.#reading.throwIfAborted()
      const lacking = Array.from({ length: width(this.#code) }, (_, shard) => shard).filter(
        (shard) => !this.#here.has(shard),
      )
      if (!(await this.#search(lacking))) throw this.#unreadable(this.#here.size)
    }
  }

  /** Data shards before parity: they need no decoding. */
  #startAnother(then: () => void): boolean {
    for (let shard = 0; shard < width(this.#code); shard++) {
      if (this.#fetches.has(shard) || this.#failed.has(shard)) continue
      this.#fetch(shard).then(then, then)
      return true
    }
    return false
  }

  async #search(shards: readonly number[]): Promise<boolean> {
    if (this.#isSearched || !this.#source.search) return false
    this.#isSearched = true
    const cids = new Map(shards.map((shard) => [shard, shardCid(this.#stripe, this.#code, shard)]))
    await this.#source.search(this.index, cids, this.#signal)
    this.#failed.clear()
    return true
  }

  #unreadable(have: number): PinGoError {
    const { k } = this.#code
    return new PinGoError(
      'OBJECT_UNREADABLE',
      `Stripe ${this.index} cannot be read: ${have} of its ${width(this.#code)} shards can be had, ${k} are needed.`,
      {
        hint: 'Nodes that hold the others do not answer: try again later.',
        details: { stripe: this.index, have, need: k, lacking: k - have },
      },
    )
  }
}

/** What became of a promise within `ms`. */
async function inTime(promise: Promise<unknown>, ms: number): Promise<'here' | 'failed' | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms)
  })
  const came = promise.then(
    () => 'here' as const,
    () => 'failed' as const,
  )
  try {
    return await Promise.race([came, late])
  } finally {
    clearTimeout(timer)
  }
}
