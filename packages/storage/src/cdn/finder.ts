import { type CID, isPinGoError } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import type { NodeMap, StorageNode } from '../nodes/port.ts'
import { unlessAborted } from '../objects/abort.ts'
import { fetchBlock } from '../transfer/fetch-block.ts'
import { type HttpPool, sharedPool } from '../transfer/http-client.ts'
import { type ChunkPlace, ObjectIndex } from './object-index.ts'
import type { BlockHolder, Finder, FindOptions, Providers } from './port.ts'
import { realTiming, type Timing } from './timing.ts'

export interface NetworkFinderOptions {
  nodes: NodeMap
  /** PeerId of this node: it is not asked. */
  self?: string
  providers?: Providers
  pool?: HttpPool
  timing?: Timing
  /** ms since epoch. */
  clock?: () => number
}

/** Objects whose chunks' places are remembered, and how long what was told of them is believed. */
const MAX_OBJECTS = 64
const OBJECT_MS = 5 * 60_000
const NO_OBJECT_MS = 10_000
/** Nodes near by that are asked what they have; blocks a question; how long questions are gathered and waited for. */
const ASKED = 16
const MAX_QUESTION = 1_024
const GATHER_MS = 3
const ANSWER_MS = 3_000
const MAX_PROVIDERS = 8
const PROVIDERS_MS = 5_000

/**
 * Finds who has a block: whom the caretakers of its object name, or they themselves (they keep manifests and trees); then nobody but arithmetic (a
 * lost data shard, from the others); then whoever near by says so; then who provides the root in the DHT.
 */
export class NetworkFinder implements Finder {
  readonly #o: NetworkFinderOptions
  readonly #timing: Timing
  readonly #objects = new Map<string, { index: Promise<ObjectIndex | undefined>; until: number }>()
  #asking: Question | undefined

  constructor(o: NetworkFinderOptions) {
    this.#o = o
    this.#timing = o.timing ?? realTiming
  }

  async *find(cid: CID, o: FindOptions = {}): AsyncGenerator<BlockHolder[]> {
    const seen = new Set<string>()
    const fresh = (holders: BlockHolder[]) =>
      holders.filter(({ id }) => id !== this.#o.self && !seen.has(id) && seen.add(id))
    const holdersOf = (nodes: StorageNode[], bytes?: number) => fresh(nodes.map((node) => this.#holder(node, bytes)))
    // a block of no known file is seldom the root of one: those near by are asked first
    if (!o.root) yield holdersOf(await this.#whoHas(cid))
    const root = o.root ?? cid
    const object = await this.#object(root, o.signal)
    const place = await object?.place(cid).catch(() => undefined)
    if (object && place) {
      yield holdersOf(await object.holders(place).catch(() => []), place.bytes)
      if (object.canRebuild(place)) yield [rebuilder(object, place)]
    } else if (object) yield holdersOf(object.caretakers())
    if (o.root) yield holdersOf(await this.#whoHas(cid))
    yield fresh(await this.#providersOf(root, o.signal))
  }

  /** How many of those near by have each of the blocks. */
  async count(cids: readonly CID[]): Promise<Map<CID, number>> {
    const found = await Promise.all(cids.map((cid) => this.#whoHas(cid)))
    return new Map(cids.map((cid, n) => [cid, found[n]!.length]))
  }

  /** @param bytes how long the block is, where that is known */
  #holder(node: StorageNode, bytes?: number): BlockHolder {
    const { peerId } = node.record
    const rtt = this.#o.nodes.rtt(peerId)
    return { id: peerId, rtt, get: (cid, o) => node.getChunk(cid, { ...o, rtt, bytes }) }
  }

  async #object(root: CID, signal: AbortSignal | undefined): Promise<ObjectIndex | undefined> {
    const id = root.toString()
    const now = this.#timing.now()
    let known = this.#objects.get(id)
    if (!known || known.until <= now) {
      const entry = {
        // for all who ask for the object's blocks: none of them ends it
        index: ObjectIndex.open(id, this.#o.nodes, this.#o.clock ?? Date.now),
        until: now + OBJECT_MS,
      }
      entry.index.then(
        (index) => {
          if (!index) entry.until = this.#timing.now() + NO_OBJECT_MS
        },
        () => this.#objects.delete(id),
      )
      known = entry
      this.#objects.delete(id)
      this.#objects.set(id, known)
      if (this.#objects.size > MAX_OBJECTS) this.#objects.delete(this.#objects.keys().next().value!)
    }
    try {
      return await unlessAborted(known.index, signal)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (isPinGoError(error)) return undefined // whoever else may have it is asked
      throw error
    }
  }

  async #providersOf(root: CID, signal: AbortSignal | undefined): Promise<BlockHolder[]> {
    const { providers, pool = sharedPool, nodes } = this.#o
    if (!providers) return []
    const stop = new AbortController()
    const cancel = this.#timing.after(PROVIDERS_MS, () => stop.abort())
    const found: BlockHolder[] = []
    try {
      const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
      for await (const { peerId, ...source } of providers.find(root, { signal: either })) {
        found.push({
          id: peerId,
          rtt: nodes.rtt(peerId),
          get: (cid, o) => fetchBlock(source, cid, { ...o, pool, rtt: nodes.rtt(peerId) }),
        })
        if (found.length >= MAX_PROVIDERS) break
      }
    } catch {
      signal?.throwIfAborted()
    } finally {
      cancel()
    }
    return found
  }

  /** Those near by that have a block: questions of the same moment are one. */
  async #whoHas(cid: CID): Promise<StorageNode[]> {
    let question = this.#asking
    if (!question) {
      const asked: Question = { cids: new Map(), answer: Promise.resolve(new Map()) }
      const ask = () => {
        if (this.#asking === asked) this.#asking = undefined
      }
      asked.answer = new Promise<void>((resolve) => {
        asked.ask = resolve
        this.#timing.after(GATHER_MS, resolve)
      }).then(() => {
        ask()
        return this.#askNear([...asked.cids.values()])
      })
      question = asked
      this.#asking = asked
    }
    question.cids.set(keyOf(cid), cid)
    if (question.cids.size >= MAX_QUESTION) {
      this.#asking = undefined
      question.ask?.()
    }
    return (await question.answer).get(keyOf(cid)) ?? []
  }

  async #askNear(cids: CID[]): Promise<Map<string, StorageNode[]>> {
    const found = new Map<string, StorageNode[]>()
    const near = this.#o.nodes.live().filter(({ record }) => record.peerId !== this.#o.self)
    const stop = new AbortController()
    const cancel = this.#timing.after(ANSWER_MS, () => stop.abort())
    const asked = near.slice(0, ASKED).map(async (node) => {
      const missing = new Set((await node.missing(cids, { signal: stop.signal })).map(keyOf))
      for (const key of cids.map(keyOf)) if (!missing.has(key)) found.set(key, [...(found.get(key) ?? []), node])
    })
    await Promise.allSettled(asked)
    cancel()
    return found
  }
}

interface Question {
  cids: Map<string, CID>
  answer: Promise<Map<string, StorageNode[]>>
  ask?: () => void
}

const rebuilder = (object: ObjectIndex, place: ChunkPlace): BlockHolder => ({
  id: 'rebuilt',
  rtt: undefined,
  get: (_cid, o) => object.rebuild(place, o?.signal ?? new AbortController().signal),
})
