import { mkdir } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { loadIdentity } from '@pingo/wire'
import { BlockStore } from '../blocks/block-store.ts'
import { blockHandler } from '../gateway/block-handler.ts'
import { checkName } from '../names/record.ts'
import { Membership } from '../nodes/membership.ts'
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
    async close(): Promise<void> {
      clearInterval(collecting)
      membership.close()
      pool.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await service.close()
      await blocks.close()
    },
  }
}
