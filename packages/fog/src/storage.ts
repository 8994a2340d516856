import { statfs } from 'node:fs/promises'
import {
  type BlockHandler,
  type BlockStore,
  checkName,
  HttpPool,
  Membership,
  type Source,
  StorageService,
  storageHandler,
} from '@pingo/storage'
import type { Identity } from '@pingo/wire'
import type { Logger } from 'pino'

const COLLECT_MS = 60_000
/** The part of what is free on its disk that a node fills, unless its operator says otherwise. */
const FREE_SHARE = 0.5
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

/** The fog node's part in the storage network: data of others under leases, objects in its care, and who the other nodes are. */
export class FogStorage {
  readonly service: StorageService
  readonly membership: Membership
  /** The interface for owners and other fog nodes. */
  readonly handle: BlockHandler
  readonly #pool = new HttpPool()
  readonly #logger: Logger
  #collecting: NodeJS.Timeout | undefined

  constructor(o: {
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
  }) {
    const { identity, settings, clock } = o
    this.#logger = o.logger
    this.membership = new Membership({
      peerId: identity.peerId,
      record: () => this.service.record(),
      seeds: settings.peers ?? [],
      mayBePrivate: !o.isPublic,
      turnMs: settings.turnMs,
      onJoin: ({ peerId, url }) => o.logger.info({ peer: peerId, url }, 'a fog node joined'),
      clock,
      pool: this.#pool,
    })
    this.service = StorageService.open({
      folder: o.home,
      blocks: o.blocks,
      identity,
      settings: {
        url: '',
        multiaddrs: [],
        region: settings.region ?? '',
        domain: settings.domain ?? identity.peerId,
        price: settings.price ?? 0,
        state: 'active',
      },
      quotaBytes: o.capacityBytes,
      isFogNode: this.membership.has,
      checkName,
      clock,
    })
    this.handle = storageHandler(this.service, { nodes: this.membership, token: o.token, clock })
  }

  /** Tells the other nodes where this one is, now that it listens. */
  start(at: { url: string; pin: string | undefined; multiaddrs: string[] }): void {
    this.service.set(at)
    this.membership.start()
    this.#collecting = setInterval(() => void this.#collect(), COLLECT_MS)
  }

  async close(): Promise<void> {
    clearInterval(this.#collecting)
    this.membership.close()
    this.#pool.close()
    await this.service.close()
  }

  async #collect(): Promise<void> {
    await this.service
      .collect()
      .catch((error: unknown) => this.#logger.warn({ error }, 'chunks without a lease could not be collected'))
  }
}

/** How much a node may hold in `folder`: what it holds there, and a part of what is free. */
export async function capacityOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return Math.floor(FREE_SHARE * bavail * bsize)
}
