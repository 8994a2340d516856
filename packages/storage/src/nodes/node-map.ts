import { decode, MAX_NODES_BYTES, NodesAnswerSchema, type Opinion, PinGoError } from '@pingo/wire'
import { type HttpPool, request, type Source, sharedPool } from '../transfer/http-client.ts'
import { hello } from './hello.ts'
import { type HttpNodeOptions, HttpStorageNode } from './http-node.ts'
import { type KnownNode, NodeBook } from './node-book.ts'
import type { CallOptions, NodeMap, StorageNode } from './port.ts'

/** Nodes that are asked for records in one refresh: one that lies by omission is not alone. */
const ASKED = 3
/** Nodes that are measured in one refresh, and at once. */
const MEASURED = 64
const MEASURED_AT_ONCE = 16
/** A measurement is as good as new for so long. */
const MEASURED_MS = 60_000
/** Small requests whose median is the round trip; the first one also opens the connection. */
const SAMPLES = 3
const ANSWER_MS = 5_000
/** A node that failed is asked again after this. */
const FAILED_MS = 10_000
/** A refresh within this time of the last one is the last one. */
const FRESH_MS = 2_000

export interface HttpNodeMapOptions extends HttpNodeOptions {
  /** Nodes to begin with: URLs and pins from the configuration. One is enough. */
  seeds: readonly Source[]
  /** A fog node's own book of members, which is kept up to date elsewhere; a client's map has one of its own. */
  book?: NodeBook
  /** This node itself, when the map is a fog node's: no request leaves the process. */
  self?: StorageNode
  /** By own audits; without it, what the nodes that were asked think (the median). */
  opinionOf?: (peerId: string) => { reputation: number; isVetted: boolean } | undefined
  clock?: () => number
}

interface Entry {
  node: StorageNode
  /** Sequence of the record that `node` was made of. */
  sequence: number
  rtt?: number
  /** ms since epoch of the last answer, and of the last failure. */
  answeredAt: number
  failedAt: number
}

/** The storage nodes that are known, by records that they signed, and how near they are by measurement. */
export class HttpNodeMap implements NodeMap {
  readonly #o: HttpNodeMapOptions
  readonly #book: NodeBook
  readonly #pool: HttpPool
  readonly #clock: () => number
  readonly #entries = new Map<string, Entry>()
  readonly #opinions = new Map<string, Opinion[]>()
  #refreshing: Promise<void> | undefined
  #refreshedAt = 0

  constructor(o: HttpNodeMapOptions) {
    this.#o = o
    this.#clock = o.clock ?? Date.now
    this.#book = o.book ?? new NodeBook(this.#clock)
    this.#pool = o.pool ?? sharedPool
  }

  live(): StorageNode[] {
    const now = this.#clock()
    const live: Entry[] = []
    for (const known of this.#book.list()) {
      const entry = this.#entry(known)
      const isDown = entry.failedAt > entry.answeredAt && now - entry.failedAt < FAILED_MS * 6
      if (!isDown) live.push(entry)
    }
    live.sort((a, b) => (a.rtt ?? Number.POSITIVE_INFINITY) - (b.rtt ?? Number.POSITIVE_INFINITY) || 0)
    const { self } = this.#o
    const nodes = live.map(({ node }) => node)
    return self ? [self, ...nodes.filter(({ record }) => record.peerId !== self.record.peerId)] : nodes
  }

  get(peerId: string): StorageNode | undefined {
    if (peerId === this.#o.self?.record.peerId) return this.#o.self
    const known = this.#book.get(peerId)
    return known && this.#entry(known).node
  }

  known(): number {
    const others = this.#book.list().filter(({ record }) => record.peerId !== this.#o.self?.record.peerId)
    return Number(this.#o.self !== undefined) + others.filter(({ record }) => record.state === 'active').length
  }

  rtt(peerId: string): number | undefined {
    return peerId === this.#o.self?.record.peerId ? 0 : this.#entries.get(peerId)?.rtt
  }

  reputation(peerId: string): number {
    const own = this.#o.opinionOf?.(peerId)
    return own?.reputation ?? median((this.#opinions.get(peerId) ?? []).map(({ reputation }) => reputation)) ?? 0.5
  }

  isVetted(peerId: string): boolean {
    const own = this.#o.opinionOf?.(peerId)
    if (own) return own.isVetted
    const told = this.#opinions.get(peerId) ?? []
    return told.filter(({ isVetted }) => isVetted).length * 2 > told.length
  }

  /** @throws PinGoError SOURCE_UNREACHABLE when no node answers; the signal's reason */
  async refresh(o: CallOptions = {}): Promise<void> {
    if (this.#clock() - this.#refreshedAt < FRESH_MS) return
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    const { signal } = o
    if (!signal) return await this.#refreshing
    signal.throwIfAborted()
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      await Promise.race([this.#refreshing, aborted])
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #refresh(): Promise<void> {
    if (!this.#o.book) await this.#learn()
    await this.#measure()
    this.#refreshedAt = this.#clock()
    for (const peerId of this.#entries.keys()) if (!this.#book.get(peerId)) this.#entries.delete(peerId)
  }

  /** Asks some nodes for all that they know: near ones, and the seeds until enough answer. */
  async #learn(): Promise<void> {
    const near = this.live().map(({ record }) => ({ url: record.url, pin: record.pin }))
    const seeds = this.#o.seeds.map(({ url, pin }) => ({ url, pin }))
    const sources = [...new Map([...near, ...seeds].map((source) => [source.url, source])).values()]
    const told: Opinion[] = []
    let answered = 0
    let failure: unknown
    for (let at = 0; at < sources.length && answered < ASKED; at += ASKED) {
      const asked = await Promise.allSettled(
        sources.slice(at, at + ASKED).map(async (source) => {
          const answer = await request(
            source,
            '/v1/storage/nodes',
            { maxBytes: MAX_NODES_BYTES, idleMs: ANSWER_MS },
            this.#pool,
          )
          if (answer.status !== 200) throw new PinGoError('ANSWER_INVALID', `${source.url} answered ${answer.status}.`)
          const { records, opinions } = decode(NodesAnswerSchema, answer.body, MAX_NODES_BYTES)
          for (const sealed of records) {
            const node = await this.#book.read(sealed).catch(() => undefined)
            if (node) this.#book.take(node)
          }
          told.push(...opinions)
        }),
      )
      for (const each of asked) {
        if (each.status === 'fulfilled') answered += 1
        else failure = each.reason
      }
    }
    if (answered === 0)
      throw (
        failure ??
        new PinGoError('STORAGE_NODES_FEW', 'No storage node is known.', {
          hint: 'Start a fog node, or name one by its URL.',
        })
      )
    this.#opinions.clear()
    for (const opinion of told)
      if (this.#book.get(opinion.peerId))
        this.#opinions.set(opinion.peerId, [...(this.#opinions.get(opinion.peerId) ?? []), opinion])
  }

  /** Measures round trips, of those first that were never measured or measured longest ago. */
  async #measure(): Promise<void> {
    const now = this.#clock()
    const due = this.#book
      .list()
      .filter(({ record }) => record.peerId !== this.#o.self?.record.peerId)
      .map((known) => ({ known, entry: this.#entry(known) }))
      .filter(({ entry }) => now - Math.max(entry.answeredAt, entry.failedAt) > MEASURED_MS || entry.rtt === undefined)
      .filter(({ entry }) => now - entry.failedAt > FAILED_MS)
      .sort((a, b) => Math.max(a.entry.answeredAt, a.entry.failedAt) - Math.max(b.entry.answeredAt, b.entry.failedAt))
      .slice(0, MEASURED)
    const next = due[Symbol.iterator]()
    const lane = async () => {
      for (const { known, entry } of next) await this.#measureOne(known, entry)
    }
    await Promise.all(Array.from({ length: MEASURED_AT_ONCE }, lane))
  }

  async #measureOne({ record }: KnownNode, entry: Entry): Promise<void> {
    const { url, pin, peerId } = record
    const took: number[] = []
    try {
      const signal = AbortSignal.timeout(ANSWER_MS)
      for (let i = 0; i <= SAMPLES; i++) {
        const began = performance.now()
        await hello({ url, pin }, { peerId, pool: this.#pool, signal })
        if (i > 0) took.push(performance.now() - began)
      }
      entry.rtt = median(took)
      entry.answeredAt = this.#clock()
    } catch {
      entry.failedAt = this.#clock()
    }
  }

  #entry({ record }: KnownNode): Entry {
    const known = this.#entries.get(record.peerId)
    if (known && known.sequence >= record.sequence) return known
    const entry: Entry = {
      node: new HttpStorageNode(record, {
        ...this.#o,
        onOutcome: (isAnswered) => {
          const current = this.#entries.get(record.peerId)
          if (!current) return
          if (isAnswered) current.answeredAt = this.#clock()
          else current.failedAt = this.#clock()
        },
      }),
      sequence: record.sequence,
      rtt: known?.rtt,
      answeredAt: known?.answeredAt ?? 0,
      failedAt: known?.failedAt ?? 0,
    }
    this.#entries.set(record.peerId, entry)
    return entry
  }
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
