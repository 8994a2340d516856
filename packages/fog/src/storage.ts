import { statfs } from 'node:fs/promises'
import {
  AccessTokens,
  type BlockHandler,
  type BlockStore,
  checkName,
  DiskCache,
  HttpNodeMap,
  HttpPool,
  LocalStorageNode,
  Membership,
  NetworkFinder,
  ReadThrough,
  type Source,
  StorageService,
  storageHandler,
} from '@pingo/storage'
import type { Identity } from '@pingo/wire'
import type { Logger } from 'pino'

/** Leases that ended are looked for this often, and how near the other nodes are. */
const TURN_MS = 60_000
/** Until the node listens. */
const UNKNOWN_URL = 'http://localhost'
/** The part of what is free on its disk that a node fills, unless its operator says otherwise. */
const FREE_SHARE = 0.5
/** The part of its capacity that a node fills with copies of what is read here and kept elsewhere. */
const CACHE_SHARE = 0.1
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
}

export interface FogStorageOptions {
  home: string
  blocks: BlockStore
  capacityBytes: number
  identity: Identity
  token: string
  /** False on a machine or network of its own: then other nodes may have private addresses. */
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
  /** The interface for owners and other fog nodes. */
  readonly handle: BlockHandler
  readonly #self: LocalStorageNode
  readonly #pool: HttpPool
  readonly #logger: Logger
  #timer: NodeJS.Timeout | undefined

  private constructor(o: FogStorageOptions, parts: Parts) {
    const { blocks, identity, clock } = o
    this.#logger = o.logger
    this.#pool = parts.pool
    this.#self = parts.self
    this.service = parts.service
    this.membership = parts.membership
    this.nodes = new HttpNodeMap({
      seeds: [],
      book: this.membership.book,
      self: parts.self,
      access: new AccessTokens(identity, undefined, clock),
      pool: this.#pool,
      clock,
    })
    this.cache = DiskCache.open(o.home, blocks, { maxBytes: Math.floor(CACHE_SHARE * o.capacityBytes) })
    this.source = new ReadThrough({
      finder: new NetworkFinder({ nodes: this.nodes, self: identity.peerId, pool: this.#pool, clock }),
      local: blocks,
      cache: this.cache,
    })
    this.handle = storageHandler(this.service, { nodes: this.membership, token: o.token, clock })
  }

  /** @throws PinGoError DATABASE_UNREADABLE */
  static async open(o: FogStorageOptions): Promise<FogStorage> {
    const { identity, settings, clock, logger } = o
    const pool = new HttpPool()
    const membership: Membership = new Membership({
      peerId: identity.peerId,
      record: () => service.record(),
      seeds: settings.peers ?? [],
      known: () => service.known,
      mayBePrivate: !o.isPublic,
      turnMs: settings.turnMs,
      onJoin: ({ peerId, url }) => logger.info({ peer: peerId, url }, 'a fog node joined'),
      clock,
      pool,
    })
    const service = StorageService.open({
      folder: o.home,
      blocks: o.blocks,
      identity,
      settings: {
        url: UNKNOWN_URL,
        multiaddrs: [],
        region: settings.region ?? '',
        domain: settings.domain ?? identity.peerId,
        price: settings.price ?? 0,
        state: 'active',
      },
      quotaBytes: o.capacityBytes,
      isFogNode: membership.has,
      mayRelocate: membership.mayCareFor,
      onDamage: (cid, objects) => logger.warn({ cid: cid.toString(), objects }, 'a chunk was damaged on disk'),
      checkName,
      clock,
    })
    return new FogStorage(o, { pool, membership, service, self: await LocalStorageNode.of(service) })
  }

  /** Tells the other nodes where this one is, now that it listens. */
  async start(at: { url: string; pin: string | undefined; multiaddrs: string[] }): Promise<void> {
    this.service.set(at)
    await this.#self.renew()
    this.membership.start()
    this.service.scrubber.start()
    this.#timer = setInterval(() => void this.#turn(), TURN_MS)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.membership.close()
    this.#pool.close()
    await this.cache.close()
    await this.service.close()
  }

  async #turn(): Promise<void> {
    try {
      await this.#self.renew()
      await this.service.collect()
      await this.nodes.refresh()
    } catch (error) {
      this.#logger.warn({ error }, 'a turn of the storage failed')
    }
  }
}

interface Parts {
  pool: HttpPool
  membership: Membership
  service: StorageService
  self: LocalStorageNode
}

/** How much a node may hold in `folder`: what it holds there, and a part of what is free. */
export async function capacityOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return Math.floor(FREE_SHARE * bavail * bsize)
}
