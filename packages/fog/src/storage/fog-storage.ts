import { statfs } from 'node:fs/promises'
import type { Host } from '@pingo/network'
import {
  AccessTokens,
  type BlockHandler,
  type BlockStore,
  checkName,
  DiskCache,
  type FindOptions,
  HttpNodeMap,
  HttpPool,
  LocalStorageNode,
  Membership,
  Names,
  NetworkFinder,
  nameHandler,
  type Providers,
  publicLookup,
  ReadThrough,
  ReputationBook,
  type Source,
  StorageService,
  storageHandler,
} from '@pingo/storage'
import type { CID, Identity, Opinion, StorageChange, StorageView } from '@pingo/wire'
import type { Logger } from 'pino'
import { bucketHandler } from './buckets.ts'
import { Caretaking } from './caretaking.ts'
import { Leaving, wasLeaving } from './leaving.ts'
import { DhtProviders } from './providers.ts'
import { StorageReport } from './view.ts'

/** Leases that ended are looked for this often, and how near the other nodes are. */
const TURN_MS = 60_000
/** … and for the first time, when the others had time to answer. */
const FIRST_LOOK_MS = 5_000
/** Until the node listens. */
const UNKNOWN_URL = 'http://localhost'
/** The part of what is free on its disk that a node fills, unless its operator says otherwise. */
const FREE_SHARE = 0.5
/** The part of its capacity that a node fills with copies of what is read here and kept elsewhere. */
const CACHE_SHARE = 0.1
/** Roots of objects in care that are told in the distributed hash table: each to twenty nodes, every day. */
const MAX_PROVIDED = 5_000
/** What stays free on the disk, whatever the capacity: bytes. */
export const MIN_FREE_BYTES = 1 << 30

/** What an operator says of the node's part in the storage network. */
export interface StorageSettings {
  /** Bytes that blocks may take; half of what is free on the disk, and what it holds, by default. */
  capacityBytes?: number
  /** Like `eu-de`. */
  region?: string
  /** What fails together: operator, rack. By default this node alone. */
  domain?: string
  /** Nano-PINGO a GiB and month; 0 by default. */
  price?: number
  /** Gateways of other fog nodes to begin with. */
  peers?: readonly Source[]
  /** How often it talks to the others, ms. */
  turnMs?: number
  /** How often it looks for objects that are to be checked, ms. */
  careMs?: number
}

export interface FogStorageOptions {
  home: string
  blocks: BlockStore
  capacityBytes: number
  identity: Identity
  token: string
  /** False where the node's own address is private: then those of the other nodes may be. */
  isPublic: boolean
  settings: StorageSettings
  clock: () => number
  logger: Logger
}

/** The fog node's part in the storage network: data of others under leases, objects in its care, and who the other nodes are. */
export class FogStorage {
  readonly service: StorageService
  readonly membership: Membership
  readonly nodes: HttpNodeMap
  /** Blocks of other nodes. */
  readonly source: ReadThrough
  /** … and those of them that are kept here because they are read again. */
  readonly cache: DiskCache
  readonly report: StorageReport
  /** The interface for owners and other fog nodes, and what names point to. */
  readonly handle: BlockHandler
  /** Blocks that were read at the gateway, by where they were; set by who has the gateway. */
  reads: () => StorageView['reads'] = () => ({ memory: 0, disk: 0, remote: 0, missing: 0 })
  readonly #parts: Parts
  readonly #logger: Logger
  readonly #caretaking: Caretaking
  readonly #leaving: Leaving
  readonly #stopping = new AbortController()
  #providers: DhtProviders | undefined
  #timer: NodeJS.Timeout | undefined
  #first: NodeJS.Timeout | undefined
  #turning: Promise<void> = Promise.resolve()

  private constructor(o: FogStorageOptions, parts: Parts) {
    const { blocks, identity, clock, settings, logger } = o
    const { service, membership, self, pool, reputation, cache } = parts
    this.#logger = logger
    this.#parts = parts
    this.service = service
    this.membership = membership
    this.cache = cache
    this.nodes = new HttpNodeMap({
      seeds: [],
      book: membership.book,
      self,
      opinionOf: (peerId) => {
        const { audits, score } = reputation.standing(peerId)
        return audits > 0 ? { reputation: score, isVetted: reputation.isVetted(peerId) } : undefined
      },
      access: new AccessTokens(identity, undefined, clock),
      pool,
      clock,
    })
    const providers: Providers = {
      find: (root, find) => this.#find(root, find),
      provide: async (root, provide) => await this.#providers?.provide(root, provide),
    }
    this.source = new ReadThrough({
      finder: new NetworkFinder({ nodes: this.nodes, self: identity.peerId, providers, pool, clock }),
      local: blocks,
      cache,
    })
    this.#caretaking = new Caretaking({
      service,
      self,
      nodes: this.nodes,
      reputation,
      clock,
      logger,
      turnMs: settings.careMs,
    })
    this.#leaving = new Leaving({ home: o.home, service, nodes: this.nodes, clock })
    this.report = new StorageReport({
      service,
      membership,
      nodes: this.nodes,
      reputation,
      cache,
      cacheBytes: cacheBytesOf(o),
      capacityBytes: o.capacityBytes,
      caretaking: this.#caretaking,
      leaving: this.#leaving,
      providers: () => this.#providers,
      reads: () => this.reads(),
      damaged: () => parts.damaged.size,
      clock,
    })
    const api = storageHandler(service, { nodes: membership, token: o.token, clock })
    const names = new Names({ nodes: this.nodes, clock })
    const pointers = nameHandler(names, { clock })
    const buckets = bucketHandler({ blocks, source: this.source, names, clock, logger })
    this.handle = (request, response) =>
      api(request, response) || pointers(request, response) || buckets(request, response)
  }

  /** @throws PinGoError DATABASE_UNREADABLE */
  static async open(o: FogStorageOptions): Promise<FogStorage> {
    const { identity, settings, clock, logger, home } = o
    const seeds = settings.peers ?? []
    const named = seeds.flatMap(({ url }) => URL.parse(url)?.hostname ?? [])
    const pool = new HttpPool(o.isPublic ? { lookup: publicLookup(named) } : {})
    const cache = DiskCache.open(home, o.blocks, { maxBytes: cacheBytesOf(o) })
    const damaged = new Set<string>()
    const membership: Membership = new Membership({
      peerId: identity.peerId,
      record: () => service.record(),
      seeds,
      opinions: () => opinionsOf(reputation, membership),
      known: () => service.known,
      mayBePrivate: !o.isPublic,
      turnMs: settings.turnMs,
      onJoin: ({ peerId, url }) => logger.info({ peer: peerId, url }, 'a fog node joined'),
      clock,
      pool,
    })
    const service = StorageService.open({
      folder: home,
      blocks: o.blocks,
      identity,
      settings: {
        url: UNKNOWN_URL,
        multiaddrs: [],
        region: settings.region ?? '',
        domain: settings.domain ?? identity.peerId,
        price: settings.price ?? 0,
        state: wasLeaving(home) ? 'leaving' : 'active',
      },
      quotaBytes: o.capacityBytes,
      isFogNode: membership.has,
      mayRelocate: membership.mayCareFor,
      makeRoom: (bytes) => cache.free(bytes),
      onDamage: (cid, objects) => {
        damaged.add(cid.toString())
        logger.warn({ cid: cid.toString(), objects }, 'a chunk was damaged on disk')
      },
      checkName,
      clock,
    })
    const reputation = new ReputationBook(service.standings)
    const self = await LocalStorageNode.of(service)
    return new FogStorage(o, {
      pool,
      membership,
      service,
      self,
      reputation,
      cache,
      damaged,
      clock,
      turnMs: settings.turnMs,
    })
  }

  /** Whether other fog nodes are known, so that it is worth to take part in their distributed hash table. */
  get hasPeers(): boolean {
    return this.service.known.records().length > 0
  }

  /** Tells the other nodes where this one is, now that it listens. */
  async start(at: {
    url: string
    pin: string | undefined
    multiaddrs: string[]
    /** A host that takes part in the distributed hash table. */
    dht: Host | undefined
    /** What fails together with this node, unless its operator said so. */
    domain: string | undefined
  }): Promise<void> {
    const { url, pin, multiaddrs, dht, domain } = at
    const { peerId, settings } = this.service
    this.service.set({
      url,
      pin,
      multiaddrs,
      domain: settings.domain === peerId ? (domain ?? peerId) : settings.domain,
    })
    await this.#parts.self.renew()
    if (dht) this.#providers = new DhtProviders(dht, this.nodes)
    this.membership.start()
    this.#first = setTimeout(() => void this.nodes.refresh().catch(() => undefined), FIRST_LOOK_MS).unref()
    this.service.scrubber.start()
    this.#caretaking.start()
    this.#timer = setInterval(() => void this.turn(), this.#parts.turnMs ?? TURN_MS).unref()
  }

  /** What the node's operator asks of it. */
  async change({ state, check }: StorageChange): Promise<void> {
    if (state !== undefined && state !== this.service.settings.state) {
      await this.#leaving.set(state === 'leaving')
      await this.#parts.self.renew()
      await this.membership.turn() // the others hear of it at once
    }
    if (check || state === 'leaving') {
      await this.service.care.hasten(this.#parts.clock())
      this.#caretaking.wake()
    }
    this.report.renew()
  }

  async close(): Promise<void> {
    clearTimeout(this.#first)
    clearInterval(this.#timer)
    this.#stopping.abort()
    this.membership.close()
    await this.#caretaking.close()
    await this.#turning
    this.#parts.pool.close()
    await this.cache.close()
    await this.service.close()
  }

  /** What is due from time to time; one at a time. */
  turn(): Promise<void> {
    this.#turning = this.#turning.then(() => this.#turn())
    return this.#turning
  }

  async #turn(): Promise<void> {
    const { signal } = this.#stopping
    if (signal.aborted) return
    try {
      await this.#parts.self.renew()
      await this.service.collect()
      await this.nodes.refresh()
      await this.#leaving.ask(signal)
      await this.#providers?.turn(this.service.care.ids(MAX_PROVIDED), signal)
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ err: error }, 'a turn of the storage failed')
    }
  }

  async *#find(root: CID, o?: FindOptions): AsyncGenerator<Source & { peerId: string }> {
    if (this.#providers) yield* this.#providers.find(root, o)
  }
}

interface Parts {
  pool: HttpPool
  membership: Membership
  service: StorageService
  self: LocalStorageNode
  reputation: ReputationBook
  cache: DiskCache
  /** CIDs of chunks that the disk damaged since the start. */
  damaged: Set<string>
  clock: () => number
  turnMs: number | undefined
}

const cacheBytesOf = ({ capacityBytes }: FogStorageOptions): number => Math.floor(CACHE_SHARE * capacityBytes)

/** What this node tells of those it has audited. */
function opinionsOf(reputation: ReputationBook, { book }: Membership): Opinion[] {
  return book.list().flatMap(({ record: { peerId } }) => {
    const { audits, score } = reputation.standing(peerId)
    return audits === 0 ? [] : [{ peerId, reputation: score, isVetted: reputation.isVetted(peerId) }]
  })
}

/** How much a node may hold in `folder`: what it holds there, and a part of what is free. */
export async function capacityOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return Math.floor(FREE_SHARE * bavail * bsize)
}
