import type { Stream } from '@libp2p/interface'
import { isPinGoError, PinGoError } from '@pingo/wire'

/** What a frame holds. `open` is the first of a channel, empty: the opener is done with naming the protocol. */
export const FrameKind = { message: 0, error: 1, open: 2 } as const
export interface Frame {
  kind: number
  payload: Uint8Array
}

/** Bytes that wait for a reader before the sender is told to stop. */
const HIGH_WATER_BYTES = 256 << 10
/** Frames that wait for a reader before the sender is told to stop. */
const HIGH_WATER_FRAMES = 256
/** A length is an unsigned varint (multiformats) of at most this many bytes. */
const MAX_LENGTH_BYTES = 4

/**
 * Frames over a libp2p stream: unsigned varint length, one byte of kind, payload. A length over the limit is refused before
 * anything is kept; a frame that never comes whole costs only the bytes that came.
 */
export class FrameStream {
  readonly stream: Stream
  readonly #maxFrameBytes: number
  #buffer = new Uint8Array(0)
  #start = 0
  #end = 0
  readonly #frames: Frame[] = []
  #queuedBytes = 0
  #fin = false
  #ended = false
  #failure: Error | undefined
  #wake: (() => void) | undefined
  #resuming = false
  #isDiscarding = false
  #writing: Promise<unknown> = Promise.resolve()
  /** Called once for a frame of kind `error`, as soon as it arrives. */
  onError: ((payload: Uint8Array) => void) | undefined

  /** @param maxPayloadBytes longest payload that is read */
  constructor(stream: Stream, maxPayloadBytes: number) {
    this.stream = stream
    this.#maxFrameBytes = maxPayloadBytes + 1
    stream.addEventListener('remoteCloseWrite', () => {
      this.#fin = true
    })
    stream.addEventListener('end', () => {
      if (this.#fin) this.#finish()
    })
    stream.addEventListener('close', (event) => {
      if (this.#fin && !event.error) {
        if (stream.readBufferLength === 0) this.#finish()
      } else this.fail(event.error ?? new Error('the connection closed'))
    })
    stream.addEventListener('message', (event) => {
      const { data } = event
      if (data instanceof Uint8Array) this.#append(data)
      else for (const part of data) this.#append(part)
      this.#parse()
    })
    if (stream.status === 'aborted' || stream.status === 'reset') this.fail(new Error('the stream was reset'))
    // the peer may have said all before anybody listened
    if (stream.remoteWriteStatus === 'closed') this.#fin = true
    if (stream.readableEnded) this.#finish()
  }

  /** The next frame, or undefined after the peer's last one. @throws the reason when the stream failed */
  async read(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame) {
        this.#queuedBytes -= frame.payload.byteLength
        this.#parse()
        return frame
      }
      if (this.#failure) throw this.#failure
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Ends reading with `error`, after the frames that are here already. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#wake?.()
  }

  /** Drops what the peer sends from now on; what is here already is still read. */
  discard(): void {
    this.#isDiscarding = true
    this.#start = this.#end
    this.#regulate()
  }

  /** Writes one frame after those before it; resolves when the transport took it. */
  write(kind: number, payload: Uint8Array): Promise<void> {
    const written = this.#writing.then(() => this.#write(kind, payload))
    this.#writing = written.catch(() => undefined)
    return written
  }

  async #write(kind: number, payload: Uint8Array): Promise<void> {
    const { stream } = this
    stream.send(encodeFrame(kind, payload))
    if (stream.writeBufferLength === 0) return
    await new Promise<void>((resolve, reject) => {
      const idle = () => settle(resolve)
      const close = (event: { error?: Error }) => settle(() => reject(event.error ?? new Error('the stream closed')))
      const settle = (then: () => void) => {
        stream.removeEventListener('idle', idle)
        stream.removeEventListener('close', close)
        then()
      }
      stream.addEventListener('idle', idle)
      stream.addEventListener('close', close)
    })
  }

  /** Resolves when all that was written is with the transport. */
  async flushed(): Promise<void> {
    await this.#writing
  }

  #finish(): void {
    if (this.#end > this.#start && this.#frames.length === 0 && !this.#failure)
      this.fail(new PinGoError('MESSAGE_MALFORMED', 'A message was cut off.'))
    this.#ended = true
    this.#wake?.()
  }

  #append(part: Uint8Array): void {
    if (this.#failure || this.#isDiscarding) return // whatever follows a fault is not kept
    const held = this.#end - this.#start
    if (this.#end + part.byteLength > this.#buffer.byteLength) {
      const size = held + part.byteLength
      const target = size <= this.#buffer.byteLength / 2 ? this.#buffer : new Uint8Array(size * 2)
      target.set(this.#buffer.subarray(this.#start, this.#end))
      this.#buffer = target
      this.#start = 0
      this.#end = held
    }
    this.#buffer.set(part, this.#end)
    this.#end += part.byteLength
  }

  /** Cuts whole frames off the buffer while there is room for them, and tells the peer to stop or go on. */
  #parse(): void {
    try {
      while (this.#hasRoom()) {
        const frame = this.#cut()
        if (!frame) break
        if (frame.kind === FrameKind.error) this.onError?.(frame.payload)
        this.#frames.push(frame)
        this.#queuedBytes += frame.payload.byteLength
        this.#wake?.()
      }
    } catch (error) {
      this.#start = this.#end
      this.fail(error as Error)
    }
    if (this.#ended && this.#end > this.#start && this.#frames.length === 0) this.#finish()
    this.#regulate()
  }

  #hasRoom(): boolean {
    if (this.#isDiscarding) return true
    return this.#frames.length < HIGH_WATER_FRAMES && this.#queuedBytes < HIGH_WATER_BYTES && !this.#failure
  }

  #regulate(): void {
    // inside resume() the stream hands over what it kept: pausing it there would be undone when resume() returns
    if (this.#resuming) return
    const { stream } = this
    if (stream.readStatus === 'readable' && !this.#hasRoom()) stream.pause()
    while (stream.readStatus === 'paused' && this.#hasRoom()) {
      this.#resuming = true
      try {
        stream.resume() // hands over what it kept, then tells the peer, which fails when the peer is gone
      } catch {
        // what came before is still read
      }
      this.#resuming = false
      if (!this.#hasRoom() && (stream.readStatus as string) === 'readable') stream.pause()
    }
  }

  #cut(): Frame | undefined {
    let length = 0
    let at = this.#start
    for (let shift = 0; ; shift += 7) {
      if (shift === 7 * MAX_LENGTH_BYTES)
        throw new PinGoError('MESSAGE_TOO_LARGE', `A message is over the limit of ${this.#maxFrameBytes - 1} bytes.`)
      if (at === this.#end) return undefined
      const byte = this.#buffer[at++]!
      length += (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    if (length > this.#maxFrameBytes)
      throw new PinGoError(
        'MESSAGE_TOO_LARGE',
        `A message of ${length - 1} bytes is over the limit of ${this.#maxFrameBytes - 1}.`,
      )
    if (length === 0) throw new PinGoError('MESSAGE_MALFORMED', 'A message is empty.')
    if (this.#end - at < length) return undefined
    const kind = this.#buffer[at]!
    if (kind > FrameKind.open) throw new PinGoError('MESSAGE_MALFORMED', 'A message is of unknown kind.')
    const payload = this.#buffer.slice(at + 1, at + length)
    this.#start = at + length
    if (this.#start === this.#end) this.#release()
    return { kind, payload }
  }

  /** A large buffer is not kept for a stream that is quiet again. */
  #release(): void {
    this.#start = this.#end = 0
    if (this.#buffer.byteLength > HIGH_WATER_BYTES) this.#buffer = new Uint8Array(0)
  }
}

/** One frame as it stands on the stream. */
export function encodeFrame(kind: number, payload: Uint8Array): Uint8Array {
  const length: number[] = []
  let rest = payload.byteLength + 1
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) length.push((rest & 0x7f) | 0x80)
  length.push(rest, kind)
  const frame = new Uint8Array(length.length + payload.byteLength)
  frame.set(length)
  frame.set(payload, length.length)
  return frame
}

/** True for what a reader of frames blames on the peer's bytes. */
export const isMessageFault = (error: unknown): boolean => isPinGoError(error) && error.code.startsWith('MESSAGE_')
