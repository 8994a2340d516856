import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isPinGoError, PinGoError } from '@pingo/wire'
import { z } from 'zod'
import type { LocalChain } from './chain.ts'
import { answer } from './toncenter.ts'

/** Bytes of a request, and how long one may take. */
const MAX_REQUEST_BYTES = 128 * 1024
const REQUEST_TIMEOUT_MS = 30_000
const MAX_CONNECTIONS = 256

const Request = z.object({
  id: z.union([z.string().max(64), z.number()]).optional(),
  method: z.string().max(64),
  params: z.unknown(),
})

/** A local chain that programs of this machine reach. */
export interface ChainServer {
  /** Address of the JSON-RPC: what TON's libraries take as endpoint. */
  url: string
  close(): Promise<void>
}

/**
 * Serves a chain on loopback by toncenter's JSON-RPC (version 2). It asks for no password: whoever is on this machine may send and
 * fund. Pages of other sites can't: a request must name this host, and come as JSON.
 */
export async function serveChain(chain: LocalChain, { port = 0 }: { port?: number } = {}): Promise<ChainServer> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      void respond(chain, request, response)
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, port)
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${bound}/api/v2/jsonRPC`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE') return reject(cause)
      reject(
        new PinGoError('CHAIN_PORT', `port ${port} is in use`, {
          hint: 'Another chain may run already; or give another --port.',
          cause,
        }),
      )
    })
    server.listen(port, '127.0.0.1', resolve)
  })
}

async function respond(chain: LocalChain, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let id: unknown
  try {
    guard(request)
    const parsed = Request.safeParse(JSON.parse((await read(request)).toString('utf8')))
    if (!parsed.success) throw new PinGoError('CHAIN_REQUEST', 'a request has a method and params')
    id = parsed.data.id
    write(response, 200, {
      ok: true,
      result: await answer(chain, parsed.data.method, parsed.data.params),
      id,
      jsonrpc: '2.0',
    })
  } catch (error) {
    const known = isPinGoError(error)
    const message = known
      ? error.message
      : error instanceof SyntaxError
        ? 'the request is no JSON'
        : 'the chain could not answer'
    // as toncenter has it: 422 for what was asked wrongly, 500 for what failed
    const status = error instanceof SyntaxError || (known && error.code === 'CHAIN_REQUEST') ? 422 : 500
    write(response, status, {
      ok: false,
      error: message,
      code: known ? error.code : 'CHAIN_FAILED',
      id,
      jsonrpc: '2.0',
    })
  }
}

/** Keeps pages of other sites out, also those that let their own name point to this machine (DNS rebinding). */
function guard(request: IncomingMessage): void {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '')
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(host))
    throw new PinGoError('CHAIN_REQUEST', 'this chain is for programs on this machine')
  if (request.method !== 'POST') throw new PinGoError('CHAIN_REQUEST', 'requests are made by POST')
  if (!request.headers['content-type']?.startsWith('application/json'))
    throw new PinGoError('CHAIN_REQUEST', 'requests are JSON')
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_REQUEST_BYTES)
      throw new PinGoError('CHAIN_REQUEST', `a request has ${MAX_REQUEST_BYTES} bytes at most`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function write(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
