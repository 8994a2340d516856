import { decode, encode, isPinGoError, PinGoError } from '@pingo/wire'
import type { z } from 'zod'
import { decodeError, encodeError, lost } from './errors.ts'
import { FrameKind, type FrameStream, isMessageFault } from './frames.ts'
import type { Channel } from './protocol.ts'

/** Sends that may wait at once on one channel. */
const MAX_QUEUED_SENDS = 256
/** How long a closing channel waits for its last messages to leave and for the peer to close too. */
const CLOSE_TIMEOUT_MS = 5_000

export interface ChannelInit<In extends z.ZodType> {
  frames: FrameStream
  inbound: In
  maxMessageBytes: number
  peer: string
  remoteAddress: string
  stallMs: number
  /** How long the next message must wait so that the peer keeps to its rate, ms. */
  delay?: () => number
}

/** A {@link Channel} over a stream of frames. */
export class StreamChannel<Out, In extends z.ZodType> implements Channel<Out, z.output<In>> {
  readonly peer: string
  readonly remoteAddress: string
  readonly messages: AsyncIterable<z.output<In>>
  readonly closed: Promise<Error | undefined>
  readonly #init: ChannelInit<In>
  readonly #over: (error: Error | undefined) => void
  #state: 'open' | 'closing' | 'over' = 'open'
  #failure: Error | undefined
  #waiting = 0
  #reading: Promise<unknown> = Promise.resolve()
  /** Ends the waits of this channel when it is over. */
  readonly #ended = new AbortController()

  constructor(init: ChannelInit<In>) {
    this.#init = init
    this.peer = init.peer
    this.remoteAddress = init.remoteAddress
    const { promise, resolve } = Promise.withResolvers<Error | undefined>()
    this.closed = promise
    this.#over = resolve
    const iterator: AsyncIterator<z.output<In>> = {
      next: () => this.#next(),
      return: async () => ({ done: true, value: undefined }),
    }
    this.messages = { [Symbol.asyncIterator]: () => iterator }
    const { frames } = init
    const { stream } = frames
    let told: Error | undefined
    frames.onError = (payload) => {
      told = decodeError(payload)
      frames.fail(told)
      stream.abort(told)
    }
    // a peer that closed gets what is queued here, then this side closes too
    stream.addEventListener('remoteCloseWrite', () => void this.#finish())
    stream.addEventListener('close', (event) => {
      const clean =
        !event.error && (this.#state === 'closing' || stream.remoteWriteStatus === 'closed') && this.#closedByAnyone
      this.#end(
        told ??
          this.#failure ??
          (clean ? undefined : lost(this.peer, event.error ?? new Error('the connection closed'))),
      )
    })
    stream.addEventListener('remoteCloseWrite', () => {
      this.#closedByAnyone = true
    })
    if (stream.remoteWriteStatus === 'closed') {
      this.#closedByAnyone = true
      void this.#finish()
    }
    if (stream.status !== 'open' && stream.status !== 'closing')
      this.#end(lost(this.peer, new Error('the connection closed')))
  }

  /** True when an end is by intent of either side, not by a lost connection. */
  #closedByAnyone = false

  /** Aborted when the channel is over. */
  get signal(): AbortSignal {
    return this.#ended.signal
  }

  async send(message: Out): Promise<void> {
    if (this.#state !== 'open') throw this.#closedError()
    if (this.#waiting >= MAX_QUEUED_SENDS)
      throw new PinGoError('CHANNEL_FULL', `${MAX_QUEUED_SENDS} messages to ${this.peer} wait already.`, {
        hint: 'Await each send, so that a slow peer slows the sender down.',
      })
    const payload = encode(message)
    if (payload.byteLength > this.#init.maxMessageBytes)
      throw new PinGoError(
        'MESSAGE_TOO_LARGE',
        `A message of ${payload.byteLength} bytes is over the limit of ${this.#init.maxMessageBytes}.`,
      )
    this.#waiting += 1
    const stalled = setTimeout(() => {
      this.abort(
        new PinGoError(
          'PEER_STALLED',
          `${this.peer} took no message for ${this.#init.stallMs} ms, the channel is given up.`,
        ),
      )
    }, this.#init.stallMs)
    try {
      await this.#init.frames.write(FrameKind.message, payload)
    } catch (error) {
      throw this.#failure ?? lost(this.peer, error)
    } finally {
      clearTimeout(stalled)
      this.#waiting -= 1
    }
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#init.frames.discard() // nobody waits for what the peer sends from here on
    await this.#finish()
  }

  async #finish(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'closing'
      this.#closedByAnyone = true
      const { stream } = this.#init.frames
      let deadline: NodeJS.Timeout | undefined
      try {
        await this.#init.frames.flushed() // each message that waits has its own deadline
        deadline = setTimeout(() => stream.abort(new Error('the peer did not close')), CLOSE_TIMEOUT_MS)
        await stream.close()
      } catch {
        // the connection went first: there is nothing left to close
      }
      await this.closed
      clearTimeout(deadline)
    }
    await this.closed
  }

  abort(error: Error): void {
    if (this.#state === 'over') return
    this.#failure ??= error
    const { frames } = this.#init
    frames.fail(error)
    try {
      if (frames.stream.writeStatus === 'writable' && frames.stream.writeBufferLength === 0)
        void frames.write(FrameKind.error, encodeError(error)).catch(() => undefined)
    } catch {
      // the peer learns it by the reset
    }
    // the error is handed to the transport in the next microtasks, the reset follows it
    setImmediate(() => {
      frames.stream.abort(error)
      this.#end(error)
    })
  }

  #end(error: Error | undefined): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#failure ??= error
    if (error) this.#init.frames.fail(error)
    this.#ended.abort(error)
    this.#over(error)
  }

  #next(): Promise<IteratorResult<z.output<In>>> {
    const next = this.#reading.then(() => this.#read())
    this.#reading = next.catch(() => undefined)
    return next
  }

  async #read(): Promise<IteratorResult<z.output<In>>> {
    const { frames, inbound, maxMessageBytes, delay } = this.#init
    try {
      const frame = await frames.read()
      if (!frame) return { done: true, value: undefined }
      if (frame.kind === FrameKind.error) throw decodeError(frame.payload)
      if (frame.kind !== FrameKind.message)
        throw new PinGoError('MESSAGE_MALFORMED', 'A channel was opened a second time.')
      await this.#pause(delay?.() ?? 0)
      return { done: false, value: decode(inbound, frame.payload, maxMessageBytes) }
    } catch (error) {
      if (this.#closedByAnyone && !isPinGoError(error)) return { done: true, value: undefined }
      const why = this.#failure ?? lost(this.peer, error)
      if (isMessageFault(why)) this.abort(why)
      throw why
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms <= 0 || this.#failure) return
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(done, ms)
      // what a peer sent before it closed still comes at its rate; a failed channel keeps nobody waiting
      void this.closed.then((error) => error && done())
    })
  }

  #closedError(): Error {
    return (
      this.#failure ??
      new PinGoError('CHANNEL_CLOSED', `The channel to ${this.peer} is closed.`, { hint: 'Open a new one.' })
    )
  }
}
