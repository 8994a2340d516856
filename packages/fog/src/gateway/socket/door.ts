import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Rate, RateLimiter } from '@pingo/network'
import {
  CONTRIBUTE_PATH,
  contributorChannel,
  encode,
  isPinGoError,
  MAX_SOCKET_FRAME_BYTES,
  MAX_SOCKET_PROOF_BYTES,
  PinGoError,
  SOCKET_NONCE_BYTES,
  SOCKET_PROOF_TIMEOUT_MS,
  SOCKET_PROOF_TYPE,
  type SocketChallenge,
  SocketProofSchema,
  unseal,
} from '@pingo/wire'
import type { WebSocket, WebSocketServer } from 'ws'
import { FAULT, reasonOf, SocketChannel } from './channel.ts'
import { Inbox } from './inbox.ts'

export interface SocketLimits {
  /** Sockets in all, and of one address: a school or a family sits behind one. */
  maxSockets: number
  maxSocketsPerAddress: number
  /** Sockets that have not proven yet whose they are. */
  maxPending: number
  /** New sockets of one address. */
  opening: Rate
  /** Messages of one contributor: beyond it they wait. */
  messages: Rate
  proofTimeoutMs: number
  /** Each socket is pinged so often, and dropped when the answer has not come by the next one: a dead peer is noticed after two. */
  pingMs: number
  stallMs: number
}

export const SOCKET_LIMITS: Readonly<SocketLimits> = {
  maxSockets: 1_000,
  maxSocketsPerAddress: 64,
  maxPending: 128,
  opening: { perSecond: 5, burst: 40 },
  messages: contributorChannel.rate,
  proofTimeoutMs: SOCKET_PROOF_TIMEOUT_MS,
  pingMs: 10_000,
  stallMs: 30_000,
}

/** Whether a request asks for the contributors' socket; any other upgrade is not for this server, and its request is served as if it asked for none. */
export const asksForSocket = (request: IncomingMessage): boolean =>
  request.headers.upgrade?.toLowerCase() === 'websocket' && request.url?.split('?')[0] === CONTRIBUTE_PATH

/**
 * The door for contributors that come by WebSocket, browsers above all: proves who they are, keeps to its limits, and hands on a channel
 * like any other. No cookie is read and none is set; a browser gets in from pages of this gateway alone.
 */
export class SocketDoor {
  readonly #fog: string
  readonly #serve: (channel: SocketChannel) => void
  readonly #limits: SocketLimits
  readonly #rates = new RateLimiter()
  /** Sockets by address; those between the request and the proof. */
  readonly #byAddress = new Map<string, number>()
  readonly #sockets = new Set<WebSocket>()
  #pending = 0
  #isClosed = false
  #server: Promise<WebSocketServer> | undefined

  /** @param fog the fog node's peer id: a proof for another one is refused */
  constructor(fog: string, serve: (channel: SocketChannel) => void, limits: Partial<SocketLimits> = {}) {
    this.#fog = fog
    this.#serve = serve
    this.#limits = { ...SOCKET_LIMITS, ...limits }
  }

  /** Takes a request that {@link asksForSocket}. Never throws. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => undefined)
    const address = request.socket.remoteAddress ?? ''
    const refusal = this.#refusal(request, address)
    if (refusal !== undefined) return refuse(socket, refusal)
    this.#count(address, 1)
    this.#pending += 1
    let isPending = true
    const proven = () => {
      if (isPending) this.#pending -= 1
      isPending = false
    }
    socket.once('close', () => {
      proven()
      this.#count(address, -1)
    })
    const server = await this.#load()
    if (this.#isClosed || socket.destroyed) {
      socket.destroy()
      return
    }
    server.handleUpgrade(request, socket, head, (opened) => {
      this.#sockets.add(opened)
      opened.once('close', () => this.#sockets.delete(opened))
      void this.#welcome(opened, address, proven)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const socket of this.#sockets) socket.terminate()
    this.#sockets.clear()
  }

  /** The library is loaded when the first browser comes: most fog nodes never need it. */
  #load(): Promise<WebSocketServer> {
    this.#server ??= import('ws').then(
      ({ WebSocketServer }) =>
        new WebSocketServer({
          noServer: true,
          clientTracking: false,
          perMessageDeflate: false,
          maxPayload: MAX_SOCKET_FRAME_BYTES,
        }),
    )
    return this.#server
  }

  #refusal(request: IncomingMessage, address: string): number | undefined {
    const { maxSockets, maxSocketsPerAddress, maxPending, opening } = this.#limits
    if (!isOwnPage(request)) return 403
    if (this.#isClosed || this.#pending >= maxPending) return 503
    const all = this.#byAddress.values().reduce((sum, count) => sum + count, 0)
    if (all >= maxSockets) return 503
    if ((this.#byAddress.get(address) ?? 0) >= maxSocketsPerAddress) return 429
    return this.#rates.take(`open ${address}`, opening) ? undefined : 429
  }

  #count(address: string, by: 1 | -1): void {
    const count = (this.#byAddress.get(address) ?? 0) + by
    if (count > 0) this.#byAddress.set(address, count)
    else this.#byAddress.delete(address)
  }

  async #welcome(socket: WebSocket, address: string, proven: () => void): Promise<void> {
    const endPings = keepAlive(socket, this.#limits.pingMs)
    socket.once('close', endPings)
    try {
      const nonce = new Uint8Array(randomBytes(SOCKET_NONCE_BYTES))
      const inbox = new Inbox(socket)
      socket.send(encode({ type: 'challenge', fog: this.#fog, nonce } satisfies SocketChallenge))
      const peer = await this.#proof(await firstFrame(inbox, this.#limits.proofTimeoutMs), nonce)
      proven()
      const { stallMs, messages } = this.#limits
      const delay = () => this.#rates.reserve(`messages ${peer}`, messages)
      this.#serve(new SocketChannel({ socket, inbox, peer, remoteAddress: multiaddrOf(address), stallMs, delay }))
    } catch (error) {
      socket.close(FAULT, reasonOf(isPinGoError(error) ? error.code : 'INTERNAL'))
      setTimeout(() => socket.terminate(), 1_000).unref()
    }
  }

  /** @returns the peer id that the proof is of @throws PinGoError SIGNATURE_INVALID, PROOF_INVALID, MESSAGE_… */
  async #proof(bytes: Uint8Array, nonce: Uint8Array): Promise<string> {
    const { from, value } = await unseal(SocketProofSchema, SOCKET_PROOF_TYPE, bytes, MAX_SOCKET_PROOF_BYTES)
    if (value.fog !== this.#fog) throw new PinGoError('PROOF_INVALID', 'The proof is for another fog node.')
    if (Buffer.compare(value.nonce, nonce) !== 0)
      throw new PinGoError('PROOF_INVALID', 'The proof is of another connection.')
    return from
  }
}

/** Pages name where they come from; programs do not. A page of another site must not lend its visitors' machines. */
function isOwnPage({ headers }: IncomingMessage): boolean {
  if (headers.origin === undefined) return true
  try {
    return new URL(headers.origin).host === headers.host
  } catch {
    return false
  }
}

async function firstFrame(inbox: Inbox, timeoutMs: number): Promise<Uint8Array> {
  const late = new PinGoError('PROOF_TIMEOUT', `No proof came within ${timeoutMs} ms.`)
  const timer = setTimeout(() => inbox.fail(late), timeoutMs)
  try {
    const frame = await inbox.next()
    if (!frame) throw new PinGoError('CONNECTION_LOST', 'The socket closed.')
    return frame
  } finally {
    clearTimeout(timer)
  }
}

/** As channels over libp2p tell it; an IPv4 address that came in by IPv6 is one of IPv4. */
function multiaddrOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
  return `/${isIP(plain) === 6 ? 'ip6' : 'ip4'}/${plain}/tcp/0/ws`
}

function keepAlive(socket: WebSocket, everyMs: number): () => void {
  let isAlive = true
  socket.on('pong', () => (isAlive = true))
  const timer = setInterval(() => {
    if (!isAlive) return socket.terminate()
    isAlive = false
    if (socket.readyState === socket.OPEN) socket.ping()
  }, everyMs)
  return () => clearInterval(timer)
}

const REASONS: Record<number, string> = { 403: 'Forbidden', 429: 'Too Many Requests', 503: 'Service Unavailable' }

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} ${REASONS[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
  setTimeout(() => socket.destroy(), 1_000).unref()
}
