import type { CID, ObjectManifest } from '@pingo/wire'
import { matchesCid, PinGoError } from '@pingo/wire'
import type { OnFirstLeaf } from '../cdn/port.ts'
import type { NodeMap, StorageNode } from '../nodes/port.ts'
import { within } from './abort.ts'
import { inLanes } from './commit.ts'
import { firstOf } from './first-of.ts'
import { byDistance, type Caretakers } from './locate.ts'
import { stripesPerPart, width } from './object.ts'

/** Where a chunk stands in its object; absent for the manifest's own blocks. */
export interface ChunkHint {
  stripe: number
  shard: number
}

export interface ChunkQuestion {
  hint?: ChunkHint
  signal?: AbortSignal
  /** Somebody waits for it with empty hands: over a long link it is worth more connections. */
  isAwaited?: boolean
  /** How long it is, as far as the asker knows. */
  bytes?: number
  /** Told of the chunk's first leaf before all of it is there. A source may tell nothing; the asker checks what it is told. */
  onFirstLeaf?: OnFirstLeaf
}

/**
 * Where a reader gets blocks from: the network's nodes, or one fog node that a job's contributor may ask. Need not be trusted when it
 * is passed to `openObject`: every chunk is checked.
 */
export interface ChunkSource {
  /** Rejects with a PinGoError, BLOCK_MISSING when it cannot be had. */
  get(cid: CID, o: ChunkQuestion): Promise<Uint8Array>
  /** Looks everywhere for the chunks of a stripe (by shard) that could not be had. */
  search?(stripe: number, cids: ReadonlyMap<number, CID>, signal?: AbortSignal): Promise<void>
  /** How long to wait for a chunk before others are asked for as well, ms. */
  patienceMs?(): number
}

/** Checks what a source sends. */
export function checked(source: ChunkSource): ChunkSource {
  return {
    get: async (cid, o) => {
      const bytes = await source.get(cid, o)
      if (!matchesCid(cid, bytes)) throw new PinGoError('BLOCK_CORRUPT', `The bytes that came for ${cid} are others.`)
      return bytes
    },
    search: source.search?.bind(source),
    patienceMs: source.patienceMs?.bind(source),
  }
}

const CHUNK_DEADLINE_MS = 30_000
const SEARCH_DEADLINE_MS = 10_000
const SEARCHED_AT_ONCE = 8
const PARTS_KEPT = 4
const FIRST_PATIENCE_MS = 1_500
const MIN_PATIENCE_MS = 250
const MAX_PATIENCE_MS = 10_000
/** Patience in mean times of a chunk, and how much the last one weighs in the mean. */
const PATIENCE = 4
const MEAN_WEIGHT = 0.1

type Holders = (string | undefined)[][]

/** Chunks from the nodes that hold them, nearest first. What nodes return was checked by them ({@link StorageNode}). */
export class NodeSource implements ChunkSource {
  readonly #nodes: NodeMap
  readonly #caretakers: Caretakers
  readonly #manifest: ObjectManifest
  readonly #clock: () => number
  readonly #parts = new Map<number, Promise<Holders | undefined>>()
  /** By stripe and shard: who was found to have it. */
  readonly #found = new Map<string, string[]>()
  #meanMs: number | undefined

  constructor(nodes: NodeMap, caretakers: Caretakers, manifest: ObjectManifest, clock: () => number) {
    this.#nodes = nodes
    this.#caretakers = caretakers
    this.#manifest = manifest
    this.#clock = clock
  }

  async get(cid: CID, { hint, signal, isAwaited, bytes, onFirstLeaf }: ChunkQuestion): Promise<Uint8Array> {
    if (!hint) return await this.#caretakers.block(cid, signal)
    const holders = await this.#holders(hint)
    const ask = async (node: StorageNode, signal: AbortSignal) => {
      const since = this.#clock()
      const rtt = isAwaited ? this.#nodes.rtt(node.record.peerId) : undefined
      const chunk = await node.getChunk(cid, { signal: within(CHUNK_DEADLINE_MS, signal), rtt, bytes, onFirstLeaf })
      this.#took(this.#clock() - since)
      return chunk
    }
    const answer = await firstOf(holders, ask, { signal, hedgeMs: this.patienceMs() })
    if (answer) return answer.value
    throw new PinGoError('BLOCK_MISSING', `No node that answers has chunk ${cid}.`)
  }

  /** Asks where the first shards are, before they are wanted. */
  prepare(): void {
    if (this.#manifest.parts.length > 0) this.#part(0).catch(() => undefined)
  }

  patienceMs(): number {
    if (this.#meanMs === undefined) return FIRST_PATIENCE_MS
    return Math.min(MAX_PATIENCE_MS, Math.max(MIN_PATIENCE_MS, PATIENCE * this.#meanMs))
  }

  #took(ms: number): void {
    this.#meanMs = this.#meanMs === undefined ? ms : this.#meanMs + MEAN_WEIGHT * (ms - this.#meanMs)
  }

  async search(stripe: number, cids: ReadonlyMap<number, CID>, signal?: AbortSignal): Promise<void> {
    const found = new Map<number, string[]>()
    await inLanes(this.#nodes.live(), SEARCHED_AT_ONCE, async (node) => {
      try {
        const missing = await node.missing([...cids.values()], { signal: within(SEARCH_DEADLINE_MS, signal) })
        const gone = new Set(missing.map(String))
        for (const [shard, cid] of cids)
          if (!gone.has(cid.toString())) found.set(shard, [...(found.get(shard) ?? []), node.record.peerId])
      } catch {
        signal?.throwIfAborted() // one that does not answer has nothing for us
      }
    })
    for (const [shard, peerIds] of found) this.#found.set(`${stripe}.${shard}`, peerIds)
  }

  async #holders({ stripe, shard }: ChunkHint): Promise<StorageNode[]> {
    const perPart = stripesPerPart(this.#manifest.code)
    const told = (await this.#part(Math.floor(stripe / perPart)))?.[stripe % perPart] ?? []
    const isCopy = this.#manifest.code.k === 1
    const shards = isCopy ? Array.from({ length: width(this.#manifest.code) }, (_, n) => n) : [shard]
    const peerIds = new Set(shards.map((n) => told[n]))
    for (const peerId of this.#found.get(`${stripe}.${shard}`) ?? []) peerIds.add(peerId)
    const live = this.#nodes.live().filter(({ record }) => peerIds.has(record.peerId))
    return byDistance(this.#nodes, live)
  }

  #part(part: number): Promise<Holders | undefined> {
    const known = this.#parts.get(part)
    if (known) return known
    for (const oldest of this.#parts.keys()) if (this.#parts.size >= PARTS_KEPT) this.#parts.delete(oldest)
    const holders = this.#caretakers.holders(this.#manifest, part)
    this.#parts.set(part, holders)
    holders.catch(() => this.#parts.delete(part))
    return holders
  }
}
