import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { cidOf, createIdentity } from '@pingo/wire'
import { blockHandler, makeCertificate } from '../index.ts'
import { openStore, stops } from '../testing/http-node.ts'
import { Outflow } from './outflow.ts'

const TIMEOUT_MS = 1_000
const BLOCK_BYTES = 2 << 20

/** A server's socket in the file system: its buffers are small and do not grow, while those of the loopback take a whole block. */
async function listen(server: Server): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'pingo-outflow-')), 'socket')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  stops.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await rm(dirname(path), { recursive: true, force: true })
  })
  return path
}

/** Asks, and takes up to `most` bytes of the answer every so often. @returns how many came before the server ended the connection */
async function read(server: Server, socket: Socket, ask: string, most: number, everyMs: number): Promise<number> {
  const isCut = new Promise((resolve) => server.once('connection', (its: Socket) => its.once('close', resolve)))
  socket.on('error', () => undefined).pause()
  stops.push(() => void socket.destroy())
  socket.write(`${ask}\r\n`)
  let received = 0
  const reading = setInterval(() => {
    received += (socket.read(Math.min(most, socket.readableLength)) ?? socket.read(0))?.byteLength ?? 0
    if (received >= BLOCK_BYTES) socket.destroy()
  }, everyMs)
  await isCut
  clearInterval(reading)
  return received
}

async function openNode() {
  const { store } = await openStore()
  const bytes = randomBytes(BLOCK_BYTES)
  const cid = cidOf(bytes)
  await store.put(cid, bytes)
  const handle = blockHandler(store, { authorize: () => false, transferTimeoutMs: TIMEOUT_MS })
  return { handle, ask: `GET /ipfs/${cid}?format=raw HTTP/1.1\r\nHost: x\r\n` }
}
/** From disk for who asks not to keep it, through node:http, and before it. */
const WAYS = ['Cache-Control: no-store\r\n', '', '']

describe('a reader that is slow', () => {
  it('but steady gets all of a block, however much longer than the timeout it takes', async () => {
    const { handle, ask } = await openNode()
    let parsed = 0
    const server = createServer((q, s) => {
      parsed += 1
      handle(q, s)
    })
    handle.accelerate(server)
    const path = await listen(server)
    for (const way of WAYS) assert.ok((await read(server, connect(path), ask + way, 64 << 10, 80)) >= BLOCK_BYTES, way)
    assert.equal(parsed, 2, 'the last was answered before node:http')
  })

  it('and steady over TLS, too', async () => {
    const { handle, ask } = await openNode()
    const server = createTlsServer(await makeCertificate(await createIdentity()), (q, s) => void handle(q, s))
    const socket = connectTls({ path: await listen(server as never), rejectUnauthorized: false })
    assert.ok((await read(server as never, socket, ask, 64 << 10, 80)) >= BLOCK_BYTES)
  })

  it('and takes nothing, or a byte now and then, is cut off in every way', async () => {
    const { handle, ask } = await openNode()
    const server = createServer((q, s) => void handle(q, s))
    handle.accelerate(server)
    const path = await listen(server)
    for (const way of WAYS) {
      const received = await read(server, connect(path), ask + way, 1, 20)
      assert.ok(received > 0 && received < 10_000, `${way}${received}`)
    }
  })

  it('holds what it does not take for a time that goes with its size', async () => {
    const outflow = new Outflow({ maxBytes: 2 * BLOCK_BYTES, timeoutMs: TIMEOUT_MS, minBytesPerSecond: BLOCK_BYTES })
    const server = createServer((_, response) => {
      response.writeHead(200)
      outflow.end(response, Buffer.alloc(BLOCK_BYTES), BLOCK_BYTES)
    })
    const ask = 'GET / HTTP/1.1\r\nHost: x\r\n'
    // it moves all the time, at less than half of what it must
    const received = await read(server, connect(await listen(server)), ask, 64 << 10, 80)
    assert.ok(received > 100_000 && received < BLOCK_BYTES, `${received}`)
    assert.ok(outflow.hasRoom(2 * BLOCK_BYTES), 'nothing of it is held any more')
  })
})
