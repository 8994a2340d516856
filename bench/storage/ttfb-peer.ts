/** One end of the long link: `holder` serves files over HTTPS; `gateway` is asked for them near the user and has none. Forked by `ttfb.ts`. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BlockHolder,
  BlockStore,
  blockHandler,
  type ChunkSource,
  FileStore,
  fetchBlock,
  HttpPool,
  makeCertificate,
  openObject,
  putObject,
  ReadThrough,
  request,
  type Source,
} from '@pingo/storage'
import { cidOf, createIdentity, type FileRef, parseCid } from '@pingo/wire'
import { MemoryNetwork } from '../../packages/storage/src/testing/memory-network.ts'

/** What a user of the gateway saw, ms since it asked. */
export interface Seen {
  head: number
  firstByte: number
  end: number
}

/** Of every leaf of a public file but the last. */
const LEAF_BYTES = 1 << 20
const folder = mkdtempSync(join(tmpdir(), 'pingo-bench-ttfb-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.on('disconnect', () => process.exit())
const [, , role, address, sizes, privateSizes] = process.argv

async function holder(): Promise<void> {
  const blocks = await BlockStore.open(folder)
  const files = new FileStore(blocks)
  const refs: FileRef[] = []
  for (const bytes of JSON.parse(sizes!) as number[]) refs.push(await files.put(randomBytes(bytes)))
  const objects: Private[] = []
  for (const bytes of JSON.parse(privateSizes!) as number[]) objects.push(await putPrivate(blocks, bytes))
  const { key, cert, fingerprint } = await makeCertificate({ peerId: 'bench' })
  const handle = blockHandler(blocks, { authorize: () => false })
  const server = https.createServer({ key, cert }, (request, response) => {
    if (!handle(request, response)) response.writeHead(404).end()
  })
  server.listen(0, address, () => {
    process.send!({
      url: `https://${address}:${(server.address() as AddressInfo).port}`,
      pin: fingerprint,
      refs,
      objects,
    })
  })
}

/** A private object as its owner knows it; its manifest's blocks are known: to find them is the look-up. */
interface Private {
  id: string
  key: string
  bytes: number
  manifest: [string, string][]
}

async function putPrivate(blocks: BlockStore, bytes: number): Promise<Private> {
  const network = await MemoryNetwork.create(16)
  const { id, key, manifest } = await putObject(randomBytes(bytes), {
    nodes: network.map(),
    owner: await createIdentity(),
  })
  const known: Private['manifest'] = []
  const names = [id, ...manifest.parts]
  for (const node of network.nodes)
    for (const [name, chunk] of node.chunks) {
      const of = names.find((cid) => Buffer.from(parseCid(cid).multihash.digest).toString('hex') === name)
      if (of === undefined) await blocks.put(cidOf(chunk), chunk)
      else if (known.every(([cid]) => cid !== of)) known.push([of, Buffer.from(chunk).toString('base64')])
    }
  return { id, key: Buffer.from(key!).toString('hex'), bytes, manifest: known }
}

/** What the SDK does with a private object, no connection being open. */
async function coldObject(object: Private, source: Source, rtt: number): Promise<Seen> {
  const pool = new HttpPool()
  const known = new Map(object.manifest.map(([cid, text]) => [cid, Buffer.from(text, 'base64')]))
  const from: ChunkSource = {
    get: async (cid, { signal, isAwaited, bytes, onFirstLeaf }) =>
      known.get(cid.toString()) ??
      (await fetchBlock(source, cid, { signal, pool, rtt: isAwaited ? rtt : undefined, bytes, onFirstLeaf })),
  }
  const seen: Seen = { head: 0, firstByte: 0, end: 0 }
  const since = performance.now()
  const opened = await openObject({ id: object.id, key: Buffer.from(object.key, 'hex'), bytes: object.bytes, from })
  seen.head = performance.now() - since
  let came = 0
  for await (const part of opened.read()) {
    if (came === 0) seen.firstByte = performance.now() - since
    came += part.byteLength
  }
  seen.end = performance.now() - since
  pool.close()
  if (came !== object.bytes) throw new Error(`${came} of ${object.bytes} bytes`)
  return seen
}

/** A gateway that knows nothing yet: no block, no connection. */
async function coldRead(
  { cid, bytes, query, isLengthKnown }: { cid: string; bytes: number; query: string; isLengthKnown: boolean },
  source: Source,
  rtt: number,
): Promise<Seen> {
  const store = await BlockStore.open(mkdtempSync(join(folder, 'gateway-')))
  const pool = new HttpPool()
  // the manifest that leads to a holder tells how long each leaf is
  const told = isLengthKnown ? Math.min(bytes, LEAF_BYTES) : undefined
  const known: BlockHolder = {
    id: 'holder',
    rtt,
    get: (cid, o) => fetchBlock(source, cid, { ...o, pool, rtt, bytes: told }),
  }
  const find = async function* () {
    yield [known]
  }
  const local = {
    has: (cid: Parameters<BlockStore['has']>[0]) => store.has(cid),
    get: (cid: Parameters<BlockStore['get']>[0]) => store.get(cid),
  }
  const through = new ReadThrough({ finder: { find }, local })
  const handle = blockHandler(store, { authorize: () => false, source: through })
  const server = http.createServer((request, response) => {
    if (!handle(request, response)) response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const seen: Seen = { head: 0, firstByte: 0, end: 0 }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ipfs/${parseCid(cid)}${query}`
  const since = performance.now()
  await new Promise<void>((resolve, reject) => {
    http
      .get(url, { agent: false }, (response) => {
        seen.head = performance.now() - since
        let came = 0
        response.on('data', (part: Buffer) => {
          if (came === 0) seen.firstByte = performance.now() - since
          came += part.byteLength
        })
        response.on('end', () => {
          seen.end = performance.now() - since
          if (response.statusCode === 200 && came >= bytes) resolve()
          else reject(new Error(`${response.statusCode}, ${came} of ${bytes} bytes`))
        })
        response.on('error', reject)
      })
      .on('error', reject)
  })
  server.close()
  pool.close()
  await store.close()
  return seen
}

if (role === 'holder') await holder()
else {
  process.on('message', async ({ roundTripTo, file, object, source, rtt }) => {
    if (roundTripTo) {
      const { hostname, port } = new URL(roundTripTo)
      const since = performance.now()
      const socket = connect(Number(port), hostname)
      await once(socket, 'connect')
      const rtt = performance.now() - since
      socket.destroy()
      const pool = new HttpPool()
      const ask = () => request(source, `/ipfs/${cidOf(randomBytes(9))}?format=raw`, {}, pool)
      await ask()
      const asked = performance.now()
      await ask()
      process.send!({ rtt, question: performance.now() - asked })
      return pool.close()
    }
    const read = object ? coldObject(object, source, rtt) : coldRead(file, source, rtt)
    read.then(
      (seen) => process.send!(seen),
      (error) => process.send!({ error: String(error?.stack ?? error) }),
    )
  })
  process.send!('ready')
}
