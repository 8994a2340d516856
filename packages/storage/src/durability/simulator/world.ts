import {
  type Code,
  FORGET_TYPE,
  type Identity,
  identityFromSeed,
  isPinGoError,
  OBJECT_RECORD_TYPE,
  type ObjectManifest,
  SHARD_ROW_BYTES,
  type Stripe,
  seal,
  sha256,
} from '@pingo/wire'
import { erasureCode } from '../../erasure/erasure-code.ts'
import {
  encodeLocations,
  encodeManifest,
  encodePart,
  shardBytesFor,
  shardCid,
  storedBytesOf,
  stripeKey,
} from '../../objects/object.ts'
import { caretakersOf } from '../../placement/caretakers.ts'
import { chooseHomes } from '../homes.ts'
import { merkleRoot } from '../merkle.ts'
import type { CareEvent } from '../part-care.ts'
import { Oracle, Violation } from './oracle.ts'
import { Random } from './random.ts'
import { Killed, SimNode } from './sim-node.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Weekly checks of all caretakers, and the five audits that eject a liar, several times over. */
const QUIET_DAYS = 21
/** A lease, and what it takes to hear of a forgotten object. */
const CLEAN_DAYS = 40
const MAX_LIARS = 2
const CODES: readonly Code[] = [
  { k: 10, m: 6 },
  { k: 4, m: 2 },
  { k: 2, m: 2 },
  { k: 1, m: 6 },
  { k: 1, m: 2 },
]

/** Chances of each fault per step of `stepHours`. */
export interface WorldOptions {
  seed: number
  nodes: number
  domains: number
  objects: number
  days: number
  stepHours: number
  faults: Faults
}

export interface Faults {
  die: number
  reboot: number
  kill: number
  corrupt: number
  lie: number
  hang: number
  partition: number
  leave: number
  full: number
  jump: number
  join: number
  forget: number
  /** A caretaker tells all of them wrongly where an object's shards are. */
  mislead?: number
  /** Of every call between two nodes. */
  loss: number
}

export interface WorldResult {
  seed: number
  violation?: string
  faults: Record<string, number>
  events: Record<string, number>
}

export const nastyWorld = (seed: number): WorldOptions => ({
  seed,
  nodes: 20 + (seed % 3) * 2,
  domains: seed % 2 === 0 ? 30 : 12,
  objects: 3,
  days: 25,
  stepHours: 3,
  faults: {
    die: 0.05,
    reboot: 0.15,
    kill: 0.2,
    corrupt: 0.08,
    lie: 0.04,
    hang: 0.01,
    partition: 0.02,
    leave: 0.03,
    full: 0.03,
    jump: 0.02,
    join: 0.07,
    forget: 0.02,
    loss: 0.02,
  },
})

/** Runs one world: faults for `days`, then quiet, in which all must heal, then long enough for what is not wanted to go. */
export async function simulateCare(o: WorldOptions): Promise<WorldResult> {
  const world = new World(o)
  try {
    await world.run()
    return world.result()
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    const violation = `day ${(world.now / DAY).toFixed(1)}: ${error.message}`
    return { ...world.result(), violation }
  }
}

/** Nodes, a clock that all nodes read in their own way, faults by a seed, and an oracle that sees everything. */
export class World {
  readonly random: Random
  readonly oracle: Oracle
  /** Every node there ever was, and those that are still there. */
  readonly known: SimNode[] = []
  nodes: SimNode[] = []
  now = 0
  lossRate = 0
  readonly #o: WorldOptions
  readonly #counts: Record<string, number> = {}
  readonly #events: Record<string, number> = {}
  #owner!: Identity
  #isCalm = false
  readonly #later: { at: number; run: () => void }[] = []

  constructor(o: WorldOptions) {
    this.#o = o
    this.random = new Random(o.seed)
    this.oracle = new Oracle(this)
    // Not at 0: clocks go back too.
    this.now = 1_000 * DAY
  }

  result(): WorldResult {
    return { seed: this.#o.seed, faults: this.#counts, events: this.#events }
  }

  heard(node: SimNode, event: CareEvent): void {
    this.#events[event.type] = (this.#events[event.type] ?? 0) + 1
    if (event.type !== 'failed' || event.error instanceof Killed || isPinGoError(event.error)) return
    this.oracle.fail(`${node.record.peerId} threw ${(event.error as Error).stack ?? event.error}`)
  }

  async run(): Promise<void> {
    const { days, objects, nodes, stepHours, faults } = this.#o
    this.#owner = await identityFromSeed(this.random.bytes(32))
    for (let i = 0; i < nodes; i++) await this.#join()
    for (let i = 0; i < objects; i++) await this.#put()
    this.lossRate = faults.loss
    await this.#pass(days, stepHours)
    this.#calm()
    await this.#pass(QUIET_DAYS, stepHours)
    this.oracle.settled()
    await this.#pass(CLEAN_DAYS, 12)
    this.oracle.clean()
  }

  async #pass(days: number, stepHours: number): Promise<void> {
    for (const end = this.now + days * DAY; this.now < end; ) {
      this.now += stepHours * HOUR
      for (const { run } of this.#later.filter(({ at }) => at <= this.now)) run()
      for (let i = this.#later.length - 1; i >= 0; i--) if (this.#later[i]!.at <= this.now) this.#later.splice(i, 1)
      if (!this.#isCalm) await this.#fault()
      for (const node of this.#shuffled()) {
        if (!node.isUp) continue
        await this.#tick(node)
        if (!this.random.chance(stepHours / 24)) continue
        for (const { cid } of node.collect()) this.oracle.collected(node, cid)
      }
      this.oracle.check()
    }
  }

  async #tick(node: SimNode): Promise<void> {
    try {
      await node.caretaker.tick()
    } catch (error) {
      if (error instanceof Violation) throw error
      if (!(error instanceof Killed)) this.oracle.fail(`${node.record.peerId} threw ${(error as Error).stack}`)
    }
  }

  async #fault(): Promise<void> {
    const { faults } = this.#o
    const strikes = (name: keyof Faults) => this.random.chance(faults[name] ?? 0)
    const count = (name: keyof Faults) => {
      this.#counts[name] = (this.#counts[name] ?? 0) + 1
    }
    const node = this.random.pick(this.nodes)
    const hours = (most: number) => this.now + (1 + this.random.below(most)) * HOUR
    const enough = this.nodes.length > 18
    if (strikes('die') && enough && this.oracle.bears(node)) {
      count('die')
      this.#remove(node)
    } else if (strikes('reboot')) {
      count('reboot')
      node.kill(hours(20) - this.now)
    } else if (strikes('kill')) {
      count('kill')
      node.killAfter = this.random.below(60)
    } else if (strikes('corrupt')) this.#corrupt(node, () => count('corrupt'))
    else if (strikes('lie') && this.#faulty() < MAX_LIARS && this.oracle.bears(node)) {
      count('lie')
      node.isLiar = node.isFaulty = true
    } else if (strikes('hang') && this.#faulty() < MAX_LIARS) {
      count('hang')
      node.isHung = node.isFaulty = true
    } else if (strikes('partition') && this.nodes.every(({ partition }) => partition === 0)) {
      count('partition')
      for (const other of this.nodes) other.partition = this.random.below(2)
      this.#later.push({
        at: hours(12),
        run: () => {
          for (const other of this.nodes) other.partition = 0
        },
      })
    } else if (strikes('leave') && enough && this.nodes.every(({ record }) => record.state === 'active'))
      this.#leave(node, () => count('leave'))
    else if (strikes('full')) {
      count('full')
      const { freeBytes } = node.record
      node.record = { ...node.record, freeBytes: 0 }
      this.#later.push({
        at: hours(100),
        run: () => {
          node.record = { ...node.record, freeBytes }
        },
      })
    } else if (strikes('jump')) {
      count('jump')
      node.clockOffset = (this.random.below(97) - 48) * HOUR
    }
    if (strikes('join') && this.nodes.length < 28) await this.#join()
    if (faults.mislead && strikes('mislead')) await this.#mislead(() => count('mislead'))
    if (strikes('forget')) await this.#forget(() => count('forget'))
  }

  #faulty = () => this.nodes.filter(({ isLiar, isHung }) => isLiar || isHung).length

  #corrupt(node: SimNode, done: () => void): void {
    const keys = [...node.chunks.keys()].filter((key) => !node.care.kept().has(key))
    if (keys.length === 0) return
    const chunk = node.chunks.get(this.random.pick(keys))!
    if (!this.oracle.bears(node, chunk.cid)) return
    done()
    node.isFaulty = true
    const bytes = Uint8Array.from(chunk.bytes)
    bytes[this.random.below(bytes.byteLength)]! ^= 1
    chunk.bytes = bytes
    chunk.isCorrupt = true
  }

  /** It says so, stays for days, and goes: whatever it had must be elsewhere by then. */
  #leave(node: SimNode, done: () => void): void {
    if (node.isFaulty) return
    done()
    node.record = { ...node.record, state: 'leaving' }
    this.#later.push({
      at: this.now + 8 * DAY,
      run: () => {
        if (!this.nodes.includes(node)) return
        if (!this.#isCalm) this.oracle.left(node)
        this.#remove(node)
      },
    })
  }

  #remove(node: SimNode): void {
    node.isGone = true
    this.nodes = this.nodes.filter((other) => other !== node)
  }

  async #join(): Promise<void> {
    const domain = `domain-${this.random.below(this.#o.domains)}`
    const node = new SimNode(this, await identityFromSeed(this.random.bytes(32)), domain)
    this.nodes.push(node)
    this.known.push(node)
  }

  /** All that passes ends; what is broken for good stays so. */
  #calm(): void {
    this.#isCalm = true
    this.lossRate = 0
    for (const { run } of this.#later.splice(0)) run()
    for (const node of this.nodes) {
      node.downUntil = 0
      node.clockOffset = 0
      node.killAfter = Number.POSITIVE_INFINITY
    }
  }

  async #put(): Promise<void> {
    const code = CODES[(this.oracle.objects.size + this.#o.seed) % CODES.length]!
    const stripeBytes = code.k === 1 ? 2_000 : code.k * SHARD_ROW_BYTES
    const stripes: Stripe[] = []
    const holders: (string | undefined)[][] = []
    for (const bytes of [stripeBytes, 1 + this.random.below(stripeBytes)]) {
      const { stripe, peers } = this.#store(code, bytes)
      stripes.push(stripe)
      holders.push(peers)
    }
    const part = encodePart({ type: 'pingo/object-part', stripes })
    const manifest: ObjectManifest = {
      type: 'pingo/object',
      version: 1,
      code,
      bytes: stripes.reduce((sum, { bytes }) => sum + bytes, 0),
      stripeBytes,
      cipher: 'aes-256-gcm',
      stripes: stripes.length,
      parts: [part.cid.toString()],
    }
    const root = encodeManifest(manifest)
    const id = root.cid.toString()
    const record = await seal(this.#owner, OBJECT_RECORD_TYPE, {
      id,
      manifest: id,
      class: 'hot',
      storedBytes: 1,
      at: this.now,
    })
    for (const node of caretakersOf(id, this.nodes)) {
      for (const { cid, bytes } of [part, root]) node.chunks.set(cid.toString(), { cid, bytes, leases: new Map() })
      await node.care.commit({ record, locations: [encodeLocations(holders)] })
    }
    this.oracle.objects.set(id, { id, manifest, stripes, forgottenAt: undefined })
  }

  #store(code: Code, bytes: number): { stripe: Stripe; peers: (string | undefined)[] } {
    const shardBytes = shardBytesFor(bytes, code)
    const text = this.random.bytes(bytes)
    const data = Array.from({ length: code.k }, (_, i) => text.subarray(i * shardBytes, (i + 1) * shardBytes))
    const shards = [...data, ...erasureCode(code).encode(data, shardBytes)]
    const told = code.k === 1 ? shards.slice(0, 1) : shards
    const stripe: Stripe = {
      bytes,
      shardBytes,
      shards: Buffer.concat(told.map(sha256)),
      roots: Buffer.concat(told.map(merkleRoot)),
      tags: new Uint8Array(16 * Math.ceil(bytes / shardBytes)),
    }
    const candidates = this.nodes.map(({ record }) => ({ id: record.peerId, domain: record.domain, weight: 1 }))
    const homes = chooseHomes(stripeKey(stripe), candidates, [], shards.length)
    const isStored = (shard: number) => storedBytesOf(stripe, code, shard) > 0
    for (const [shard, { id }] of homes.entries()) {
      if (!isStored(shard)) continue
      const cid = shardCid(stripe, code, shard)
      const leases = new Map([['upload', this.now + DAY]])
      this.nodes
        .find(({ record }) => record.peerId === id)!
        .chunks.set(cid.toString(), { cid, bytes: shards[shard]!, leases })
    }
    return { stripe, peers: homes.map(({ id }, shard) => (isStored(shard) ? id : undefined)) }
  }

  /** Its owner tells some of the caretakers, one that stays at least. */
  async #forget(done: () => void): Promise<void> {
    const alive = this.oracle.alive()
    if (alive.length <= 1) return
    const object = this.random.pick(alive)
    const caring = caretakersOf(
      object.id,
      this.nodes.filter(({ record }) => record.state === 'active'),
    ).filter((node) => node.isUp && node.care.ids().includes(object.id))
    if (caring.length < 3) return
    done()
    const word = await seal(this.#owner, FORGET_TYPE, { id: object.id, at: this.now })
    for (const node of caring.slice(0, 3 + this.random.below(caring.length - 2)))
      await node.care.forget(object.id, word)
    object.forgottenAt = this.now
  }

  async #mislead(done: () => void): Promise<void> {
    const { id } = this.random.pick(this.oracle.alive())
    const liar = this.random.pick(this.nodes).record.peerId
    for (const node of this.nodes) {
      const told = node.care.locationsOf(id, 0)
      if (!told) continue
      const at = told.at.map((byte) => (byte === 0xff ? byte : 0)) // empty shards are nowhere still
      if (await node.care.setLocations(id, 0, { nodes: [liar], at, version: this.now })) done()
    }
  }

  #shuffled(): SimNode[] {
    const list = [...this.nodes]
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.random.below(i + 1)
      ;[list[i], list[j]] = [list[j]!, list[i]!]
    }
    return list
  }
}
