import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ObjectBackend, S3_SERVER_OPTIONS, s3Handler } from '@pingo/storage/s3'
import { ACCESS_KEY, MemoryBackend, SECRET, serveS3, sign } from '@pingo/storage/s3/testing'
import { startStorageNode } from '../../packages/storage/src/testing/start-storage-node.ts'
import type { Row } from '../run.ts'

const COMMAND = join(import.meta.dirname, '..', '..', 'apps', 'cli', 'bin', 'pingo.js')
/** One more than a stripe needs. */
const NODES = 17

export interface Endpoint {
  url: string
  accessKeyId: string
  secret: string
  close(): Promise<void>
}

export async function memoryEndpoint(): Promise<Endpoint> {
  const endpoint = await serveS3(new MemoryBackend())
  return {
    url: endpoint.url,
    accessKeyId: ACCESS_KEY,
    secret: SECRET,
    close: async () => await endpoint[Symbol.asyncDispose](),
  }
}

/** `pingo store serve` as a user starts it, over seventeen storage nodes on loopback that keep their chunks on disk. */
export async function storeEndpoint(): Promise<Endpoint> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-s3-net-'))
  const nodes: Awaited<ReturnType<typeof startStorageNode>>[] = []
  for (let n = 0; n < NODES; n++)
    nodes.push(
      await startStorageNode({
        folder: join(folder, `node-${n}`),
        seeds: nodes.slice(0, 1).map(({ url }) => ({ url })),
        turnMs: 200,
      }),
    )
  while (nodes.some(({ membership }) => membership.book.list().length < NODES - 1)) await sleep(100)
  const env = {
    ...process.env,
    PINGO_FOG: nodes[0]!.url,
    PINGO_TOKEN: nodes[0]!.token,
    PINGO_HOME: join(folder, 'home'),
  }
  const child = spawn(process.execPath, [COMMAND, 'store', 'serve', '--port', '0', '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { url, accessKeyId, secretAccessKey } = JSON.parse(line)
  return {
    url,
    accessKeyId,
    secret: secretAccessKey,
    async close() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
      await Promise.all(nodes.map((node) => node.close()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Memory of a process of its own that takes in and gives out `bytes` and keeps none of them. */
export async function passed(bytes: number): Promise<Row> {
  const child = fork(import.meta.filename, [], { execArgv: [] })
  try {
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    const rss = async () => {
      child.send('rss')
      return ((await once(child, 'message')) as [{ rss: number }])[0].rss
    }
    await pass(port, 1 << 20)
    const before = await rss()
    let peak = before
    let isDone = false
    const watch = (async () => {
      while (!isDone) {
        peak = Math.max(peak, await rss())
        await sleep(50)
      }
    })()
    await pass(port, bytes)
    isDone = true
    await watch
    return {
      name: `memory of the endpoint above idle while ${bytes >> 20} MiB are put and got`,
      measured: (peak - before) / 2 ** 20,
      unit: 'MiB',
      bar: '≤ 150',
      holds: peak - before <= 150 * 2 ** 20,
    }
  } finally {
    child.kill()
  }
}

/** Puts `bytes` and gets them back, holding none. */
async function pass(port: number, bytes: number): Promise<void> {
  const block = Buffer.alloc(1 << 20)
  const url = `http://127.0.0.1:${port}/bucket/${bytes}`
  const signed = sign(url, { method: 'PUT', payload: 'UNSIGNED-PAYLOAD' })
  const put = request(url, { method: 'PUT', headers: { ...signed, 'content-length': bytes } })
  for (let sent = 0; sent < bytes; sent += block.byteLength) if (!put.write(block)) await once(put, 'drain')
  put.end()
  const [stored] = await once(put, 'response')
  if (stored.statusCode !== 200) throw new Error(`The endpoint answers ${stored.statusCode}.`)
  stored.resume()
  const get = request(url).end()
  const [answer] = await once(get, 'response')
  let got = 0
  for await (const part of answer) got += part.byteLength
  if (got !== bytes) throw new Error(`${got} of ${bytes} bytes came back.`)
}

/** Takes everything, keeps its length, gives zeros. */
function voidBackend(): ObjectBackend {
  const info = (key: string) => ({ bytes: Number(key), etag: 'void', modifiedAt: 0, headers: {}, metadata: {} })
  const zeros = Buffer.alloc(1 << 20)
  return Object.assign(new MemoryBackend(), {
    async put(_: string, __: string, upload: Parameters<ObjectBackend['put']>[2]) {
      for await (const _ of upload.stream);
      return { etag: upload.etag(), modifiedAt: 0 }
    },
    async get(_: string, key: string) {
      return {
        info: info(key),
        async *read() {
          for (let left = Number(key); left > 0; left -= zeros.byteLength) yield zeros.subarray(0, left)
        },
      }
    },
  })
}

if (process.send && import.meta.main) {
  const handle = s3Handler(voidBackend(), { credentials: () => SECRET, anonymous: true })
  const server = createServer(S3_SERVER_OPTIONS, handle)
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
  process.on('message', () => process.send?.({ rss: process.memoryUsage().rss }))
}
