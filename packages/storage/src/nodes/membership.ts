import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  decode,
  encode,
  MAX_EXCHANGE_BYTES,
  MAX_NODES,
  MAX_NODES_PER_EXCHANGE,
  type NodeRecord,
  NodesExchangeSchema,
  type Opinion,
} from '@pingo/wire'
import { mayCareFor } from '../placement/caretakers.ts'
import { type HttpPool, request, type Source, sharedPool } from '../transfer/http-client.ts'
import { isPrivateHost } from '../transfer/private-host.ts'
import { hello } from './hello.ts'
import type { KnownNodes } from './known-nodes.ts'
import { type KnownNode, NodeBook, openNodeRecord } from './node-book.ts'
import { networkOf } from './rate.ts'
import type { NodesPort } from './storage-handler.ts'

/** Fog nodes that are told news in each turn. */
const PEERS_PER_TURN = 3
const TURN_MS = 10_000
/** How often a node that knows enough others also asks one of those it began with. */
const SEED_CHANCE = 0.1
/** Records, beside its own, that a node sends in a turn. */
const SENT_PER_TURN = 64
/** Records whose signatures are checked before others get a turn. */
const READ_PER_TURN = 16
/** New nodes that are being called back, and that wait for it: the rest comes again with a later turn. */
const MAX_CALLS = 8
const MAX_WAITING = 256
/**
 * Nodes of one address block (a /24 of IPv4, a /56 of IPv6) that a node on the internet takes: identities cost nothing, addresses do. Whoever has
 * one block cannot be most of the network (Douceur, The Sybil Attack, IPTPS 2002).
 */
export const MAX_NODES_PER_NETWORK = 16

export interface MembershipOptions {
  peerId: string
  /** This node's own record, signed, as of now. */
  record: () => Promise<Uint8Array>
  /** Nodes to begin with; asked again whenever too few are known. */
  seeds: readonly Source[]
  /** What this node thinks of the others. */
  opinions?: () => Opinion[]
  /** Called for each node that was not known before. */
  onJoin?: (record: NodeRecord) => void
  /** Those of an earlier life, and where they are noted for the next one. */
  known?: () => KnownNodes
  /** True when records may name private addresses: a node that is on the internet itself does not call into its own network. */
  mayBePrivate: boolean
  /** The address that a name leads to; as the system finds it by default. */
  addressOf?: (host: string) => Promise<string>
  pool?: HttpPool
  clock?: () => number
  /** 0 … 1. */
  random?: () => number
  turnMs?: number
}

/**
 * Who the other fog nodes are: signed records, exchanged with some random ones each turn (push-pull anti-entropy; Demers et al.,
 * "Epidemic algorithms for replicated database maintenance", PODC 1987). A node counts once it was called back at its address and
 * proved its identity there; it is forgotten an hour after its last record.
 */
export class Membership implements NodesPort {
  readonly book: NodeBook
  readonly #o: MembershipOptions
  readonly #pool: HttpPool
  readonly #random: () => number
  readonly #calling = new Set<string>()
  readonly #waiting: KnownNode[] = []
  /** Address blocks of members, by peer; on the internet alone. */
  readonly #networks = new Map<string, string>()
  readonly #stopping = new AbortController()
  /** Seeds, and where nodes of an earlier life were. */
  #seeds: readonly Source[]
  #timer: NodeJS.Timeout | undefined

  constructor(o: MembershipOptions) {
    this.#o = o
    this.#pool = o.pool ?? sharedPool
    this.#random = o.random ?? Math.random
    this.book = new NodeBook(o.clock ?? Date.now)
    this.#seeds = o.seeds
  }

  /** True for a fog node that proved itself. */
  has = (peerId: string): boolean => this.book.get(peerId) !== undefined

  /** True for a node that may speak as a caretaker of an object. */
  mayCareFor = (peerId: string, id: string): boolean =>
    this.has(peerId) &&
    mayCareFor(
      peerId,
      id,
      this.book.list().map(({ record }) => record),
    )

  async records(): Promise<Uint8Array[]> {
    return [await this.#o.record(), ...this.book.list().map(({ sealed }) => sealed)]
  }

  opinions(): Opinion[] {
    return this.#o.opinions?.() ?? []
  }

  async exchange(records: Uint8Array[]): Promise<Uint8Array[]> {
    const seen = new Map<string, number>()
    for (const [n, sealed] of records.entries()) {
      if (n % READ_PER_TURN === READ_PER_TURN - 1) await nextTurn()
      const node = await this.#read(sealed)
      if (node) seen.set(node.peerId, node.sequence)
    }
    const news = this.book.list().filter(({ record }) => record.sequence > (seen.get(record.peerId) ?? -1))
    return [await this.#o.record(), ...this.#some(news, MAX_NODES_PER_EXCHANGE - 1).map(({ sealed }) => sealed)]
  }

  /** Begins to talk to the others. */
  start(): void {
    const turnMs = this.#o.turnMs ?? TURN_MS
    const next = () => {
      if (this.#stopping.signal.aborted) return
      void this.turn()
        .catch(() => undefined)
        .then(() => {
          if (this.#stopping.signal.aborted) return
          this.#timer = setTimeout(next, turnMs * (0.75 + this.#random() / 2)).unref()
        })
    }
    void this.#remember().finally(next)
  }

  /** One turn: tells a few nodes what is known, and hears what they know. */
  async turn(): Promise<void> {
    const known = this.book.list().map(({ record }) => record)
    const peers: Source[] = this.#some(known, PEERS_PER_TURN)
    if (known.length < PEERS_PER_TURN) peers.push(...this.#some(this.#seeds, PEERS_PER_TURN))
    // now and then one of the beginning: networks that a cut had parted find together again
    else if (this.#random() < SEED_CHANCE) peers.push(...this.#some(this.#seeds, 1))
    const own = await this.#o.record()
    await Promise.allSettled(
      peers.map(async (peer) => {
        const records = [own, ...this.#some(this.book.list(), SENT_PER_TURN).map(({ sealed }) => sealed)]
        const answer = await request(
          { url: peer.url, pin: peer.pin },
          '/v1/storage/nodes',
          {
            method: 'POST',
            body: encode({ records }),
            maxBytes: MAX_EXCHANGE_BYTES,
            idleMs: 5_000,
            signal: this.#stopping.signal,
          },
          this.#pool,
        )
        if (answer.status !== 200) return
        for (const [n, sealed] of decode(NodesExchangeSchema, answer.body, MAX_EXCHANGE_BYTES).records.entries()) {
          if (n % READ_PER_TURN === READ_PER_TURN - 1) await nextTurn()
          await this.#read(sealed)
        }
      }),
    )
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#stopping.abort()
  }

  /** @returns whose record it is and which, when it is well-formed and news */
  async #read(sealed: Uint8Array): Promise<{ peerId: string; sequence: number } | undefined> {
    try {
      const node = await this.book.read(sealed)
      if (!node || node.record.peerId === this.#o.peerId) return undefined
      const { peerId, sequence, url, pin } = node.record
      const known = this.book.get(peerId)?.record
      if (known?.url === url && known.pin === pin) this.#take(node)
      else this.#callBack(node)
      return { peerId, sequence }
    } catch {
      return undefined // who sent it may not have made it: nobody is blamed
    }
  }

  #take(node: KnownNode, network?: string): boolean {
    if (!this.book.take(node)) return false
    if (network !== undefined) this.#networks.set(node.record.peerId, network)
    if (this.#networks.size > 2 * MAX_NODES)
      for (const peerId of this.#networks.keys()) if (!this.has(peerId)) this.#networks.delete(peerId)
    void this.#o
      .known?.()
      .note(node.record.peerId, node.sealed)
      .catch(() => undefined) // a full disk: it is told again
    return true
  }

  /** Nodes that proved themselves before a restart need not do so again while their records last; later, they are where to begin. */
  async #remember(): Promise<void> {
    const before: Source[] = []
    for (const sealed of this.#o.known?.().records() ?? []) {
      const record = await openNodeRecord(sealed).catch(() => undefined)
      if (!record || record.peerId === this.#o.peerId) continue
      before.push({ url: record.url, pin: record.pin })
      const host = hostOf(record.url) // names were looked up when it proved itself
      const network = isIP(host) > 0 && !this.#o.mayBePrivate ? networkOf(host) : undefined
      if (!this.#isCrowded(record.peerId, network)) this.#take({ record, sealed }, network)
    }
    this.#seeds = [...this.#o.seeds, ...before]
  }

  #callBack(node: KnownNode): void {
    const { peerId, url, pin } = node.record
    if (!this.#o.mayBePrivate && isPrivateHost(url)) return
    if (this.#calling.has(peerId)) return
    if (this.#calling.size >= MAX_CALLS) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(node)
      return
    }
    this.#calling.add(peerId)
    void this.#networkOf(url)
      .then(async (network) => {
        if (this.#isCrowded(peerId, network)) return
        const proven = await hello({ url, pin }, { peerId, pool: this.#pool, signal: this.#stopping.signal })
        // others of the block may have come meanwhile
        if (this.#isCrowded(peerId, network)) return
        const isNew = !this.has(peerId)
        if (this.#take(proven, network) && isNew) this.#o.onJoin?.(proven.record)
      })
      .catch(() => undefined)
      .finally(() => {
        this.#calling.delete(peerId)
        const next = this.#waiting.shift()
        if (next && !this.#stopping.signal.aborted) this.#callBack(next)
      })
  }

  /** The address block of a node, for a node on the internet. */
  async #networkOf(url: string): Promise<string | undefined> {
    if (this.#o.mayBePrivate) return undefined
    const addressOf = this.#o.addressOf ?? (async (host) => (await lookup(host)).address)
    return networkOf(await addressOf(hostOf(url)))
  }

  #isCrowded(peerId: string, network: string | undefined): boolean {
    if (network === undefined) return false
    const others = this.book.list().filter(({ record }) => record.peerId !== peerId)
    return others.filter((other) => this.#networks.get(other.record.peerId) === network).length >= MAX_NODES_PER_NETWORK
  }

  /** Up to `n` of them, at random. */
  #some<T>(of: readonly T[], n: number): T[] {
    const rest = [...of]
    for (let i = 0; i < Math.min(n, rest.length); i++) {
      const j = i + Math.floor(this.#random() * (rest.length - i))
      ;[rest[i], rest[j]] = [rest[j]!, rest[i]!]
    }
    return rest.slice(0, n)
  }
}

const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[|\]$/g, '')
