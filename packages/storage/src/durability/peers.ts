import { type CID, isPinGoError, matchesCid, PinGoError, proofBytes, type Stripe, verifySignature } from '@pingo/wire'
import type { NodeMap, StorageNode } from '../nodes/port.ts'
import { shardCid, shardRoot, storedBytesOf } from '../objects/object.ts'
import type { Candidate } from '../placement/place.ts'
import { leafCount, verifyProof } from './merkle.ts'
import { ABSENCE_GRACE_MS } from './policy.ts'
import type { AuditOutcome, ReputationBook } from './reputation.ts'

/** Any call but those below. */
const CALL_MS = 30_000
/** A whole chunk, 1 MiB, over a slow line. */
const CHUNK_MS = 60_000
/** A challenge's answer: this for a busy disk … */
const DISK_MS = 2_000
/** … and round trips: one to ask, some for 64 KiB to come through a young connection's window. */
const CHALLENGE_ROUND_TRIPS = 5
const UNKNOWN_RTT_MS = 500
const LIVING_MS = 1_000
const NONCE_BYTES = 32
/** What a node says that no longer has what it should, or that gave something else. */
const FAILURES = new Set(['BLOCK_MISSING', 'BLOCK_CORRUPT', 'BLOCK_MISMATCH', 'LEAF_UNKNOWN', 'PROOF_INVALID'])

/** One shard of a stripe, and what its code is. */
export interface ShardRef {
  stripe: Stripe
  shard: number
  code: { k: number; m: number }
}

export interface PeersOptions {
  /** This node, as it uses itself. */
  self: StorageNode
  nodes: NodeMap
  reputation: ReputationBook
  /** ms since epoch. */
  clock: () => number
  random: (bytes: number) => Uint8Array
  /** A signal that ends after `ms`, or with the other; a simulator has a clock of its own. */
  deadline?: (ms: number, signal?: AbortSignal) => AbortSignal
}

/** The other nodes as a caretaker sees them: who lives, who may take shards, what an answer (or none) is worth. */
export class Peers {
  readonly #o: PeersOptions
  readonly #absentSince = new Map<string, number>()
  #seen: { at: number; nodes: Map<string, StorageNode> } | undefined
  /** What those that are contained did not answer about. */
  readonly #owed = new Map<string, ShardRef>()

  constructor(o: PeersOptions) {
    this.#o = o
  }

  get self(): string {
    return this.#o.self.record.peerId
  }

  /** All that live, this node among them. */
  live(): StorageNode[] {
    return [...this.#living().values()]
  }

  /** By PeerId; looked up anew each second, as it is asked for every shard. */
  #living(): Map<string, StorageNode> {
    const now = this.#o.clock()
    if (this.#seen && Math.abs(now - this.#seen.at) < LIVING_MS) return this.#seen.nodes
    const nodes = new Map([this.#o.self, ...this.#o.nodes.live()].map((node) => [node.record.peerId, node]))
    nodes.set(this.self, this.#o.self)
    this.#seen = { at: now, nodes }
    return nodes
  }

  /** Those that live and stay. */
  active(): StorageNode[] {
    return this.live().filter(({ record }) => record.state === 'active')
  }

  /** The node, when it lives. */
  get(peerId: string): StorageNode | undefined {
    return this.#living().get(peerId)
  }

  domainOf(peerId: string): string {
    const node = peerId === this.self ? this.#o.self : this.#o.nodes.get(peerId)
    return node?.record.domain ?? peerId
  }

  isLeaving(peerId: string): boolean {
    return this.get(peerId)?.record.state === 'leaving'
  }

  rtt(peerId: string): number {
    return peerId === this.self ? 0 : (this.#o.nodes.rtt(peerId) ?? UNKNOWN_RTT_MS)
  }

  isEjected(peerId: string): boolean {
    return this.#o.reputation.standing(peerId).state === 'ejected'
  }

  /** By own audits. */
  isVetted(peerId: string): boolean {
    return this.#o.reputation.standing(peerId).state === 'vetted'
  }

  /** Notes who is back. */
  observe(): void {
    for (const peerId of this.#living().keys()) this.#absentSince.delete(peerId)
  }

  /** It is not there, or did not answer: whether its shards still count for a while. */
  isAway(peerId: string): boolean {
    const now = this.#o.clock()
    const since = Math.min(this.#absentSince.get(peerId) ?? now, now)
    this.#absentSince.set(peerId, since)
    return now - since < ABSENCE_GRACE_MS
  }

  answered(peerId: string): void {
    this.#absentSince.delete(peerId)
  }

  /** Nodes that may take a shard of `bytes`: active, with room, in good standing; weighted by room and reputation, vetted ones preferred. */
  candidates(bytes: number): Candidate[] {
    return this.active().flatMap(({ record: { peerId, freeBytes, domain } }) => {
      const { state, score } = this.#o.reputation.standing(peerId)
      if (freeBytes < bytes || state === 'contained' || state === 'ejected') return []
      const isPreferred = state === 'vetted' || this.#o.nodes.isVetted(peerId)
      return [{ id: peerId, weight: Math.max(1, freeBytes) * Math.max(0.01, score), domain, isPreferred }]
    })
  }

  deadline(ms = CALL_MS, signal?: AbortSignal): AbortSignal {
    return (this.#o.deadline ?? within)(ms, signal)
  }

  /**
   * Challenges a holder for a random leaf, and writes down what its answer is worth.
   * @see PDP: Ateniese et al., Provable Data Possession at Untrusted Stores, CCS 2007; here the leaf itself is sent
   */
  async challenge(node: StorageNode, ref: ShardRef, signal?: AbortSignal): Promise<AuditOutcome> {
    const { peerId } = node.record
    const bytes = storedBytesOf(ref.stripe, ref.code, ref.shard)
    const leafIndex = this.below(leafCount(bytes))
    const nonce = this.#o.random(NONCE_BYTES)
    const cid = shardCid(ref.stripe, ref.code, ref.shard)
    return this.#judged(peerId, ref, DISK_MS + CHALLENGE_ROUND_TRIPS * this.rtt(peerId), signal, async (inTime) => {
      const proof = await node.challenge(cid, leafIndex, nonce, { signal: inTime })
      const { leaf, path, signature } = proof
      const isSigned = await verifySignature(peerId, proofBytes(nonce, cid.toString(), leafIndex), signature)
      const root = shardRoot(ref.stripe, ref.code, ref.shard)
      if (proof.bytes !== bytes || !isSigned || !verifyProof({ root, bytes, leafIndex, leaf, path }))
        throw new PinGoError('PROOF_INVALID', `${peerId} did not prove leaf ${leafIndex} of ${cid}.`)
    })
  }

  /** A holder's whole chunk, checked again; undefined when it does not give it. That it did, or why not, is written down. */
  async fetch(node: StorageNode, ref: ShardRef, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const cid = shardCid(ref.stripe, ref.code, ref.shard)
    let bytes: Uint8Array | undefined
    const outcome = await this.#judged(node.record.peerId, ref, CHUNK_MS, signal, async (inTime) => {
      bytes = await node.getChunk(cid, { signal: inTime })
      if (!matchesCid(cid, bytes))
        throw new PinGoError('BLOCK_MISMATCH', `${node.record.peerId} gave other bytes than ${cid}.`)
    })
    return outcome === 'passed' ? bytes : undefined
  }

  /** Stores a rebuilt chunk at a node and leases it for the object, both durably. @throws what the node says */
  async store(
    node: StorageNode,
    chunk: { cid: CID; bytes: Uint8Array },
    lease: { object: string; record: Uint8Array; until: number },
    signal?: AbortSignal,
  ): Promise<void> {
    await node.putChunk(chunk.cid, chunk.bytes, {
      upload: `repair-${lease.object}`,
      signal: this.deadline(CHUNK_MS, signal),
    })
    const o = { record: lease.record, signal: this.deadline(CALL_MS, signal) }
    const missing = await node.keep(lease.object, [chunk.cid], lease.until, o)
    if (missing.length > 0)
      throw new PinGoError('BLOCK_MISSING', `${node.record.peerId} took ${chunk.cid} and does not have it.`)
  }

  /** Asks those again that owe an answer. */
  async retry(signal?: AbortSignal): Promise<void> {
    for (const peerId of this.#o.reputation.dueForRetry(this.#o.clock())) {
      const node = this.get(peerId)
      const ref = this.#owed.get(peerId)
      if (node && ref) await this.challenge(node, ref, signal)
    }
  }

  /** Writes down what a holder admits: that it lost what it had. */
  failed(peerId: string): void {
    this.#o.reputation.record(peerId, 'failed', this.#o.clock())
  }

  /** A random integer in [0, n), evenly enough for draws of far less than 2³². */
  below(n: number): number {
    const bytes = this.#o.random(6)
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) % n
  }

  async #judged(
    peerId: string,
    ref: ShardRef,
    ms: number,
    signal: AbortSignal | undefined,
    work: (inTime: AbortSignal) => Promise<void>,
  ): Promise<AuditOutcome> {
    const inTime = this.deadline(ms, signal)
    let outcome: AuditOutcome = 'passed'
    try {
      await work(inTime)
    } catch (error) {
      signal?.throwIfAborted()
      outcome = outcomeOf(error, inTime)
    }
    if (outcome === 'passed') this.answered(peerId)
    if (outcome === 'no-answer') this.#owed.set(peerId, ref)
    this.#o.reputation.record(peerId, outcome, this.#o.clock())
    return outcome
  }
}

/** What an error says of a node: it lost or falsified data, it hung, or the way to it (or this node) is at fault. */
function outcomeOf(error: unknown, inTime: AbortSignal): AuditOutcome {
  if (isPinGoError(error) && FAILURES.has(error.code)) return 'failed'
  if (inTime.aborted || isPinGoError(error, 'TRANSFER_TIMEOUT')) return 'no-answer'
  if (isPinGoError(error)) return 'offline'
  throw error
}

/** @param ms may be a fraction, as round trips are; a timeout may not */
function within(ms: number, signal?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(Math.ceil(ms))
  return signal ? AbortSignal.any([signal, timeout]) : timeout
}
