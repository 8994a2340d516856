import type { z } from 'zod'

/** How often one peer may use one protocol: `burst` at once, `perSecond` in the long run. */
export interface Rate {
  perSecond: number
  burst: number
}

/**
 * A question and its answer: one stream each, closed after the answer.
 * @example
 * const Echo = {
 *   name: '/pingo/echo/1.0.0',
 *   request: z.strictObject({ text: z.string().max(100) }),
 *   response: z.strictObject({ text: z.string().max(100) }),
 *   maxRequestBytes: 1024,
 *   maxResponseBytes: 1024,
 *   timeoutMs: 5_000,
 * } satisfies Protocol
 */
export interface Protocol<Req extends z.ZodType = z.ZodType, Res extends z.ZodType = z.ZodType> {
  /** `/pingo/<name>/<semantic version>`; both ends must know the very same name. */
  name: string
  request: Req
  response: Res
  /** Longest encoded request; a longer one is refused before it is read. */
  maxRequestBytes: number
  maxResponseBytes: number
  /** From the dial to the answer, on the asking side; from the first byte to the answer on the other. */
  timeoutMs: number
  /** Requests of one peer beyond it are refused with RATE_LIMITED. */
  rate?: Rate
}

/** A two-way stream of messages that stays open. */
export interface ChannelProtocol<ToServer extends z.ZodType = z.ZodType, ToClient extends z.ZodType = z.ZodType> {
  name: string
  /** What the side that opened the channel sends. */
  clientMessage: ToServer
  /** What the side that accepted it sends. */
  serverMessage: ToClient
  /** Longest encoded message, either way. */
  maxMessageBytes: number
  /** Messages of one peer to the accepting side beyond it wait: the sender is slowed down, nothing is dropped. */
  rate?: Rate
}

/** Who asks, and for how long the answer is wanted. */
export interface RequestContext {
  /** PeerId, proven by the connection's handshake. */
  peer: string
  /** Multiaddr from which the peer is connected. */
  remoteAddress: string
  /** Aborted when the peer goes away, the deadline passes, or the host stops. */
  signal: AbortSignal
}

/** One end of a two-way stream of validated messages. */
export interface Channel<Out, In> {
  readonly peer: string
  readonly remoteAddress: string
  /**
   * Resolves when the message is on its way; waits while the peer reads too slowly.
   * @throws PinGoError CHANNEL_FULL (too many sends not awaited), CHANNEL_CLOSED, PEER_STALLED, MESSAGE_TOO_LARGE
   */
  send(message: Out): Promise<void>
  /**
   * Messages in order; ends when either side closes, throws why when the channel fails. One consumer at a time; leaving
   * a loop keeps the channel open, a later loop goes on with the next message.
   */
  readonly messages: AsyncIterable<In>
  /** Sends what is queued, then ends both directions. */
  close(): Promise<void>
  /** Ends at once; the peer sees the error when it is a PinGoError, INTERNAL otherwise. */
  abort(error: Error): void
  /** Resolves when the channel is over: `undefined` after a close by either side, else why it failed. Never rejects. */
  readonly closed: Promise<Error | undefined>
}
