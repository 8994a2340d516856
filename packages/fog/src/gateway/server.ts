import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { originForm } from '@pingo/storage'
import { PinGoError } from '@pingo/wire'
import { asksForSocket, type SocketDoor } from './socket/door.ts'

/** Limits of the HTTP server: a slow or silent client is cut, whatever it sends. */
export const HEADERS_TIMEOUT_MS = 10_000
export const REQUEST_TIMEOUT_MS = 120_000
export const KEEP_ALIVE_MS = 30_000
export const MAX_CONNECTIONS = 2_000

export interface Certificate {
  key: string
  cert: string
  fingerprint: string
}

/**
 * The gateway's server: `data` gets each request first (raw node:http, the data plane) and says whether it took it; the rest goes to
 * `routes`. What the data plane sends names its own headers: each one set before costs it more than all of its own. HTTPS when a certificate is given.
 */
export function createGatewayServer(o: {
  data: (request: IncomingMessage, response: ServerResponse) => boolean
  certificate?: Certificate
  /** Where contributors come in by WebSocket. */
  door?: Pick<SocketDoor, 'upgrade'>
}): { server: Server; attach(routes: RequestListener): void } {
  let routes: RequestListener = (_, response) => response.writeHead(503).end()
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 2_000,
    shouldUpgradeCallback: (request: IncomingMessage) => o.door !== undefined && asksForSocket(request),
  }
  const listener: RequestListener = (request, response) => {
    request.url = originForm(request.url)
    if (o.data(request, response)) return
    response.setHeader('x-content-type-options', 'nosniff')
    routes(request, response)
  }
  const server = o.certificate
    ? (createHttpsServer(
        { ...options, key: o.certificate.key, cert: o.certificate.cert, minVersion: 'TLSv1.3' },
        listener,
      ) as unknown as Server)
    : createHttpServer(options, listener)
  server.maxConnections = MAX_CONNECTIONS
  server.on('upgrade', (request, socket, head) => void o.door?.upgrade(request, socket, head))
  return { server, attach: (next) => (routes = next) }
}

/** Listens and gives the port. @throws PinGoError PORT_IN_USE, LISTEN_FAILED */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE')
        reject(
          new PinGoError('PORT_IN_USE', `Port ${port} on ${host} is already in use.`, {
            hint: 'Choose another with --port, or --port 0 for any free one.',
          }),
        )
      else
        reject(
          new PinGoError('LISTEN_FAILED', `Cannot listen on ${host}:${port} (${error.code ?? error.message}).`, {
            hint: 'Choose another --host or --port.',
            cause: error,
          }),
        )
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}
