import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, createServer, get, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlockStore, blockHandler, FileStore } from '@pingo/storage'

const OBJECT_BYTES = 4 << 10
const REQUESTS = 2_000
const WARM_UP = 500

/** Median ms of a request, one at a time over a connection that stays: of a cached block at the gateway, and of the same bytes from bare `node:http`. */
export async function hitLatencies(): Promise<{ gateway: number; bare: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-cache-'))
  const store = await BlockStore.open(folder)
  const bytes = randomBytes(OBJECT_BYTES)
  const { cid } = await new FileStore(store).put(bytes)
  const handle = blockHandler(store, { authorize: () => false })
  const servers = [
    await listen((request, response) => void handle(request, response), handle.accelerate),
    await listen((_, response) => response.writeHead(200, { 'content-length': bytes.byteLength }).end(bytes)),
  ]
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    const urls = servers.map(
      (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/ipfs/${cid}?format=raw`,
    )
    const times: [number[], number[]] = [[], []]
    for (let n = 0; n < WARM_UP + REQUESTS; n++)
      for (const [index, url] of urls.entries()) {
        const started = performance.now()
        await read(url, agent)
        if (n >= WARM_UP) times[index]!.push(performance.now() - started)
      }
    const [gateway, bare] = times.map(median) as [number, number]
    return { gateway, bare }
  } finally {
    agent.destroy()
    for (const server of servers) await new Promise((resolve) => server.close(resolve))
    await store.close()
    await rm(folder, { recursive: true, force: true })
  }
}

const listen = (handle: RequestListener, prepare?: (server: Server) => void): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer(handle)
    prepare?.(server)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })

const read = (url: string, agent: Agent): Promise<void> =>
  new Promise((resolve, reject) => {
    get(url, { agent }, (response) => response.resume().on('end', resolve).on('error', reject)).on('error', reject)
  })

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!
