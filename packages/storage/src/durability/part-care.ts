import {
  CHUNK_LEASE_MS,
  type CID,
  type Code,
  isPinGoError,
  MAX_CHUNKS_PER_QUESTION,
  type Stripe,
  sha256,
} from '@pingo/wire'
import { erasureCode } from '../erasure/erasure-code.ts'
import type { StorageNode } from '../nodes/port.ts'
import { decodeLocations, encodeLocations, shardCid, shardDigest, storedBytesOf, stripeKey } from '../objects/object.ts'
import { CHECK_MS } from './duty.ts'
import { chooseHomes, misplaced } from './homes.ts'
import { inLanes } from './lanes.ts'
import type { Peers } from './peers.ts'
import { planRepair, type RepairPlan, type ShardState } from './policy.ts'
import type { CaredObject, CaredPart, CaretakerStore } from './ports.ts'
import type { RepairQueue } from './repair-queue.ts'

/** Holders that one check asks at once. */
const HOLDERS_AT_ONCE = 8
/** Nodes that are searched for the shards of a lost stripe, drawn anew each time. */
const SEARCHED = 512
/** Nodes that are asked to take a shard, before it is left for the next check. */
const HOMES_TRIED = 8

export type CareEvent =
  | { type: 'checked'; object: string; stripesByShards: Record<number, number> }
  | { type: 'challenged'; object: string; peerId: string; outcome: string }
  | { type: 'rebuilt' | 'moved'; object: string; shards: number; bytesRead: number; bytesWritten: number }
  | { type: 'unrepaired'; object: string; reason: string }
  | { type: 'lost'; object: string; stripe: number; left: number }
  | { type: 'handed-over' | 'forgotten'; object: string }
  | { type: 'failed'; object: string; error: unknown }

export interface PartCareOptions {
  object: CaredObject
  index: number
  part: CaredPart
  peers: Peers
  store: CaretakerStore
  queue: RepairQueue
  clock: () => number
  signal: AbortSignal | undefined
  onEvent: (event: CareEvent) => void
}

export interface PartOutcome {
  /** Shards that are there, by stripe. */
  left: number[]
  /** Something is still to do: nobody to take a shard, or a repair that failed. */
  isUnfinished: boolean
  /** A holder is silent that counts for a while yet. */
  isWaiting: boolean
  changed: boolean
}

/** Somebody told newer locations, or the object is gone: what was read is old. */
class Stale extends Error {}

/** One check of one part of an object: who still has what, renewed leases, challenges, repairs, moves. */
export class PartCare {
  readonly #o: PartCareOptions
  readonly #code: Code
  readonly #stripes: readonly Stripe[]
  /** By stripe and shard. */
  readonly #holders: (string | undefined)[][]
  readonly #states: ShardState[][]
  #version: number
  #saving: Promise<void> = Promise.resolve()
  #changed = false
  #isUnfinished = false
  /** Where shards are said to be is not where they were found: to be written down. */
  #isPlaceChanged = false

  constructor(o: PartCareOptions) {
    this.#o = o
    this.#code = o.object.manifest.code
    this.#stripes = o.part.stripes
    this.#holders = decodeLocations(o.part.locations, o.object.manifest, o.index)
    this.#version = o.part.locations.version ?? 0
    this.#states = this.#stripes.map((stripe) =>
      this.#shards().map((shard) => (storedBytesOf(stripe, this.#code, shard) === 0 ? 'empty' : 'gone')),
    )
  }

  async run(): Promise<PartOutcome> {
    await this.#ask()
    await this.#search()
    if (this.#isPlaceChanged) await this.#queued(this.#save())
    const plans = this.#states.map((states) => planRepair(this.#code, states))
    const isWaiting = this.#states.some((states) => states.includes('away'))
    const work = plans.map((plan, stripe) => this.#repair(stripe, plan))
    await Promise.all(work)
    this.#o.signal?.throwIfAborted()
    const left = this.#states.map((states) => planRepair(this.#code, states).left)
    return { left, isUnfinished: this.#isUnfinished, isWaiting, changed: this.#changed }
  }

  /** Renews the leases at every holder, which also tells what it lacks, and challenges each for one of the shards it says it has. */
  async #ask(): Promise<void> {
    const held = new Map<string, { stripe: number; shard: number; cid: CID }[]>()
    for (const [stripe, holders] of this.#holders.entries())
      for (const [shard, peerId] of holders.entries()) {
        if (peerId === undefined || this.#states[stripe]![shard] === 'empty') continue
        const list = held.get(peerId) ?? []
        held.set(peerId, list)
        list.push({ stripe, shard, cid: shardCid(this.#stripes[stripe]!, this.#code, shard) })
      }
    await inLanes(held, HOLDERS_AT_ONCE, async ([peerId, shards]) => {
      const { peers } = this.#o
      if (peers.isEjected(peerId)) return
      const mark = (state: ShardState, which = shards) => {
        for (const { stripe, shard } of which) this.#states[stripe]![shard] = state
      }
      const silent = () => mark(peers.isAway(peerId) ? 'away' : 'gone')
      const node = peers.get(peerId)
      if (node === undefined) return silent()
      const missing = await this.#keep(
        node,
        shards.map(({ cid }) => cid),
      )
      if (missing === undefined) return silent()
      const here = shards.filter(({ cid }) => !missing.has(cid.toString()))
      mark('here', here)
      if (here.length < shards.length) {
        if (this.#wasCheckedLately()) peers.failed(peerId)
        this.#unplace(shards.filter((shard) => !here.includes(shard)))
      }
      if (here.length === 0) return peers.answered(peerId)
      const drawn = here[peers.below(here.length)]!
      const ref = { stripe: this.#stripes[drawn.stripe]!, shard: drawn.shard, code: this.#code }
      const outcome = await peers.challenge(node, ref, this.#o.signal)
      this.#o.onEvent({ type: 'challenged', object: this.#o.object.id, peerId, outcome })
      if (outcome === 'failed') mark('gone', [drawn])
      if (outcome === 'no-answer' || outcome === 'offline') silent()
      if (peers.isEjected(peerId)) mark('gone')
    })
  }

  /**
   * Nobody has these any more: their holder is not asked for them again. What it lost is one failure of its, not one more each day that
   * passes until somebody repairs it, which with 15 of 16 shards left nobody does.
   */
  #unplace(shards: readonly { stripe: number; shard: number }[]): void {
    for (const { stripe, shard } of shards) this.#holders[stripe]![shard] = undefined
    this.#isPlaceChanged = true
  }

  /**
   * Looks everywhere for the shards of stripes that seem lost, and keeps what is found: where they are may be told wrongly, by a caretaker
   * that lies or was away for long, and then nobody would renew their leases.
   */
  async #search(): Promise<void> {
    const { peers } = this.#o
    const places = this.#states.flatMap((states, stripe) =>
      planRepair(this.#code, states).need !== 'lost'
        ? []
        : this.#shards().flatMap((shard) => (['gone', 'away'].includes(states[shard]!) ? [{ stripe, shard }] : [])),
    )
    if (places.length === 0) return
    const sought = places.map((place) => ({
      ...place,
      cid: shardCid(this.#stripes[place.stripe]!, this.#code, place.shard),
    }))
    const cids = [...new Map(sought.map(({ cid }) => [cid.toString(), cid])).values()]
    const nodes = peers.live().filter(({ record }) => !peers.isEjected(record.peerId))
    while (nodes.length > SEARCHED) nodes.splice(peers.below(nodes.length), 1)
    let isFound = false
    await inLanes(nodes, HOLDERS_AT_ONCE, async (node) => {
      const { peerId } = node.record
      const missing = await this.#keep(node, cids)
      const isCopy = this.#code.k === 1
      const has = sought.filter(
        ({ stripe, cid }) =>
          missing?.has(cid.toString()) === false &&
          // of copies each counts once
          !(isCopy && this.#holders[stripe]!.some((id, n) => id === peerId && this.#states[stripe]![n] === 'here')),
      )
      const drawn = has[peers.below(Math.max(1, has.length))]
      if (!drawn) return
      const ref = { stripe: this.#stripes[drawn.stripe]!, shard: drawn.shard, code: this.#code }
      if ((await peers.challenge(node, ref, this.#o.signal)) !== 'passed') return
      const copied = new Set<number>()
      for (const { stripe, shard } of has) {
        if (this.#states[stripe]![shard] === 'here' || copied.has(stripe)) continue
        if (isCopy) copied.add(stripe)
        this.#holders[stripe]![shard] = peerId
        this.#states[stripe]![shard] = 'here'
        isFound = true
      }
    })
    if (isFound) this.#isPlaceChanged = true
  }

  /** @returns CIDs that are not there; undefined when it did not answer, or does not keep them */
  async #keep(node: StorageNode, cids: readonly CID[]): Promise<Set<string> | undefined> {
    const { object, peers, signal, clock } = this.#o
    const missing = new Set<string>()
    try {
      for (let from = 0; from < cids.length; from += MAX_CHUNKS_PER_QUESTION) {
        const some = cids.slice(from, from + MAX_CHUNKS_PER_QUESTION)
        const o = { record: object.record, signal: peers.deadline(undefined, signal) }
        for (const cid of await node.keep(object.id, some, clock() + CHUNK_LEASE_MS, o)) missing.add(cid.toString())
      }
      return missing
    } catch {
      signal?.throwIfAborted()
      return undefined
    }
  }

  /**
   * What is missing now was there a day or two ago, when this node looked itself: then its holder lost it, no lease simply ended, and
   * nobody told since that it has what it never had.
   */
  #wasCheckedLately(): boolean {
    const { checkedAt = 0 } = this.#o.object.health
    const ago = this.#o.clock() - checkedAt
    return ago >= 0 && ago <= 2 * CHECK_MS && (this.#o.part.locations.version ?? 0) <= checkedAt
  }

  async #repair(index: number, { need, left, wanted }: RepairPlan): Promise<void> {
    const { object, queue, onEvent, peers } = this.#o
    const stripe = this.#stripes[index]!
    if (need === 'lost') {
      this.#isUnfinished = true
      onEvent({ type: 'lost', object: object.id, stripe: index, left })
      return
    }
    const size = stripe.shardBytes
    if (wanted.length > 0)
      await this.#queued(
        queue.add({
          priority: left - this.#code.k,
          bytes: size * (this.#code.k + wanted.length),
          run: () => this.#rebuild(index, wanted),
        }),
      )
    const homes = this.#holders[index]!.map((peerId, shard) =>
      peerId !== undefined && this.#states[index]![shard] === 'here' ? this.#home(peerId) : undefined,
    )
    for (const shard of misplaced(
      homes,
      () => peers.candidates(size),
      (peerId) => peers.isLeaving(peerId),
    ))
      await this.#queued(
        queue.add({ priority: this.#code.m + 1, bytes: 2 * size, run: () => this.#move(index, shard) }),
      )
  }

  /** A repair that fails is tried again at the next check; the part's other stripes go on. */
  async #queued(repair: Promise<void>): Promise<void> {
    try {
      await repair
    } catch (error) {
      if (this.#o.signal?.aborted) return
      if (!isPinGoError(error) && !(error instanceof Stale)) throw error
      this.#isUnfinished = true
      this.#o.onEvent({ type: 'unrepaired', object: this.#o.object.id, reason: error.message })
    }
  }

  /** Reads k shards, the nearest first, rebuilds those wanted, and stores them where nobody holds any. */
  async #rebuild(index: number, wanted: readonly number[]): Promise<void> {
    const stripe = this.#stripes[index]!
    const shards = await this.#gather(index)
    if (shards === undefined) {
      this.#isUnfinished = true
      return
    }
    const bytesRead = shards.reduce((sum, shard) => sum + (shard?.byteLength ?? 0), 0)
    const rebuilt = erasureCode(this.#code).rebuild(shards, stripe.shardBytes, wanted)
    let bytesWritten = 0
    let done = 0
    let homeless = 0
    for (const [i, shard] of wanted.entries()) {
      const bytes = rebuilt[i]!.subarray(0, storedBytesOf(stripe, this.#code, shard))
      // Digests that are no code word's: its owner made it so. What is rebuilt would be refused by every reader.
      if (Buffer.compare(sha256(bytes), shardDigest(stripe, this.#code, shard)) !== 0) continue
      // its holder may be all right, and only the chunk damaged: better there again than nowhere
      if (await this.#settle(index, shard, bytes, { mayStay: true })) {
        bytesWritten += bytes.byteLength
        done++
      } else homeless++
    }
    if (homeless > 0) this.#isUnfinished = true
    if (done === 0) return
    await this.#save()
    this.#o.onEvent({ type: 'rebuilt', object: this.#o.object.id, shards: done, bytesRead, bytesWritten })
  }

  async #move(index: number, shard: number): Promise<void> {
    const stripe = this.#stripes[index]!
    const from = this.#o.peers.get(this.#holders[index]![shard]!)
    const bytes = from && (await this.#o.peers.fetch(from, { stripe, shard, code: this.#code }, this.#o.signal))
    if (bytes === undefined || !(await this.#settle(index, shard, bytes, { mayStay: false }))) {
      this.#isUnfinished = true
      return
    }
    await this.#save()
    const size = bytes.byteLength
    this.#o.onEvent({ type: 'moved', object: this.#o.object.id, shards: 1, bytesRead: size, bytesWritten: size })
  }

  /**
   * Finds a home for a shard and stores it there; its place is changed here, and on disk by {@link #save}.
   * @param o.mayStay where it was counts as well, after all others
   */
  async #settle(index: number, shard: number, bytes: Uint8Array, o: { mayStay: boolean }): Promise<boolean> {
    const { object, peers, clock, signal } = this.#o
    const stripe = this.#stripes[index]!
    const cid = shardCid(stripe, this.#code, shard)
    const holders = this.#holders[index]!
    const others = holders.flatMap((peerId, other) =>
      peerId === undefined || !this.#counts(index, other) ? [] : [this.#home(peerId)],
    )
    const staying = others.filter(({ id }) => id !== holders[shard])
    const candidates = peers.candidates(bytes.byteLength)
    const elsewhere = candidates.filter(({ id }) => id !== holders[shard])
    const homes = chooseHomes(stripeKey(stripe), elsewhere, staying, HOMES_TRIED)
    if (o.mayStay) homes.push(...candidates.filter(({ id }) => id === holders[shard]))
    let why = 'There is no other node, or none has room.'
    for (const { id } of homes) {
      const lease = { object: object.id, record: object.record, until: clock() + CHUNK_LEASE_MS }
      try {
        await peers.store(peers.get(id)!, { cid, bytes }, lease, signal)
      } catch (error) {
        signal?.throwIfAborted()
        if (!isPinGoError(error) && !(error instanceof Error && error.name === 'TimeoutError')) throw error
        why = error.message
        continue
      }
      holders[shard] = id
      this.#states[index]![shard] = 'here'
      return true
    }
    this.#o.onEvent({ type: 'unrepaired', object: object.id, reason: `No node takes a shard. ${why}` })
    return false
  }

  /** Any k shards of a stripe: `k + m` places; undefined when they cannot be had. */
  async #gather(index: number): Promise<(Uint8Array | undefined)[] | undefined> {
    const { peers, signal } = this.#o
    const stripe = this.#stripes[index]!
    const states = this.#states[index]!
    const shards: (Uint8Array | undefined)[] = states.map((state) =>
      state === 'empty' ? new Uint8Array(0) : undefined,
    )
    const sources = this.#holders[index]!.flatMap((peerId, shard) => {
      const node = peerId === undefined || shards[shard] ? undefined : peers.get(peerId)
      return node ? [{ node, shard, isHere: states[shard] === 'here' }] : []
    }).sort(
      (a, b) =>
        Number(b.isHere) - Number(a.isHere) || peers.rtt(a.node.record.peerId) - peers.rtt(b.node.record.peerId),
    )
    let have = shards.filter((shard) => shard !== undefined).length
    await inLanes(Array.from({ length: Math.max(0, this.#code.k - have) }), this.#code.k, async () => {
      for (let source = sources.shift(); source !== undefined; source = sources.shift()) {
        const bytes = await peers.fetch(source.node, { stripe, shard: source.shard, code: this.#code }, signal)
        if (bytes !== undefined) {
          shards[source.shard] = bytes
          have++
          return
        }
        states[source.shard] = 'gone'
      }
    })
    if (have >= this.#code.k) return shards
    this.#o.onEvent({
      type: 'unrepaired',
      object: this.#o.object.id,
      reason: `Only ${have} shards of a stripe can be read.`,
    })
    return undefined
  }

  /**
   * Makes the locations durable; several at once in order. The version is the time where it can be: of two caretakers that each believed
   * to be the only one, the later wins everywhere. @throws Stale
   */
  #save(): Promise<void> {
    const { store, object, index } = this.#o
    this.#saving = this.#saving.then(async () => {
      const version = Math.max(this.#version + 1, this.#o.clock())
      const locations = { ...encodeLocations(this.#holders), version }
      if (!(await store.setLocations(object.id, index, locations)))
        throw new Stale('Somebody changed its locations meanwhile.')
      this.#version = version
      this.#changed = true
    })
    return this.#saving
  }

  #shards = () => Array.from({ length: this.#code.k + this.#code.m }, (_, shard) => shard)
  #counts = (index: number, shard: number) => ['here', 'away'].includes(this.#states[index]![shard]!)
  #home = (peerId: string) => ({ id: peerId, domain: this.#o.peers.domainOf(peerId) })
}
