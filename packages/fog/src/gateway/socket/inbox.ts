import { PinGoError } from '@pingo/wire'
import type { WebSocket } from 'ws'

/** Frames that wait for their reader before the peer is told to stop. Some more come still: those that were on their way. */
const HIGH_WATER = 32

/** The frames of a socket, in order, from its first moment on. */
export class Inbox {
  readonly #socket: WebSocket
  readonly #frames: Uint8Array[] = []
  #failure: Error | undefined
  #isOver = false
  #wake: (() => void) | undefined

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data, isBinary) => {
      if (this.#isOver) return
      if (!isBinary) return this.fail(new PinGoError('MESSAGE_MALFORMED', 'A message is not binary.'))
      this.#frames.push(data as Buffer)
      if (this.#frames.length >= HIGH_WATER) socket.pause()
      this.#wake?.()
    })
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => {
      this.#isOver = true
      this.#wake?.()
    })
  }

  /** Ends the reading at once: what still waits is dropped. */
  fail(error: Error): void {
    this.#failure ??= error
    this.#isOver = true
    this.#frames.length = 0
    this.#wake?.()
  }

  /** The next frame, or undefined behind the last one. One reader at a time. @throws why the socket failed */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#failure) throw this.#failure
      const frame = this.#frames.shift()
      if (frame) {
        if (this.#frames.length < HIGH_WATER && this.#socket.isPaused) this.#socket.resume()
        return frame
      }
      if (this.#isOver) return undefined
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
