import {
  type CID,
  type Code,
  isPinGoError,
  MAX_OBJECT_RECORD_BYTES,
  OBJECT_RECORD_TYPE,
  ObjectRecordSchema,
  parseCid,
  unseal,
} from '@pingo/wire'
import type { ObjectHealth, ObjectState, StorageNode } from '../nodes/port.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { dutyOf, nextCheck, OWN_CHECK_MS, TRY_AGAIN_MS } from './duty.ts'
import { inLanes } from './lanes.ts'
import { type CareEvent, PartCare } from './part-care.ts'
import { Peers, type PeersOptions } from './peers.ts'
import { ABSENCE_GRACE_MS } from './policy.ts'
import { type CaredObject, type CaretakerStore, FORGOTTEN_KEPT_MS } from './ports.ts'
import { RepairQueue } from './repair-queue.ts'

const TICK_MS = 30_000
const DUE_AT_ONCE = 64
const HANDED_AT_ONCE = 4
/** Blocks of one manifest that are fetched again in one visit. */
const MAX_RESTORED = 64

export interface CaretakerOptions extends PeersOptions {
  store: CaretakerStore
  sleep: (ms: number) => Promise<void>
  /** Objects that are checked at once, 16 by default. */
  parallelChecks?: number
  /** Stripes that are repaired at once, 2 by default: each takes up to 16 MiB. */
  parallelRepairs?: number
  /** What repairs read and write on average, at most; 20 MB/s by default. */
  bytesPerSecond?: number
  onEvent?: (event: CareEvent) => void
}

/** The answer of another caretaker; 'no': it is none; absent of those that did not answer. */
type Answers = Map<StorageNode, ObjectState | 'no'>

/**
 * Sees to the objects whose caretaker this node is: checks, challenges, renews, repairs, moves, tells the other caretakers, hands over.
 * A repaired shard is stored and leased, both durably, before its place is written down: killed at any instant, nothing is lost, and what was
 * stored in vain is collected when its lease ends.
 */
export class Caretaker {
  readonly #o: CaretakerOptions
  readonly #peers: Peers
  readonly #queue: RepairQueue
  readonly #leaving = new Set<string>()

  constructor(o: CaretakerOptions) {
    this.#o = o
    this.#peers = new Peers(o)
    this.#queue = new RepairQueue({
      parallel: o.parallelRepairs ?? 2,
      bytesPerSecond: o.bytesPerSecond ?? 20e6,
      clock: o.clock,
      sleep: o.sleep,
    })
  }

  /** Stripes that wait for repair, or are being repaired. */
  get repairsQueued(): number {
    return this.#queue.length
  }

  /** Goes on until the signal ends it. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.tick(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#event({ type: 'failed', object: '', error })
      })
      if (!signal.aborted) await this.#o.sleep(TICK_MS)
    }
  }

  /** Sees to all that is due by now. */
  async tick(signal?: AbortSignal): Promise<void> {
    const { store, clock, parallelChecks = 16 } = this.#o
    this.#peers.observe()
    if (this.#newlyLeaving()) await store.hasten(clock())
    await this.#peers.retry(signal)
    const seen = new Set<string>()
    for (;;) {
      const due = (await store.due(clock(), DUE_AT_ONCE)).filter((id) => !seen.has(id))
      if (due.length === 0) return
      for (const id of due) seen.add(id)
      await inLanes(due, parallelChecks, (id) => this.#see(id, signal))
      signal?.throwIfAborted()
    }
  }

  /** True when a node says that it leaves that did not before: what it holds is moved now. */
  #newlyLeaving(): boolean {
    const leaving = this.#peers.live().filter(({ record }) => record.state === 'leaving')
    const isNew = leaving.some(({ record }) => !this.#leaving.has(record.peerId))
    this.#leaving.clear()
    for (const { record } of leaving) this.#leaving.add(record.peerId)
    return isNew
  }

  async #see(id: string, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#restoring(id, signal, () => this.#attend(id, signal))
    } catch (error) {
      signal?.throwIfAborted()
      this.#event({ type: 'failed', object: id, error })
      const object = await this.#o.store.get(id).catch(() => undefined)
      if (object) await this.#o.store.setChecked(id, object.health, this.#o.clock() + TRY_AGAIN_MS)
    }
  }

  /** Does what needs the object's manifest; blocks of it that the own disk lost are fetched from the other caretakers. */
  async #restoring(id: string, signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    for (let restored = 0; ; restored++)
      try {
        return await work()
      } catch (error) {
        signal?.throwIfAborted()
        const isOurs = isPinGoError(error, 'BLOCK_MISSING') || isPinGoError(error, 'BLOCK_CORRUPT')
        const cid = isOurs ? error.details?.cid : undefined
        if (typeof cid !== 'string' || restored >= MAX_RESTORED || !(await this.#restore(id, parseCid(cid), signal)))
          throw error
      }
  }

  async #restore(id: string, cid: CID, signal: AbortSignal | undefined): Promise<boolean> {
    for (const node of caretakersOf(id, this.#peers.active())) {
      if (node.record.peerId === this.#peers.self) continue
      const isDone = await this.#told(id, signal, async () => {
        const bytes = await node.getChunk(cid, { signal: this.#peers.deadline(undefined, signal) })
        await this.#o.self.putChunk(cid, bytes, { upload: `care-${id}` })
      })
      if (isDone) return true
    }
    return false
  }

  async #attend(id: string, signal: AbortSignal | undefined): Promise<void> {
    const { store, clock } = this.#o
    const caretakers = caretakersOf(id, this.#peers.active())
    const place = caretakers.findIndex(({ record }) => record.peerId === this.#peers.self)
    const others = caretakers.filter((_, i) => i !== place)
    // Who stands by needs the word of the first that answers only.
    const before = place > 0 ? await this.#askFirst(id, others.slice(0, place), signal) : undefined
    const rank = before ? before.rank : Math.min(place, 0)
    const answers = before?.answers ?? (await this.#askOthers(id, others, signal))
    await this.#hearForgotten(id, answers, signal)
    const object = await store.get(id)
    if (object === undefined) return
    // read also where others act: a manifest that a disk lost is missed before it is needed
    for (let index = 0; index < object.manifest.parts.length; index++) await store.part(id, index)
    const now = clock()
    const [first] = rank > 0 ? answers.values() : []
    const duty = dutyOf({
      rank,
      checkedAt: object.health.checkedAt,
      firstCheckedAt: first === undefined || first === 'no' ? undefined : first.health.checkedAt,
      putAt: object.health.checkedAt === undefined ? await putAt(object) : 0,
      now,
      random: this.#peers.below(1_000) / 1_000,
    })
    if (duty.type === 'stand-by') {
      // The first in rank is new: it does not know of the object.
      for (const [node, answer] of answers) if (answer === 'no') await this.#handOver(object, node, signal)
      return store.setChecked(id, object.health, duty.dueAt)
    }
    if (before) for (const [node, answer] of await this.#askOthers(id, others, signal)) answers.set(node, answer)
    await this.#learnLocations(object, answers, signal)
    if (duty.type === 'hand-over') return this.#leave(object, others, answers, signal)
    await this.#check(object, others, answers, before !== undefined, signal)
  }

  async #check(
    object: CaredObject,
    others: StorageNode[],
    answers: Answers,
    isStandBy: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, clock } = this.#o
    const { id, manifest, health } = object
    const stripesByShards: Record<number, number> = {}
    let again = Number.POSITIVE_INFINITY
    const changed: number[] = []
    for (let index = 0; index < manifest.parts.length; index++) {
      const part = await store.part(id, index)
      if (part === undefined) continue
      const onEvent = (event: CareEvent) => this.#event(event)
      const o = { object, index, part, peers: this.#peers, store, queue: this.#queue, clock, signal, onEvent }
      const outcome = await new PartCare(o).run()
      for (const left of outcome.left) stripesByShards[left] = (stripesByShards[left] ?? 0) + 1
      if (outcome.isUnfinished) again = Math.min(again, clock() + TRY_AGAIN_MS)
      if (outcome.isWaiting) again = Math.min(again, clock() + ABSENCE_GRACE_MS)
      // Whoever stands by tells all it knows: the first may have missed what changed.
      if (outcome.changed || isStandBy) changed.push(index)
    }
    if (isRelic(health, stripesByShards, manifest.code, clock())) return store.remove(id)
    for (const node of others) {
      const answer = answers.get(node)
      if (answer === 'no') await this.#handOver(object, node, signal)
      else if (answer !== undefined) for (const index of changed) await this.#relocate(object, node, index, signal)
    }
    const checkedAt = clock()
    const dueAt = Math.min(again, nextCheck(checkedAt, this.#peers.below(1_000) / 1_000))
    await store.setChecked(id, { checkedAt, stripesByShards }, dueAt)
    this.#event({ type: 'checked', object: id, stripesByShards })
  }

  /** Others see to it now; ours goes when all of them said that they do. */
  async #leave(
    object: CaredObject,
    caretakers: StorageNode[],
    answers: Answers,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, clock } = this.#o
    let isDone = caretakers.length > 0
    for (const node of caretakers) {
      const answer = answers.get(node)
      // One that was ejected is told, not waited for.
      if (this.#peers.isEjected(node.record.peerId)) await (answer === 'no' && this.#handOver(object, node, signal))
      else if (answer === undefined) isDone = false
      else if (answer === 'no') isDone = (await this.#handOver(object, node, signal)) && isDone
      else
        for (let index = 0; index < object.manifest.parts.length; index++)
          isDone = (await this.#relocate(object, node, index, signal)) && isDone
    }
    if (!isDone) return store.setChecked(object.id, object.health, clock() + TRY_AGAIN_MS)
    const isStaying = !this.#peers.isLeaving(this.#peers.self)
    if (isStaying && !caretakers.some(({ record }) => this.#peers.isVetted(record.peerId)))
      return this.#watch(object, caretakers, answers, signal)
    await store.remove(object.id)
    this.#event({ type: 'handed-over', object: object.id })
  }

  /**
   * Identities cost nothing: somebody may make seven that come before all others in the rank of an object. Until one of its caretakers is
   * vetted by own audits, whoever they replaced goes on to check each week, and so to renew its leases.
   */
  async #watch(
    object: CaredObject,
    caretakers: StorageNode[],
    answers: Answers,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const now = this.#o.clock()
    const { checkedAt } = object.health
    if (checkedAt === undefined || now - checkedAt >= OWN_CHECK_MS || checkedAt > now + OWN_CHECK_MS)
      return this.#check(object, caretakers, answers, true, signal)
    await this.#o.store.setChecked(object.id, object.health, nextCheck(now, this.#peers.below(1_000) / 1_000))
  }

  /** The manifest's blocks, then the owner's word and where the shards are. @returns whether it took them */
  async #handOver(object: CaredObject, node: StorageNode, signal: AbortSignal | undefined): Promise<boolean> {
    const { store } = this.#o
    const { id } = object
    return this.#told(id, signal, async () => {
      const blocks: { cid: CID; bytes: Uint8Array }[] = []
      const flush = () =>
        inLanes(blocks.splice(0), HANDED_AT_ONCE, ({ cid, bytes }) =>
          node.putChunk(cid, bytes, { upload: `care-${id}`, signal: this.#peers.deadline(undefined, signal) }),
        )
      for await (const block of store.blocks(id)) {
        blocks.push(block)
        if (blocks.length >= HANDED_AT_ONCE) await flush()
      }
      await flush()
      const locations = []
      for (let index = 0; index < object.manifest.parts.length; index++)
        locations.push((await store.part(id, index))!.locations)
      for (const record of [object.record, ...(object.others ?? [])])
        await node.commit({ record, locations }, { signal: this.#peers.deadline(undefined, signal) })
    })
  }

  /** Tells a caretaker where a part's shards are by now. */
  async #relocate(
    object: CaredObject,
    node: StorageNode,
    index: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const part = await this.#o.store.part(object.id, index)
    if (part === undefined || (part.locations.version ?? 0) === 0) return true
    const o = { signal: this.#peers.deadline(undefined, signal) }
    return this.#told(object.id, signal, () => node.relocate(object.id, index, part.locations, o))
  }

  /** @returns whether it could be told; what it missed it learns at a later check */
  async #told(id: string, signal: AbortSignal | undefined, work: () => Promise<void>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      signal?.throwIfAborted()
      this.#event({ type: 'failed', object: id, error })
      return false
    }
  }

  /** The first of those before this node that answers, and how many are before it then. */
  async #askFirst(id: string, before: StorageNode[], signal: AbortSignal | undefined) {
    for (const [silent, node] of before.entries()) {
      const answers = await this.#askOthers(id, [node], signal)
      if (answers.size > 0) return { answers, rank: before.length - silent }
    }
    return { answers: new Map() as Answers, rank: 0 }
  }

  async #askOthers(id: string, others: StorageNode[], signal: AbortSignal | undefined): Promise<Answers> {
    const answers: Answers = new Map()
    await inLanes(others, others.length, async (node) => {
      try {
        answers.set(node, (await node.object(id, { signal: this.#peers.deadline(undefined, signal) })) ?? 'no')
      } catch (error) {
        signal?.throwIfAborted()
        if (isPinGoError(error, 'OBJECT_MISSING')) answers.set(node, 'no')
      }
    })
    return answers
  }

  /** One that heard the owner say that the object is kept no longer tells those that did not. */
  async #hearForgotten(id: string, answers: Answers, signal: AbortSignal | undefined): Promise<void> {
    const { store } = this.#o
    const told = [...answers].flatMap(([, answer]) => (answer !== 'no' && answer.forgotten ? [answer.forgotten] : []))
    if (told.length === 0) return
    for (const word of told) await this.#told(id, signal, () => store.forget(id, word))
    const word = await store.forgotten(id)
    if (word === undefined) return
    this.#event({ type: 'forgotten', object: id })
    for (const [node, answer] of answers)
      if (answer !== 'no' && !answer.forgotten)
        await this.#told(id, signal, () => node.forget(id, word, { signal: this.#peers.deadline(undefined, signal) }))
  }

  /** Whoever checked after this node did knows where the shards are now. */
  async #learnLocations(object: CaredObject, answers: Answers, signal: AbortSignal | undefined): Promise<void> {
    const { id, health, manifest } = object
    const newer = [...answers].filter(
      ([, answer]) => answer !== 'no' && (answer.health.checkedAt ?? 0) > (health.checkedAt ?? 0),
    )
    for (const [node] of newer)
      for (let index = 0; index < manifest.parts.length; index++)
        await this.#told(id, signal, async () => {
          const locations = await node.locations(id, index, { signal: this.#peers.deadline(undefined, signal) })
          const own = await this.#o.store.part(id, index)
          if (own && (locations.version ?? 0) > (own.locations.version ?? 0))
            await this.#o.store.setLocations(id, index, locations)
        })
  }

  #event(event: CareEvent): void {
    this.#o.onEvent?.(event)
  }
}

async function putAt({ record }: CaredObject): Promise<number> {
  const { value } = await unseal(ObjectRecordSchema, OBJECT_RECORD_TYPE, record, MAX_OBJECT_RECORD_BYTES)
  return value.at
}

/** Nothing is left of what was not looked at for longer than an owner's last word is remembered: it was forgotten meanwhile. */
function isRelic({ checkedAt }: ObjectHealth, stripes: Record<number, number>, { k }: Code, now: number): boolean {
  return (
    checkedAt !== undefined &&
    now - checkedAt > FORGOTTEN_KEPT_MS &&
    Object.keys(stripes).every((left) => Number(left) < k)
  )
}
