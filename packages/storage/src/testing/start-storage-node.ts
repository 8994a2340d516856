import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadIdentity } from '@pingo/wire'
import { BlockStore } from '../blocks/block-store.ts'
import { Caretaker } from '../durability/care.ts'
import type { CareEvent } from '../durability/part-care.ts'
import { ReputationBook } from '../durability/reputation.ts'
import { blockHandler } from '../gateway/block-handler.ts'
import { checkName } from '../names/record.ts'
import { AccessTokens } from '../nodes/access.ts'
import { LocalStorageNode } from '../nodes/local-node.ts'
import { Membership } from '../nodes/membership.ts'
import { HttpNodeMap } from '../nodes/node-map.ts'
import { StorageService, type StorageServiceOptions } from '../nodes/service.ts'
import { type StorageHandlerOptions, storageHandler } from '../nodes/storage-handler.ts'
import { HttpPool, type Source } from '../transfer/http-client.ts'

const QUOTA_BYTES = 2 ** 36
const TOKEN = 'for-tests'

export interface StorageNodeOptions {
  folder: string
  port?: number
  /** Other nodes to begin with. */
  seeds?: readonly Source[]
  domain?: string
  region?: string
  quotaBytes?: number
  /** Who bears it may vouch for owners; `for-tests` by default. */
  token?: string
  /** How often it talks to the others. */
  turnMs?: number
  clock?: () => number
  scrub?: StorageServiceOptions['scrub']
  onDamage?: StorageServiceOptions['onDamage']
  limits?: Partial<StorageHandlerOptions>
  /** Who counts as a fog node, and what it may; by the membership otherwise. */
  rules?: Pick<StorageServiceOptions, 'isFogNode' | 'mayRelocate'>
  /** Gets each request before the node does; true when it answered itself. */
  before?: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Sees to the objects whose caretaker it is; without it, they are kept as they are. */
  care?: {
    /** How often it looks for what is due; 0: only when it is told, by `tick`. */
    tickMs: number
    /** What repairs read and write; without bounds by default. */
    bytesPerSecond?: number
    onEvent?: (event: CareEvent) => void
  }
}

/** Starts a storage node on a free port of the loopback. */
export async function startStorageNode(o: StorageNodeOptions) {
  await mkdir(o.folder, { recursive: true })
  const identity = await loadIdentity(join(o.folder, 'identity.key'))
  const quotaBytes = o.quotaBytes ?? QUOTA_BYTES
  const token = o.token ?? TOKEN
  const blocks = await BlockStore.open(join(o.folder, 'blocks'), { quotaBytes, clock: o.clock })
  let handle = (_request: IncomingMessage, _response: ServerResponse): boolean => false
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 120_000 }, (request, response) => {
    if (o.before?.(request, response) || handle(request, response)) return
    response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(o.port ?? 0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const pool = new HttpPool()
  const membership: Membership = new Membership({
    peerId: identity.peerId,
    record: () => service.record(),
    seeds: o.seeds ?? [],
    known: () => service.known,
    mayBePrivate: true,
    turnMs: o.turnMs,
    clock: o.clock,
    pool,
  })
  const service = StorageService.open({
    folder: o.folder,
    blocks,
    identity,
    settings: {
      url,
      multiaddrs: [],
      region: o.region ?? '',
      domain: o.domain ?? identity.peerId,
      price: 0,
      state: 'active',
    },
    quotaBytes,
    isFogNode: membership.has,
    mayRelocate: membership.mayCareFor,
    ...o.rules,
    checkName,
    clock: o.clock,
    scrub: o.scrub,
    onDamage: o.onDamage,
  })
  const caretaking = await caretakingOf(o, { service, membership, pool })
  const storage = storageHandler(service, { nodes: membership, token, clock: o.clock, ...o.limits })
  const data = blockHandler(blocks, { authorize: () => false })
  handle = (request, response) => storage(request, response) || data(request, response)
  membership.start()
  service.scrubber.start()
  await service.collect({ orphansMs: 0 }) // what a crash left
  const collecting = setInterval(() => void service.collect().catch(() => undefined), 60_000).unref()
  return {
    url,
    token,
    peerId: identity.peerId,
    identity,
    blocks,
    service,
    membership,
    /** Sees to what is due by now, once; what it does by itself waits for that, and the other way round. */
    tick: caretaking.tick,
    /** What it thinks of the others. */
    reputation: caretaking.reputation,
    async close(): Promise<void> {
      clearInterval(collecting)
      await caretaking.close()
      membership.close()
      pool.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await service.close()
      await blocks.close()
    },
  }
}

/** A caretaker over the node's own disk and its way to the others, as a fog node runs it. */
async function caretakingOf(
  { care, clock = Date.now }: StorageNodeOptions,
  { service, membership, pool }: { service: StorageService; membership: Membership; pool: HttpPool },
) {
  const self = await LocalStorageNode.of(service)
  const reputation = new ReputationBook()
  const nodes = new HttpNodeMap({
    seeds: [],
    book: membership.book,
    self,
    access: new AccessTokens(service.identity, undefined, clock),
    pool,
    clock,
    opinionOf: (peerId) => ({
      reputation: reputation.standing(peerId).score,
      isVetted: reputation.isVetted(peerId),
    }),
  })
  const stop = new AbortController()
  const caretaker = new Caretaker({
    self,
    nodes,
    store: service.care,
    reputation,
    clock,
    random: randomBytes,
    sleep: (ms) => sleep(ms, undefined, { signal: stop.signal, ref: false }).catch(() => undefined),
    bytesPerSecond: care?.bytesPerSecond ?? Number.POSITIVE_INFINITY,
    onEvent: care?.onEvent,
  })
  let running: Promise<void> = Promise.resolve()
  const tick = () => {
    running = running
      .catch(() => undefined)
      .then(async () => {
        await self.renew()
        await nodes.refresh()
        await caretaker.tick(stop.signal)
      })
    return running
  }
  let timer: NodeJS.Timeout | undefined
  const turn = () =>
    void tick()
      .catch(() => undefined)
      .finally(next)
  const next = () => {
    if (care && care.tickMs > 0 && !stop.signal.aborted) timer = setTimeout(turn, care.tickMs).unref()
  }
  next()
  return {
    tick,
    reputation,
    async close() {
      clearTimeout(timer)
      stop.abort()
      await running.catch(() => undefined)
    },
  }
}
