import type { DiskCache, HttpNodeMap, Membership, ReputationBook, StorageService } from '@pingo/storage'
import { MAX_OBJECTS_LISTED, type StorageObjectView, type StoragePeerView, type StorageView } from '@pingo/wire'
import type { Caretaking } from './caretaking.ts'
import type { Leaving } from './leaving.ts'
import type { DhtProviders } from './providers.ts'

/** What somebody asks for again this soon is not counted anew. */
const FRESH_MS = 5_000
const ID_HEAD = 7
const ID_TAIL = 6

export interface StorageParts {
  service: StorageService
  membership: Membership
  nodes: HttpNodeMap
  reputation: ReputationBook
  cache: DiskCache
  cacheBytes: number
  capacityBytes: number
  caretaking: Caretaking
  leaving: Leaving
  providers: () => DhtProviders | undefined
  reads: () => StorageView['reads']
  damaged: () => number
  clock: () => number
}

/** Reads what a fog node tells of its part in the storage network. */
export class StorageReport {
  readonly #o: StorageParts
  #last: { view: StorageView; at: number } | undefined

  constructor(o: StorageParts) {
    this.#o = o
  }

  /** With whole ids of objects, for who bears the token. */
  async full(): Promise<StorageView> {
    const last = this.#last
    const now = performance.now()
    if (last && now - last.at < FRESH_MS) return last.view
    const view = await this.#read()
    this.#last = { view, at: now }
    return view
  }

  /** … and shortened for anybody: who knows a CID can read what it names. */
  async open(): Promise<StorageView> {
    const view = await this.full()
    const short = (id: string) => `${id.slice(0, ID_HEAD)}…${id.slice(-ID_TAIL)}`
    return { ...view, objects: view.objects.map((object) => ({ ...object, id: short(object.id) })) }
  }

  /** What was told is told anew. */
  renew(): void {
    this.#last = undefined
  }

  async #read(): Promise<StorageView> {
    const { service, cache, caretaking, leaving } = this.#o
    const { region, domain, state, price } = service.settings
    const { blocks, bytes } = service.blocks.stats()
    const objects = await this.#objects()
    const stripesByMissing: Record<string, number> = {}
    for (const object of objects)
      for (const [missing, n] of Object.entries(object.stripesByMissing))
        stripesByMissing[missing] = (stripesByMissing[missing] ?? 0) + n
    return {
      node: {
        id: service.peerId,
        region,
        domain,
        state,
        price,
        capacityBytes: this.#o.capacityBytes,
        usedBytes: bytes,
        blocks,
        leasedBytes: service.leasedBytes,
      },
      leaving: leaving.view(),
      reads: { ...this.#o.reads() },
      cache: { ...cache.stats(), maxBytes: this.#o.cacheBytes },
      care: {
        ...service.care.count(this.#o.clock()),
        stripesByMissing,
        repairsQueued: caretaking.repairsQueued,
      },
      audits: { ...caretaking.audits },
      repairs: { ...caretaking.repairs },
      scrub: { rounds: service.scrubber.state().rounds, damaged: this.#o.damaged() },
      names: service.names.size,
      provided: this.#o.providers()?.count,
      peers: this.#peers(),
      objects,
    }
  }

  #peers(): StoragePeerView[] {
    const { membership, nodes, reputation } = this.#o
    const live = new Set(nodes.live().map(({ record }) => record.peerId))
    return membership.book.list().map(({ record }) => {
      const { state: standing, score, audits } = reputation.standing(record.peerId)
      return {
        id: record.peerId,
        url: record.url,
        region: record.region,
        domain: record.domain,
        state: record.state,
        isLive: live.has(record.peerId),
        rttMs: nodes.rtt(record.peerId),
        standing,
        score,
        audits,
        capacityBytes: record.capacityBytes,
        freeBytes: record.freeBytes,
        seenAt: record.at,
      }
    })
  }

  /** Objects in care, the neediest first. */
  async #objects(): Promise<StorageObjectView[]> {
    const { care } = this.#o.service
    const views: StorageObjectView[] = []
    for (const id of care.ids(MAX_OBJECTS_LISTED)) {
      const object = await care.get(id).catch(() => undefined) // it went meanwhile, or its manifest is damaged
      if (!object) continue
      const { manifest, health, dueAt } = object
      const width = manifest.code.k + manifest.code.m
      views.push({
        id,
        isPublic: manifest.root !== undefined,
        bytes: manifest.bytes,
        stripes: manifest.stripes,
        code: manifest.code,
        stripesByMissing: Object.fromEntries(
          Object.entries(health.stripesByShards).map(([left, n]) => [Math.max(0, width - Number(left)), n]),
        ),
        checkedAt: health.checkedAt,
        dueAt,
      })
    }
    const need = ({ stripesByMissing }: StorageObjectView) => Math.max(0, ...Object.keys(stripesByMissing).map(Number))
    return views.sort((a, b) => need(b) - need(a))
  }
}
