/**
 * One end of a transfer, in a process of its own: forked by `transfer.ts`, which tells it what to do and asks how much CPU it took.
 * Content is made from a seed, so that both ends know it and neither sends it beforehand.
 */
import { createCipheriv, createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:https'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as tls from 'node:tls'
import { pathToFileURL } from 'node:url'
import { BlockStore, blockHandler, CHUNK_BYTES, FileStore, fetchFile, makeCertificate } from '@pingo/storage'

/** What `transfer.ts` asks for; the answer is `{ cpu, … }` with CPU seconds (user + system) since the last `mark`. */
export type Command =
  | { do: 'serve'; stack: Stack; bytes: number; round: number }
  | { do: 'fetch'; stack: Stack; bytes: number; round: number; from: Served }
  | { do: 'hash' | 'disk'; bytes: number; round: number }
  | { do: 'read' }
  | { do: 'mark' }
/** `helia` keeps blocks on disk at both ends, as `pingo` does; `helia-memory` in memory. */
export type Stack = 'tls' | 'pingo' | 'helia' | 'helia-memory'
/** Where the other end finds it. */
export interface Served {
  address: string
  pin?: string
  cid?: string
  cids?: string[]
}

/** Bytes a write of the plain stream: what Node's TLS is fastest with. */
const WRITE_BYTES = 256 << 10
/** Blocks that bitswap is asked for at once. */
const HELIA_AT_ONCE = 32

/** The `n`th chunk of a round's content: incompressible, cheap to make, different in each round. */
function chunk(round: number, n: number): Uint8Array {
  const iv = Buffer.alloc(16)
  iv.writeUInt32BE(round, 0)
  iv.writeUInt32BE(n, 4)
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), iv).update(Buffer.alloc(CHUNK_BYTES))
}
const chunks = (bytes: number, round: number) =>
  Array.from({ length: Math.ceil(bytes / CHUNK_BYTES) }, (_, n) => chunk(round, n))

/** Reads what `pingo` fetched last. */
let readFetched: () => Promise<void> = async () => undefined
/** Ends what the last command left. */
let undo: (() => Promise<unknown> | unknown)[] = []
let before = process.cpuUsage()
const cpu = () => {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

async function run(command: Command): Promise<object> {
  if (command.do === 'mark') return { cpu: cpu() }
  if (command.do === 'read') {
    before = process.cpuUsage()
    await readFetched()
    return { cpu: cpu() }
  }
  for (const step of undo.toReversed()) await step()
  undo = []
  if (command.do === 'serve') {
    const served = await SERVE[command.stack](command.bytes, command.round)
    globalThis.gc?.()
    before = process.cpuUsage()
    return { served }
  }
  if (command.do === 'fetch') {
    const fetch = await FETCH[command.stack](command.bytes, command.from)
    globalThis.gc?.()
    before = process.cpuUsage()
    const started = performance.now()
    await fetch()
    return { cpu: cpu(), seconds: (performance.now() - started) / 1000 }
  }
  const work =
    command.do === 'hash' ? hash(chunks(command.bytes, command.round)) : await disk(command.bytes, command.round)
  before = process.cpuUsage()
  work()
  return { cpu: cpu() }
}

/** What one look over all bytes costs. */
const hash = (all: Uint8Array[]) => () => {
  for (const bytes of all) createHash('sha256').update(bytes).digest()
}

/**
 * What a disk costs that is used as `fetchFile` does, with no event loop between: one file a chunk, written aside (past the system's cache of
 * files, where the system can), synced and renamed to the folder of its first byte, which is made and synced; and the files of the sender, which
 * are in that cache, read.
 */
async function disk(bytes: number, round: number): Promise<() => void> {
  const folder = await temporary()
  const all = chunks(bytes, round)
  const sync = (path: string) => {
    const file = openSync(path, 'r')
    fsyncSync(file)
    closeSync(file)
  }
  const paths = all.map((_, n) => {
    const hash = createHash('sha256').update(`${round} ${n}`).digest('hex')
    return { folder: join(folder, hash.slice(0, 2)), file: join(folder, hash.slice(0, 2), hash) }
  })
  // as the sender's: put a moment ago
  const theirs = paths.map((_, n) => join(folder, `theirs-${n}`))
  theirs.forEach((path, n) => {
    const file = openSync(path, 'wx')
    writeSync(file, all[n]!)
    fdatasyncSync(file)
    closeSync(file)
  })
  // memory that begins at a page, as a write past the cache needs it
  const buffer = new Uint8Array(new ArrayBuffer(CHUNK_BYTES, { maxByteLength: CHUNK_BYTES }))
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | pastCache(folder)
  return () => {
    all.forEach((data, n) => {
      buffer.set(data)
      const aside = join(folder, 'aside')
      const file = openSync(aside, flags, 0o600)
      writeSync(file, buffer, 0, data.byteLength)
      fdatasyncSync(file)
      closeSync(file)
      if (mkdirSync(paths[n]!.folder, { recursive: true })) sync(folder)
      renameSync(aside, paths[n]!.file)
      sync(paths[n]!.folder)
    })
    for (const file of theirs) {
      const opened = openSync(file, 'r')
      readSync(opened, buffer)
      closeSync(opened)
    }
  }
}

/** What opens a file past the cache, 0 where that cannot be done. */
function pastCache(folder: string): number {
  const flag = constants.O_DIRECT ?? 0
  try {
    closeSync(openSync(join(folder, 'probe'), constants.O_WRONLY | constants.O_CREAT | flag))
    return flag
  } catch {
    return 0
  }
}

/** A new folder, gone when this process ends and not before: ext4 searches long for inodes that were not deleted a moment ago. */
async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-transfer-'))
  folders.push(folder)
  return folder
}
const folders: string[] = []
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const SERVE: Record<Stack, (bytes: number, round: number) => Promise<Served>> = {
  async tls(bytes, round) {
    const { key, cert, fingerprint } = await makeCertificate({ peerId: 'bench' })
    const content = Buffer.concat(chunks(bytes, round))
    const server = tls.createServer({ key, cert, minVersion: 'TLSv1.3' }, (socket) => {
      socket.on('error', () => socket.destroy())
      let at = 0
      const pump = () => {
        while (at < content.byteLength) {
          const goesOn = socket.write(content.subarray(at, at + WRITE_BYTES))
          at += WRITE_BYTES
          if (!goesOn) return void socket.once('drain', pump)
        }
        socket.end()
      }
      pump()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    undo.push(() => server.close())
    return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, pin: fingerprint }
  },

  async pingo(bytes, round) {
    const { key, cert, fingerprint } = await makeCertificate({ peerId: 'bench' })
    const blocks = await BlockStore.open(await temporary())
    undo.push(() => blocks.close())
    const ref = await new FileStore(blocks).put(Readable.from(chunks(bytes, round)))
    const handle = blockHandler(blocks, { authorize: () => false })
    const server = createServer({ key, cert, minVersion: 'TLSv1.3' }, (request, response) => {
      if (!handle(request, response)) response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    undo.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return { address: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, pin: fingerprint, cid: ref.cid }
  },

  helia: (bytes, round) => serveHelia(bytes, round, true),
  'helia-memory': (bytes, round) => serveHelia(bytes, round, false),
}

const FETCH: Record<Stack, (bytes: number, from: Served) => Promise<() => Promise<void>>> = {
  tls:
    async (bytes, { address, pin }) =>
    async () => {
      const [host, port] = address.split(':')
      const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false, minVersion: 'TLSv1.3' })
      let came = 0
      await new Promise<void>((resolve, reject) => {
        socket.on('secureConnect', () => {
          const shown = createHash('sha256').update(socket.getPeerX509Certificate()!.raw).digest('hex')
          if (shown !== pin) socket.destroy(new Error('another certificate'))
        })
        socket.on('data', (part: Buffer) => {
          came += part.byteLength
        })
        socket.on('end', resolve).on('error', reject)
      })
      if (came !== bytes) throw new Error(`${came} of ${bytes} bytes came`)
    },

  async pingo(bytes, { address, pin, cid }) {
    const into = await BlockStore.open(await temporary())
    undo.push(() => into.close())
    readFetched = async () => {
      for await (const part of new FileStore(into).read(cid!))
        if (part.byteLength === 0) throw new Error('an empty part')
    }
    return async () => {
      await fetchFile({ cid: cid!, bytes }, [{ url: address, pin }], into)
      if (into.stats().bytes < bytes) throw new Error('not all came')
    }
  },

  helia: (bytes, from) => fetchHelia(bytes, from, true),
  'helia-memory': (bytes, from) => fetchHelia(bytes, from, false),
}

async function serveHelia(bytes: number, round: number, isOnDisk: boolean): Promise<Served> {
  const node = await heliaNode(isOnDisk)
  const { CID } = await module<typeof import('multiformats')>('multiformats/cid')
  const { sha256 } = await module<typeof import('multiformats/hashes/sha2')>('multiformats/hashes/sha2')
  const cids: string[] = []
  for (const data of chunks(bytes, round)) {
    const cid = CID.createV1(0x55, await sha256.digest(data))
    await node.blockstore.put(cid, data)
    cids.push(cid.toString())
  }
  return { address: String(node.libp2p.getMultiaddrs()[0]), cids }
}

async function fetchHelia(bytes: number, { address, cids }: Served, isOnDisk: boolean): Promise<() => Promise<void>> {
  const node = await heliaNode(isOnDisk)
  const { CID } = await module<typeof import('multiformats')>('multiformats/cid')
  const { multiaddr } = await module<{ multiaddr(text: string): unknown }>('@multiformats/multiaddr')
  await node.libp2p.dial(multiaddr(address))
  return async () => {
    let came = 0
    const next = cids![Symbol.iterator]()
    const lane = async () => {
      for (const text of next) for await (const part of node.blockstore.get(CID.parse(text))) came += part.byteLength
    }
    await Promise.all(Array.from({ length: HELIA_AT_ONCE }, lane))
    if (came !== bytes) throw new Error(`${came} of ${bytes} bytes came`)
  }
}

interface HeliaNode {
  start(): Promise<unknown>
  stop(): Promise<unknown>
  blockstore: { put(cid: unknown, bytes: Uint8Array): unknown; get(cid: unknown): AsyncIterable<Uint8Array> }
  libp2p: { dial(address: unknown): Promise<unknown>; getMultiaddrs(): unknown[] }
}
// biome-ignore lint/suspicious/noExplicitAny: libraries that are no dependency of the house have no types here
type Untyped = any

/** Helia as cheap as it gets: TLS by Node, one bitswap and nothing else; its own store of files does not sync. */
async function heliaNode(isOnDisk: boolean): Promise<HeliaNode> {
  const load = module<Untyped>
  const [{ createHeliaLight }, { withLibp2p }, { withBitswap }, { MemoryBlockstore }] = await Promise.all(
    ['helia', '@helia/libp2p', '@helia/bitswap', 'blockstore-core'].map(load),
  )
  const blockstore = isOnDisk
    ? new (await load('blockstore-fs')).FsBlockstore(await temporary())
    : new MemoryBlockstore()
  if (isOnDisk) await blockstore.open()
  const [{ tcp }, { tls: libp2pTls }, { yamux }, { identify }] = await Promise.all(
    ['@libp2p/tcp', '@libp2p/tls', '@libp2p/yamux', '@libp2p/identify'].map(load),
  )
  const node: HeliaNode = withBitswap(
    withLibp2p(createHeliaLight({ blockstore }), {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [libp2pTls()],
      streamMuxers: [yamux()],
      peerDiscovery: [],
      services: { identify: identify() },
    }),
  )
  await node.start()
  undo.push(() => node.stop())
  return node
}

/** A module from the folder where Helia is installed. */
async function module<T>(name: string): Promise<T> {
  const from = createRequire(join(process.env.PINGO_HELIA!, 'node_modules', 'helia', 'package.json'))
  const path = (from as unknown as Untyped).resolve(name, { conditions: new Set(['node', 'import']) })
  return (await import(pathToFileURL(path).href)) as T
}

process.on('message', (command: Command) => {
  run(command).then(
    (answer) => process.send!(answer),
    (error) => process.send!({ error: String(error?.stack ?? error) }),
  )
})
process.on('disconnect', async () => {
  for (const step of undo.toReversed()) await step()
  process.exit()
})
process.send!({ ready: true })
