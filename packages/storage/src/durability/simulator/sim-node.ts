import {
  type ChunkProof,
  type CID,
  type Commit,
  cidOf,
  type Identity,
  type Locations,
  type NodeRecord,
  PinGoError,
  proofBytes,
  UPLOAD_LEASE_MS,
} from '@pingo/wire'
import type { NodeMap, ObjectState, StorageNode } from '../../nodes/port.ts'
import { Caretaker } from '../care.ts'
import { merkleProof } from '../merkle.ts'
import { ReputationBook, type Standing } from '../reputation.ts'
import { MemoryCaretakerStore } from './memory-store.ts'
import type { World } from './world.ts'

interface Chunk {
  cid: CID
  bytes: Uint8Array
  /** Known without hashing it at every look. */
  isCorrupt?: boolean
  /** Until when each object or upload wants it, ms by the node's clock. */
  leases: Map<string, number>
}

/** The process that called was killed: nothing it does has an effect any more. */
export class Killed extends Error {}

const refuse = (code: string): PinGoError => new PinGoError(code, `A simulated node says ${code}.`)

/** A fog node of the simulator: a disk that survives, a process that is killed and started again, faults on purpose. */
export class SimNode {
  readonly identity: Identity
  readonly world: World
  readonly chunks = new Map<string, Chunk>()
  readonly care: MemoryCaretakerStore
  readonly standings = new Map<string, Standing>()
  record: NodeRecord
  caretaker: Caretaker
  reputation: ReputationBook
  /** Its process is down until then, ms of the world's clock. */
  downUntil = 0
  isGone = false
  /** Says that it has everything, and has nothing. */
  isLiar = false
  /** Hears challenges and does not answer. */
  isHung = false
  /** Was corrupted or lied: what others think of it is not judged. */
  isFaulty = false
  clockOffset = 0
  partition = 0
  /** Calls that its caretaker may make before it is killed. */
  killAfter = Number.POSITIVE_INFINITY
  #generation = 0

  constructor(world: World, identity: Identity, domain: string) {
    this.world = world
    this.identity = identity
    this.record = {
      peerId: identity.peerId,
      url: `http://${identity.peerId}`,
      multiaddrs: [],
      region: '',
      domain,
      capacityBytes: 2 ** 40,
      freeBytes: 2 ** 40,
      state: 'active',
      price: 0,
      sequence: 0,
      at: 0,
    }
    this.care = new MemoryCaretakerStore(
      (cid) => this.chunks.get(cid.toString())?.bytes,
      () => this.now,
    )
    const { caretaker, reputation } = this.#start()
    this.caretaker = caretaker
    this.reputation = reputation
  }

  get now(): number {
    return this.world.now + this.clockOffset
  }

  get isUp(): boolean {
    return !this.isGone && this.world.now >= this.downUntil
  }

  /** Its process is killed; it starts again after a while, with what its disk has. */
  kill(downMs: number): void {
    this.downUntil = this.world.now + downMs
    this.killAfter = Number.POSITIVE_INFINITY
    Object.assign(this, this.#start())
  }

  #start(): { caretaker: Caretaker; reputation: ReputationBook } {
    const generation = ++this.#generation
    const alive = () => {
      if (generation !== this.#generation || !this.isUp) throw new Killed()
    }
    const call = () => {
      alive()
      if (--this.killAfter >= 0) return
      this.kill(this.world.random.below(20) * 3_600_000)
      throw new Killed()
    }
    const guard = <T extends object>(target: T, before: () => void): T =>
      new Proxy(target, {
        get: (of, name) => {
          const value = Reflect.get(of, name)
          if (typeof value !== 'function') return value
          return (...args: unknown[]) => {
            before()
            return value.apply(of, args)
          }
        },
      })
    const view = (target: SimNode) => guard(viewOf(this, target), call)
    const nodes: NodeMap = {
      live: () =>
        this.world.nodes.filter((node) => node !== this && node.isUp && node.partition === this.partition).map(view),
      get: (peerId) => this.world.known.filter((node) => node.record.peerId === peerId).map(view)[0],
      rtt: () => 20,
      reputation: (peerId) => reputation.standing(peerId).score,
      isVetted: (peerId) => reputation.isVetted(peerId),
      refresh: async () => undefined,
    }
    const reputation = new ReputationBook({
      load: () => this.standings,
      save: (peerId, standing) => {
        alive()
        this.standings.set(peerId, standing)
      },
    })
    const caretaker = new Caretaker({
      self: view(this),
      nodes,
      store: guard(this.care, call),
      reputation,
      clock: () => this.now,
      random: (bytes) => this.world.random.bytes(bytes),
      sleep: async () => undefined,
      deadline: () => NEVER,
      onEvent: (event) => this.world.heard(this, event),
    })
    return { caretaker, reputation }
  }

  /** Collects what nobody wants any more; drops what does not fit its CID, as a scrubber does. @returns what was collected */
  collect(): Chunk[] {
    const kept = this.care.kept()
    const collected: Chunk[] = []
    for (const [key, chunk] of this.chunks) {
      if (chunk.isCorrupt) this.chunks.delete(key)
      for (const [label, until] of chunk.leases) if (until <= this.now) chunk.leases.delete(label)
      if (chunk.leases.size > 0 || kept.has(key)) continue
      if (this.chunks.delete(key)) collected.push(chunk)
    }
    return collected
  }

  /** Whether it has these bytes, right. */
  has(cid: CID): boolean {
    const chunk = this.chunks.get(cid.toString())
    return !this.isGone && !this.isLiar && chunk !== undefined && !chunk.isCorrupt
  }
}

const NEVER = new AbortController().signal

/** A node as another one uses it. */
function viewOf(caller: SimNode, node: SimNode): StorageNode {
  const reach = () => {
    if (!node.isUp || node.partition !== caller.partition) throw refuse('SOURCE_UNREACHABLE')
    if (node !== caller && caller.world.random.chance(caller.world.lossRate)) throw refuse('SOURCE_UNREACHABLE')
  }
  const chunk = (cid: CID) => {
    const found = node.chunks.get(cid.toString())
    if (!found || node.isLiar) throw refuse('BLOCK_MISSING')
    if (found.isCorrupt) throw refuse('BLOCK_CORRUPT')
    return found
  }
  return {
    get record() {
      return node.record
    },
    async putChunk(cid: CID, bytes: Uint8Array, { upload }) {
      reach()
      if (node.record.freeBytes < bytes.byteLength) throw refuse('QUOTA_EXCEEDED')
      if (node.isLiar) return
      const known = node.chunks.get(cid.toString())
      if (known && !known.isCorrupt) known.leases.set(upload, node.now + UPLOAD_LEASE_MS)
      else node.chunks.set(cid.toString(), { cid, bytes, leases: new Map([[upload, node.now + UPLOAD_LEASE_MS]]) })
    },
    async getChunk(cid: CID) {
      reach()
      return chunk(cid).bytes
    },
    async missing(cids) {
      reach()
      return cids.filter((cid) => !node.isLiar && !node.chunks.has(cid.toString()))
    },
    async keep(object, cids, until) {
      reach()
      if (node.isLiar) return []
      return cids.filter((cid) => {
        const kept = node.chunks.get(cid.toString())
        kept?.leases.set(object, Math.max(kept.leases.get(object) ?? 0, until))
        return kept === undefined
      })
    },
    async drop(object) {
      reach()
      for (const { leases } of node.chunks.values()) leases.delete(object)
    },
    async challenge(cid, leaf, nonce): Promise<ChunkProof> {
      reach()
      if (node.isHung) throw refuse('TRANSFER_TIMEOUT')
      const signature = await node.identity.sign(proofBytes(nonce, cid.toString(), leaf))
      // A liar answers, with bytes that it makes up.
      if (node.isLiar) return { leaf: new Uint8Array(0), path: [], bytes: 0, signature }
      const { bytes } = chunk(cid)
      return { ...merkleProof(bytes, leaf), bytes: bytes.byteLength, signature }
    },
    async commit(commit: Commit) {
      reach()
      await node.care.commit(commit)
    },
    async object(id): Promise<ObjectState | undefined> {
      reach()
      return node.care.state(id)
    },
    async locations(id, part): Promise<Locations> {
      reach()
      const found = await node.care.part(id, part)
      if (!found) throw refuse('OBJECT_MISSING')
      return found.locations
    },
    async relocate(id, part, locations) {
      reach()
      await node.care.setLocations(id, part, locations)
      if (!(await node.care.get(id))) throw refuse('OBJECT_MISSING')
    },
    async forget(id, sealed) {
      reach()
      await node.care.forget(id, sealed)
    },
    getName: async () => undefined,
    nameVersions: async () => [],
    putName: async () => undefined,
  }
}

/** A chunk as a raw block. */
export const blockOf = (bytes: Uint8Array, codec?: number) => ({ cid: cidOf(bytes, codec), bytes })
