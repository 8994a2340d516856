import type { Channel } from '@pingo/network'
import {
  type ContributorMessage,
  ContributorMessageSchema,
  decode,
  encode,
  type FogMessage,
  isPinGoError,
  MAX_SOCKET_FRAME_BYTES,
  PinGoError,
} from '@pingo/wire'
import type { WebSocket } from 'ws'
import type { Inbox } from './inbox.ts'

/** Close code of an end by a fault of the other side; the reason is the fault's code. The range is free for applications (RFC 6455). */
export const FAULT = 4_400
const GOING_AWAY = 1_001
/** Bytes that wait for the peer. */
const MAX_WAITING_BYTES = 4 << 20
/** Longest reason that fits a close frame, bytes. */
const MAX_REASON_BYTES = 123
const CLOSE_TIMEOUT_MS = 2_000

export interface SocketChannelOptions {
  socket: WebSocket
  inbox: Inbox
  /** Proven. */
  peer: string
  remoteAddress: string
  /** A peer that takes nothing for so long is given up. */
  stallMs: number
  /** How long the next message must wait so that the peer keeps to its rate, ms. */
  delay: () => number
}

/** A contributors' {@link Channel} over a WebSocket whose peer has proven its identity. */
export class SocketChannel implements Channel<FogMessage, ContributorMessage> {
  readonly peer: string
  readonly remoteAddress: string
  readonly messages: AsyncIterable<ContributorMessage>
  readonly closed: Promise<Error | undefined>
  readonly #o: SocketChannelOptions
  readonly #over: (error: Error | undefined) => void
  #isOver = false
  #failure: Error | undefined

  constructor(o: SocketChannelOptions) {
    this.#o = o
    this.peer = o.peer
    this.remoteAddress = o.remoteAddress
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    this.closed = promise
    this.#over = resolve
    const iterator: AsyncIterator<ContributorMessage> = {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    }
    this.messages = { [Symbol.asyncIterator]: () => iterator }
    const { socket } = o
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(undefined))
    if (socket.readyState !== socket.OPEN) this.#end(undefined)
  }

  async send(message: FogMessage): Promise<void> {
    const { socket, stallMs } = this.#o
    if (this.#isOver || socket.readyState !== socket.OPEN)
      throw this.#failure ?? new PinGoError('CHANNEL_CLOSED', `The channel to ${this.peer} is closed.`)
    if (socket.bufferedAmount > MAX_WAITING_BYTES)
      throw new PinGoError('CHANNEL_FULL', `${socket.bufferedAmount} bytes to ${this.peer} wait already.`)
    const bytes = encode(message)
    if (bytes.byteLength > MAX_SOCKET_FRAME_BYTES)
      throw new PinGoError(
        'MESSAGE_TOO_LARGE',
        `A message of ${bytes.byteLength} bytes is over the limit of ${MAX_SOCKET_FRAME_BYTES}.`,
      )
    const stalled = setTimeout(
      () => this.abort(new PinGoError('PEER_STALLED', `${this.peer} took no message for ${stallMs} ms.`)),
      stallMs,
    )
    try {
      await new Promise<void>((resolve, reject) =>
        socket.send(bytes, (error) => (error ? reject(this.#failure ?? error) : resolve())),
      )
    } finally {
      clearTimeout(stalled)
    }
  }

  async close(): Promise<void> {
    this.#shut(GOING_AWAY, '')
    await this.closed
  }

  abort(error: Error): void {
    if (this.#isOver) return
    this.#shut(FAULT, isPinGoError(error) ? error.code : error.message)
    this.#end(error)
  }

  /** Says goodbye; a peer that does not answer is cut. */
  #shut(code: number, reason: string): void {
    const { socket } = this.#o
    if (socket.readyState === socket.CLOSED) {
      this.#end(undefined)
      return
    }
    socket.resume() // the close frame of the other side must be read
    socket.close(code, reasonOf(reason))
    setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref()
  }

  #end(error: Error | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failure = error
    if (error) this.#o.inbox.fail(error)
    this.#over(error)
  }

  async #next(): Promise<IteratorResult<ContributorMessage>> {
    const bytes = await this.#o.inbox.next()
    if (!bytes) return { done: true, value: undefined }
    await this.#pause(this.#o.delay())
    try {
      return { done: false, value: decode(ContributorMessageSchema, bytes, MAX_SOCKET_FRAME_BYTES) }
    } catch (error) {
      this.abort(error as Error)
      throw error
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#isOver) return
    const timer = Promise.withResolvers<void>()
    const handle = setTimeout(timer.resolve, ms)
    await Promise.race([timer.promise, this.closed])
    clearTimeout(handle)
  }
}

/** A close frame's reason: cut to what fits. */
export function reasonOf(text: string): Buffer {
  return Buffer.from(text).subarray(0, MAX_REASON_BYTES)
}
