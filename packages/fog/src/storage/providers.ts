import type { Host } from '@pingo/network'
import type { NodeMap, Providers, Source } from '@pingo/storage'
import { type CID, parseCid } from '@pingo/wire'

/** Roots that are told in one turn. */
const TOLD_PER_TURN = 16
/** Fog nodes that the table's connections are kept with, at least; and how many are dialled in one turn. */
const ENOUGH_PEERS = 8
const DIALLED_PER_TURN = 3
const DIAL_MS = 5_000

/** Provider records over the fog nodes' distributed hash table: who provides is reached as its signed node record says. */
export class DhtProviders implements Providers {
  readonly #host: Host
  readonly #nodes: NodeMap
  readonly #told = new Set<string>()

  constructor(host: Host, nodes: NodeMap) {
    this.#host = host
    this.#nodes = nodes
  }

  /** Roots that this node tells. */
  get count(): number {
    return this.#told.size
  }

  async *find(root: CID, o: { signal?: AbortSignal } = {}): AsyncGenerator<Source & { peerId: string }> {
    for await (const { peerId } of this.#host.findProviders(root, o)) {
      const record = this.#nodes.get(peerId)?.record
      if (record) yield { peerId, url: record.url, pin: record.pin }
    }
  }

  /** The host tells it again every day. */
  async provide(root: CID, o: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#host.provide(root, o)
    o.signal?.addEventListener('abort', () => void this.#host.unprovide(root), { once: true })
  }

  /** One turn: connects with some fog nodes, tells of what came into care, and no longer of what is not. */
  async turn(inCare: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#connect(signal)
    if (this.#host.peers().length === 0) return
    const wanted = new Set(inCare)
    for (const id of this.#told)
      if (!wanted.has(id)) {
        this.#told.delete(id)
        await this.#host.unprovide(parseCid(id))
      }
    const fresh = [...wanted].filter((id) => !this.#told.has(id)).slice(0, TOLD_PER_TURN)
    for (const id of fresh) {
      await this.#host.provide(parseCid(id), { signal })
      this.#told.add(id)
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const connected = new Set(this.#host.peers().map(({ peer }) => peer))
    const nodes = this.#nodes.live().filter(({ record }) => record.peerId !== this.#host.peerId)
    const missing = nodes.filter(({ record }) => !connected.has(record.peerId) && record.multiaddrs.length > 0)
    if (nodes.length - missing.length >= ENOUGH_PEERS) return
    for (const { record } of missing.sort(() => Math.random() - 0.5).slice(0, DIALLED_PER_TURN)) {
      signal.throwIfAborted()
      const address = record.multiaddrs[0]!
      const full = address.includes('/p2p/') ? address : `${address}/p2p/${record.peerId}`
      await this.#host.connect(full, { signal, timeoutMs: DIAL_MS }).catch(() => undefined) // another one next time
    }
  }
}
