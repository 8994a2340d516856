import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ChunkProof,
  type CID,
  type Commit,
  CommitSchema,
  createIdentity,
  FORGET_TYPE,
  ForgetSchema,
  type Identity,
  type Locations,
  MAX_OBJECT_RECORD_BYTES,
  matchesCid,
  type NodeRecord,
  OBJECT_RECORD_TYPE,
  type ObjectRecord,
  ObjectRecordSchema,
  PinGoError,
  parseCid,
  proofBytes,
  UPLOAD_LEASE_MS,
  unseal,
  validate,
} from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { merkleProof } from '../durability/merkle.ts'
import type { CallOptions, NodeMap, ObjectState, StorageNode } from '../nodes/port.ts'
import { checkManifest, decodeManifest, decodePart } from '../objects/object.ts'

const FREE_BYTES = 2 ** 40

/** What a test makes of a node. */
export interface Faults {
  /** Does not answer. */
  isDead?: boolean
  /** Answers, and is still told to be alive although it is dead, as before anybody noticed. */
  isBelievedAlive?: boolean
  /** Its disk gives wrong bytes; the port's check finds them. */
  isCorrupt?: boolean
  /** Takes no more. */
  isFull?: boolean
  /** Takes chunks and forgets them. */
  isForgetful?: boolean
  /** Never answers, until the caller gives up. */
  isHanging?: boolean
  /** Waits before each answer, ms. */
  delayMs?: number
}

interface Lease {
  /** Of the upload, or the object. */
  until: number
}

interface Cared {
  record: ObjectRecord
  owner: string
  sealed: Uint8Array
  locations: Locations[]
}

const unreachable = (url: string) => new PinGoError('SOURCE_UNREACHABLE', `${url} does not answer.`)
const missingBlock = (cid: CID) => new PinGoError('BLOCK_MISSING', `Block ${cid} is not here.`)

/** A storage node in memory, with the checks of a real one and faults on purpose. */
export class MemoryNode implements StorageNode {
  readonly record: NodeRecord
  readonly identity: Identity
  readonly faults: Faults = {}
  readonly chunks = new Map<string, Uint8Array>()
  /** By chunk, then by label. */
  readonly leases = new Map<string, Map<string, Lease>>()
  readonly objects = new Map<string, Cared>()
  readonly forgotten = new Map<string, Uint8Array>()
  readonly names = new Map<string, Uint8Array[]>()
  /** Calls by method, for tests that count them. */
  readonly calls: Record<string, number> = {}
  readonly #clock: () => number

  constructor(identity: Identity, record: Partial<NodeRecord>, clock: () => number) {
    this.identity = identity
    this.#clock = clock
    this.record = {
      peerId: identity.peerId,
      url: `memory:${identity.peerId}`,
      multiaddrs: [],
      region: '',
      domain: identity.peerId,
      capacityBytes: FREE_BYTES,
      freeBytes: FREE_BYTES,
      state: 'active',
      price: 0,
      sequence: 0,
      at: clock(),
      ...record,
    }
  }

  async putChunk(cid: CID, bytes: Uint8Array, o: CallOptions & { upload: string }): Promise<void> {
    await this.#answer('putChunk', o)
    if (this.faults.isFull) throw new PinGoError('QUOTA_EXCEEDED', `${this.record.url} is full.`)
    if (!matchesCid(cid, bytes)) throw new PinGoError('BLOCK_MISMATCH', `The bytes are not those of ${cid}.`)
    if (this.faults.isForgetful) return
    this.chunks.set(keyOf(cid), Uint8Array.from(bytes))
    this.#lease(cid, `upload ${o.upload}`, this.#clock() + UPLOAD_LEASE_MS)
  }

  async getChunk(cid: CID, o?: CallOptions): Promise<Uint8Array> {
    await this.#answer('getChunk', o)
    const bytes = this.chunks.get(keyOf(cid))
    if (!bytes) throw missingBlock(cid)
    const sent = this.faults.isCorrupt ? corrupted(bytes) : bytes
    if (!matchesCid(cid, sent)) throw new PinGoError('BLOCK_CORRUPT', `${this.record.url} sent other bytes for ${cid}.`)
    return sent
  }

  async missing(cids: readonly CID[], o?: CallOptions): Promise<CID[]> {
    await this.#answer('missing', o)
    return cids.filter((cid) => !this.chunks.has(keyOf(cid)))
  }

  async keep(object: string, cids: readonly CID[], until: number, o?: CallOptions): Promise<CID[]> {
    await this.#answer('keep', o)
    const missing = cids.filter((cid) => !this.chunks.has(keyOf(cid)))
    for (const cid of cids) if (!missing.includes(cid)) this.#lease(cid, `object ${object}`, until)
    return missing
  }

  async drop(object: string, o?: CallOptions): Promise<void> {
    await this.#answer('drop', o)
    for (const leases of this.leases.values()) leases.delete(`object ${object}`)
  }

  async challenge(cid: CID, leaf: number, nonce: Uint8Array, o?: CallOptions): Promise<ChunkProof> {
    await this.#answer('challenge', o)
    const bytes = this.chunks.get(keyOf(cid))
    if (!bytes) throw missingBlock(cid)
    const chunk = this.faults.isCorrupt ? corrupted(bytes) : bytes
    const signature = await this.identity.sign(proofBytes(nonce, cid.toString(), leaf))
    return { ...merkleProof(chunk, leaf), bytes: chunk.byteLength, signature }
  }

  async commit(commit: Commit, o?: CallOptions): Promise<void> {
    await this.#answer('commit', o)
    const { record: sealed, locations } = validate(CommitSchema, commit)
    const { from, value } = await unseal(ObjectRecordSchema, OBJECT_RECORD_TYPE, sealed, MAX_OBJECT_RECORD_BYTES)
    const manifest = checkManifest(decodeManifest(this.#block(value.manifest)))
    for (const [n, part] of manifest.parts.entries())
      for (const node of decodePart(this.#block(part), manifest, n).tree ?? []) this.#block(node)
    if (locations.length !== manifest.parts.length)
      throw new PinGoError('LOCATIONS_MALFORMED', 'The locations are not those of its parts.')
    const mine = this.objects.get(value.id)
    const newer = locations.map((part, n) => {
      const known = mine?.locations[n]
      return known && (known.version ?? 0) > (part.version ?? 0) ? known : part
    })
    this.objects.set(value.id, { record: value, owner: from, sealed, locations: newer })
  }

  async object(id: string, o?: CallOptions): Promise<ObjectState | undefined> {
    await this.#answer('object', o)
    const object = this.objects.get(id)
    return (
      object && {
        record: object.sealed,
        health: { checkedAt: undefined, stripesByShards: {} },
        forgotten: this.forgotten.get(id),
      }
    )
  }

  async locations(id: string, part: number, o?: CallOptions): Promise<Locations> {
    await this.#answer('locations', o)
    const locations = this.objects.get(id)?.locations[part]
    if (!locations) throw new PinGoError('OBJECT_MISSING', `Object ${id} is not cared for here.`)
    return locations
  }

  async relocate(id: string, part: number, locations: Locations, o?: CallOptions): Promise<void> {
    await this.#answer('relocate', o)
    const object = this.objects.get(id)
    if (!object) throw new PinGoError('OBJECT_MISSING', `Object ${id} is not cared for here.`)
    if ((locations.version ?? 0) > (object.locations[part]?.version ?? 0)) object.locations[part] = locations
  }

  async forget(id: string, sealed: Uint8Array, o?: CallOptions): Promise<void> {
    await this.#answer('forget', o)
    const object = this.objects.get(id)
    if (!object) return
    const { from, value } = await unseal(ForgetSchema, FORGET_TYPE, sealed, MAX_OBJECT_RECORD_BYTES)
    if (from !== object.owner || value.id !== id)
      throw new PinGoError('FORBIDDEN', 'An object is forgotten by the word of its owner.')
    this.objects.delete(id)
    this.forgotten.set(id, sealed)
  }

  async getName(name: string, o?: CallOptions): Promise<Uint8Array | undefined> {
    await this.#answer('getName', o)
    return this.names.get(name)?.[0]
  }

  async nameVersions(name: string, o?: CallOptions): Promise<Uint8Array[]> {
    await this.#answer('nameVersions', o)
    return this.names.get(name) ?? []
  }

  /** Unlike a real node, it takes any record as the newest. */
  async putName(name: string, record: Uint8Array, o?: CallOptions): Promise<void> {
    await this.#answer('putName', o)
    this.names.set(name, [record, ...(this.names.get(name) ?? [])])
  }

  /** Drops chunks whose leases ended. @returns how many */
  collect(): number {
    const now = this.#clock()
    let dropped = 0
    for (const [key, leases] of this.leases) {
      if ([...leases.values()].some(({ until }) => until > now)) continue
      this.leases.delete(key)
      if (this.chunks.delete(key)) dropped += 1
    }
    return dropped
  }

  #lease(cid: CID, label: string, until: number): void {
    const leases = this.leases.get(keyOf(cid)) ?? new Map<string, Lease>()
    leases.set(label, { until: Math.max(until, leases.get(label)?.until ?? 0) })
    this.leases.set(keyOf(cid), leases)
  }

  #block(text: string): Uint8Array {
    const bytes = this.chunks.get(keyOf(text))
    if (!bytes) throw missingBlock(parseCid(text))
    return bytes
  }

  async #answer(method: string, { signal }: CallOptions = {}): Promise<void> {
    this.calls[method] = (this.calls[method] ?? 0) + 1
    signal?.throwIfAborted()
    if (this.faults.isHanging) await aborted(signal)
    if (this.faults.delayMs) await sleep(this.faults.delayMs, undefined, { signal, ref: true })
    if (this.faults.isDead) throw unreachable(this.record.url)
  }
}

/** Rejects when the signal ends; never, without one. */
function aborted(signal?: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function corrupted(bytes: Uint8Array): Uint8Array {
  const wrong = Uint8Array.from(bytes)
  if (wrong.byteLength > 0) wrong[wrong.byteLength >> 1]! ^= 1
  return wrong
}

/** A network of storage nodes in memory. */
export class MemoryNetwork {
  readonly nodes: readonly MemoryNode[]
  readonly #rtts: ReadonlyMap<string, number>

  private constructor(nodes: readonly MemoryNode[]) {
    this.nodes = nodes
    this.#rtts = new Map(nodes.map(({ record }, n) => [record.peerId, 1 + n]))
  }

  /** @param o.record of node n, over what a node says of itself otherwise */
  static async create(
    n: number,
    o: { clock?: () => number; record?: (n: number) => Partial<NodeRecord> } = {},
  ): Promise<MemoryNetwork> {
    const identities = await Promise.all(Array.from({ length: n }, () => createIdentity()))
    const clock = o.clock ?? Date.now
    return new MemoryNetwork(identities.map((identity, n) => new MemoryNode(identity, o.record?.(n) ?? {}, clock)))
  }

  /** As a client sees it: the dead are not among the living, unless nobody has noticed. */
  map(): NodeMap {
    const byPeer = new Map(this.nodes.map((node) => [node.record.peerId, node]))
    return {
      live: () => this.nodes.filter(({ faults }) => !faults.isDead || faults.isBelievedAlive),
      get: (peerId) => byPeer.get(peerId),
      rtt: (peerId) => this.#rtts.get(peerId),
      reputation: () => 0.5,
      isVetted: () => false,
      refresh: async () => undefined,
    }
  }

  /** Nodes that hold a chunk. */
  holders(cid: CID): MemoryNode[] {
    return this.nodes.filter(({ chunks }) => chunks.has(keyOf(cid)))
  }

  kill(nodes: Iterable<MemoryNode>, o: { isNoticed: boolean } = { isNoticed: true }): void {
    for (const { faults } of nodes) {
      faults.isDead = true
      faults.isBelievedAlive = !o.isNoticed
    }
  }

  /** Mends all faults. */
  heal(): void {
    for (const { faults } of this.nodes) for (const name of Object.keys(faults)) delete faults[name as keyof Faults]
  }
}
