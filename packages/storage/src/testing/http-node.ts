import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { BlockStore, type BlockStoreOptions } from '../blocks/block-store.ts'
import { FileStore } from '../files/file-store.ts'
import { type BlockHandlerOptions, blockHandler } from '../gateway/block-handler.ts'

/** What a test file opened; ended after its last test, the last first. */
export const stops: (() => Promise<unknown> | unknown)[] = []
after(async () => {
  for (const stop of stops.toReversed()) await stop()
})

/** Checks that an error is a PinGoError of this code. */
export const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error), `not a PinGoError: ${error}`)
  assert.equal(error.code, expected, error.message)
  return true
}

/** A store in a folder of its own. */
export async function openStore(o: BlockStoreOptions = {}) {
  const path = await mkdtemp(join(tmpdir(), 'pingo-transfer-'))
  const store = await BlockStore.open(path, o)
  stops.push(async () => {
    await store.close()
    await rm(path, { recursive: true, force: true })
  })
  return { path, store, files: new FileStore(store) }
}
export type Handle = (request: IncomingMessage, response: ServerResponse) => unknown
/** Listens on any free port of the loopback. @returns host:port */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

export const serve = async (handle: Handle) => `http://${await listen(createServer((q, s) => void handle(q, s)))}`
/** A node that serves its store over HTTP and notes what it is asked and has not in memory. */
export async function node(o: Partial<BlockHandlerOptions> = {}) {
  const opened = await openStore()
  const asked: string[] = []
  const handle = blockHandler(opened.store, { authorize: (q) => q.headers.authorization === 'Bearer secret', ...o })
  const server = createServer((q, s) => {
    asked.push(`${q.method} ${q.url} ${q.headers.range ?? ''}`.trim())
    if (!handle(q, s)) s.writeHead(404).end('elsewhere')
  })
  handle.accelerate(server)
  const url = `http://${await listen(server)}`
  return { ...opened, url, asked, handle, server }
}
export const get = (url: string, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(url + path, { headers, method })
/** The answer to a request as it is, with no client that tidies it up; the server closes the connection. */
export async function rawRequest(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(text)
  return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString('latin1')
}
