import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { PinGoError } from '@pingo/wire'

const MAX_SWEEP_MS = 2_000
const NOTHING = new Uint8Array(0)
/** Whoever takes less holds memory for nothing. */
const MIN_BYTES_PER_SECOND = 1 << 10

/** An answer that its reader has not taken whole. */
interface Held {
  socket: Socket
  bytes: number
  /** What the socket's reader had taken when this was last found to move … */
  taken: number
  /** … which was then. */
  movedAt: number
}

/**
 * What is on its way out: bounded in bytes, and each answer in time: it is cut off when less than a KiB a second of it is taken for as
 * long as the timeout. A body that the socket takes at once, as small ones are, costs nothing: no timer, no listener.
 */
export class Outflow {
  readonly #maxBytes: number
  readonly #timeoutMs: number
  /** What moves at least within the timeout, bytes. */
  readonly #enough: number
  readonly #slow = new Map<ServerResponse | Socket, Held>()
  #bytes = 0
  #sweeper: NodeJS.Timeout | undefined

  constructor(o: { maxBytes: number; timeoutMs: number; minBytesPerSecond?: number }) {
    this.#maxBytes = o.maxBytes
    this.#timeoutMs = o.timeoutMs
    this.#enough = ((o.minBytesPerSecond ?? MIN_BYTES_PER_SECOND) * o.timeoutMs) / 1_000
  }

  /** @throws PinGoError OVERLOADED when so much more would be too much */
  check(bytes: number): void {
    if (!this.hasRoom(bytes))
      throw new PinGoError('OVERLOADED', 'Too much is on its way already.', { hint: 'Ask again in a second.' })
  }

  hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= this.#maxBytes
  }

  /** Ends an answer whose head was written; `bytes` are held in memory until the reader took them. */
  end(response: ServerResponse, body: Uint8Array, bytes: number): void {
    response.end(body)
    const { socket } = response
    // the answer to a pipelined request has no socket yet
    if (socket === null || socket.writableLength > 0) this.follow(response, bytes)
  }

  /** Counts `bytes` for an answer until it is closed, and closes it when too little moves for too long. */
  follow(response: ServerResponse, bytes: number): void {
    if (response.closed) return
    // while it waits for the answers before it, theirs is what moves
    this.#add(response, response.req.socket, bytes)
    response.once('close', () => this.#remove(response))
  }

  /** The same for what was written to a socket itself, until it took all of it: then `done` is called. */
  followSocket(socket: Socket, bytes: number, done: () => void): void {
    this.#add(socket, socket, bytes)
    let isHeld = true
    const end = (): void => {
      if (isHeld) this.#remove(socket)
      isHeld = false
    }
    socket.once('close', end)
    // comes after all that was written before; 'drain' tells only of what was much
    socket.write(NOTHING, (error) => {
      socket.off('close', end)
      end()
      if (!error) done()
    })
  }

  #add(held: ServerResponse | Socket, socket: Socket, bytes: number): void {
    this.#bytes += bytes
    this.#slow.set(held, { socket, bytes, taken: takenFrom(socket), movedAt: performance.now() })
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(MAX_SWEEP_MS, this.#timeoutMs / 4)).unref()
  }

  #remove(held: ServerResponse | Socket): void {
    this.#bytes -= this.#slow.get(held)?.bytes ?? 0
    this.#slow.delete(held)
    if (this.#slow.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  #sweep(): void {
    const now = performance.now()
    for (const [held, entry] of this.#slow) {
      const taken = takenFrom(entry.socket)
      if (taken - entry.taken >= this.#enough) Object.assign(entry, { taken, movedAt: now })
      else if (entry.movedAt < now - this.#timeoutMs) held.destroy()
    }
  }
}

interface Handle {
  bytesWritten?: number
  writeQueueSize?: number
  _parent?: Handle | null
}

/**
 * Bytes that the system took from a socket. A socket itself counts a write when it has taken all of it, which for a block may be a
 * minute; its handle knows how much is left, and is what the socket's own timeout looks at (Node.js, lib/net.js). Of TLS it is the
 * handle below.
 */
function takenFrom(socket: Socket): number {
  const { _handle: own } = socket as { _handle?: Handle | null }
  const { bytesWritten, writeQueueSize } = own?._parent ?? own ?? {}
  if (bytesWritten === undefined || writeQueueSize === undefined)
    return (socket.bytesWritten ?? 0) - socket.writableLength
  return bytesWritten - writeQueueSize
}

/**
 * Writes parts as fast as the reader takes them, with one part more read ahead, and ends the answer.
 * @throws what reading a part throws; the answer is left as it is then
 */
export async function writeParts(response: ServerResponse, parts: AsyncIterator<Uint8Array>): Promise<void> {
  let next = parts.next()
  try {
    for (;;) {
      const { done, value } = await next
      if (done || response.destroyed) break
      next = parts.next()
      next.catch(() => undefined)
      if (!response.write(value)) await drained(response)
    }
  } finally {
    await parts.return?.()
  }
  response.end()
}

/** Resolves when the answer takes more, or will never. */
function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
