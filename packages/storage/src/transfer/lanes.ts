import * as net from 'node:net'
import * as tls from 'node:tls'
import { checkPin } from './pin.ts'

/** Takes an answer as it comes. */
export interface Sink {
  /** @returns false when the body is not wanted */
  head(status: number, headers: ReadonlyMap<string, string>): boolean
  /** A part of the body, good only during the call. @returns false when no more is wanted */
  part(bytes: Uint8Array): boolean
}

/** Who is asked. */
export interface LaneTarget {
  isTls: boolean
  host: string
  port: number
  pin: string | undefined
  /** Resolves its name; as the system does by default. */
  lookup?: net.LookupFunction
}

export interface LaneRequest {
  /** The head of a GET, ending in an empty line. */
  head: string
  /** The connection is given up when nothing comes for this long. */
  idleMs: number
  /** … and when not all has come after it. */
  deadlineMs: number
  signal: AbortSignal | undefined
}

/** Answers that do not say how long they are are left to Node's own client. */
export class Unframed extends Error {}
/** The connection ended before anything of an answer came: it may have been closed while it was idle. */
export class Stale extends Error {}
/** The deadline passed. */
export class Late extends Error {}

/** For whom a pin is checked instead of a chain of certificates: made once, a handshake takes a sixth less CPU. */
let pinned: tls.SecureContext | undefined
const pinnedContext = () => (pinned ??= tls.createSecureContext({ minVersion: 'TLSv1.3' }))

const READ_BYTES = 64 << 10
/** TLS hands over no more than a record at once (RFC 8446, 5.1). */
const TLS_READ_BYTES = 16 << 10
const MAX_HEAD_BYTES = 16 << 10
/** So many that a MiB comes over them in the first flights of new connections, beside another small question: see `fetch-split.ts`. */
const MAX_LANES = 91
const CONNECT_MS = 15_000
/** Shorter than the 5 s after which Node's servers close an idle connection. */
const KEEP_ALIVE_MS = 4_000
/** A body that is not wanted is read to its end when no more than this is left: cheaper than another connection. */
const DRAINED_BYTES = 64 << 10

/**
 * Connections to one machine, each with one GET at a time. Blocks are most of what nodes send each other, and Node's HTTP client takes three
 * times the CPU of the TLS below it for them: a stream, a parser and an event for every 16 KiB. Here a connection reads into one buffer, a head is
 * parsed once for a block, and the body goes to its sink from that buffer.
 */
export class Lanes {
  readonly #target: LaneTarget
  readonly #idle: Lane[] = []
  readonly #waiting: (() => void)[] = []
  readonly #all = new Set<Lane>()
  #opening = 0
  #asking = 0
  #isClosed = false

  constructor(target: LaneTarget) {
    this.#target = target
  }

  /**
   * Sends a GET; resolves when its answer has ended or the sink wants no more.
   * @throws Unframed, Stale, Late, PinGoError SOURCE_UNTRUSTED, what the socket says, or the signal's reason
   */
  async get(request: LaneRequest, sink: Sink): Promise<void> {
    request.signal?.throwIfAborted()
    this.#asking += 1
    try {
      await this.#get(request, sink)
    } finally {
      this.#asking -= 1
    }
  }

  async #get(request: LaneRequest, sink: Sink): Promise<void> {
    let lane = this.#takeIdle()
    while (!lane && this.#all.size + this.#opening >= MAX_LANES) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
      request.signal?.throwIfAborted()
      lane = this.#takeIdle()
    }
    try {
      lane ??= await this.#open(request.signal, request.idleMs)
      await lane.ask(request, sink)
      if (!lane.isFree) return
      if (this.#isClosed) lane.destroy()
      else this.#idle.push(lane)
    } finally {
      this.#waiting.shift()?.()
    }
  }

  close(): void {
    this.#isClosed = true
    for (const lane of this.#all) lane.destroy()
  }

  get isBusy(): boolean {
    return this.#asking > 0
  }

  /** Closes what is idle now, and the others when their answers have come. */
  retire(): void {
    this.#isClosed = true
    for (const lane of this.#idle) lane.destroy()
  }

  #takeIdle(): Lane | undefined {
    for (let lane = this.#idle.pop(); lane; lane = this.#idle.pop()) if (lane.isFree) return lane
    return undefined
  }

  async #open(signal: AbortSignal | undefined, connectMs = CONNECT_MS): Promise<Lane> {
    this.#opening += 1
    try {
      const lane = await Lane.open(this.#target, signal, connectMs)
      this.#all.add(lane)
      lane.onClose = () => this.#all.delete(lane)
      return lane
    } finally {
      this.#opening -= 1
    }
  }
}

interface Asked {
  sink: Sink
  isWanted: boolean
  /** Bytes of the body that are still to come; undefined before its head. */
  left: number | undefined
  end(error?: unknown): void
}

class Lane {
  onClose: () => void = () => undefined
  #socket!: net.Socket
  #asked: Asked | undefined
  #head: Buffer | undefined
  #isUsed = false
  #isLast = false

  static async open(target: LaneTarget, signal: AbortSignal | undefined, connectMs: number): Promise<Lane> {
    const lane = new Lane()
    const { host, port } = target
    const buffer = Buffer.allocUnsafeSlow(target.isTls ? TLS_READ_BYTES : READ_BYTES)
    const onread = {
      buffer,
      callback: (bytes: number) => {
        lane.#read(buffer.subarray(0, bytes))
        return true
      },
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // what TLS takes beyond what its types say: `onread` (nodejs.org/api/tls, tls.connect)
    const options = { host, port, onread, lookup: target.lookup }
    const trust =
      target.pin === undefined
        ? net.isIP(host)
          ? {}
          : { servername: host }
        : { rejectUnauthorized: false, secureContext: pinnedContext() }
    const socket = target.isTls
      ? tls.connect({ ...options, ...trust, ALPNProtocols: ['http/1.1'], minVersion: 'TLSv1.3' })
      : net.connect(options)
    lane.#socket = socket
    socket.setNoDelay(true)
    socket.setTimeout(connectMs, () => socket.destroy(new Error('it does not answer')))
    socket.once('error', reject).once('close', () => reject(new Error('aborted')))
    socket.once(target.isTls ? 'secureConnect' : 'connect', () => {
      try {
        if (target.pin !== undefined) checkPin(socket as tls.TLSSocket, target.pin, `${host}:${port}`)
        resolve()
      } catch (error) {
        reject(error)
      }
    })
    const stop = () => reject(signal!.reason)
    signal?.addEventListener('abort', stop, { once: true })
    try {
      await promise
    } catch (error) {
      socket.on('error', () => undefined).destroy()
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    socket.on('error', (error) => lane.#ended(error)).on('close', () => lane.#ended(new Error('aborted')))
    return lane
  }

  /** True when another request may be sent. */
  get isFree(): boolean {
    return !this.#asked && !this.#isLast && !this.#socket.destroyed && this.#socket.writable
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Waits for the next request, and keeps nothing running. */
  rest(): void {
    this.#socket.setTimeout(KEEP_ALIVE_MS)
    this.#socket.unref()
  }

  async ask(request: LaneRequest, sink: Sink): Promise<void> {
    const { signal } = request
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const end = (error?: unknown) => {
      this.#asked = undefined
      if (error === undefined) return resolve()
      this.#socket.destroy()
      reject(error)
    }
    const asked: Asked = { sink, isWanted: true, left: undefined, end }
    this.#asked = asked
    const stop = () => end(signal!.reason)
    const late = setTimeout(() => end(new Late('it is too slow')), request.deadlineMs)
    signal?.addEventListener('abort', stop, { once: true })
    this.#socket.ref()
    this.#socket.setTimeout(request.idleMs)
    this.#socket.write(request.head, 'latin1')
    try {
      await promise
      this.#isUsed = true
      this.rest()
    } finally {
      clearTimeout(late)
      signal?.removeEventListener('abort', stop)
    }
  }

  #ended(error: Error): void {
    this.onClose()
    const asked = this.#asked
    if (!asked) return
    const isStale = this.#isUsed && asked.left === undefined && !this.#head
    asked.end(isStale ? new Stale('stale', { cause: error }) : error)
  }

  #read(bytes: Buffer): void {
    const asked = this.#asked
    if (!asked) return void this.#socket.destroy() // nothing was asked for
    try {
      const body = asked.left === undefined ? this.#readHead(asked, bytes) : bytes
      if (body && asked.left !== undefined) this.#readBody(asked, body)
    } catch (error) {
      asked.end(error)
    }
  }

  /** @returns what came of the body, undefined while the head is not whole */
  #readHead(asked: Asked, bytes: Buffer): Buffer | undefined {
    const came = this.#head ? Buffer.concat([this.#head, bytes]) : bytes
    const end = came.indexOf('\r\n\r\n')
    if (end < 0 ? came.byteLength > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) throw new Error('its answer has no head')
    if (end < 0) {
      this.#head = Buffer.from(came)
      return undefined
    }
    this.#head = undefined
    const { status, headers } = parseHead(came.toString('latin1', 0, end))
    const body = came.subarray(end + 4)
    if (status < 200) return this.#readHead(asked, Buffer.from(body)) // an interim answer
    const isEmpty = status === 204 || status === 304
    const length = headers.get('content-length')
    if (!isEmpty && (length === undefined || !/^\d{1,15}$/.test(length) || headers.has('transfer-encoding')))
      throw new Unframed('its answer tells no length')
    asked.left = isEmpty ? 0 : Number(length)
    if (/\bclose\b/i.test(headers.get('connection') ?? '')) this.#isLast = true
    asked.isWanted = asked.sink.head(status, headers)
    return body
  }

  #readBody(asked: Asked, bytes: Buffer): void {
    const part = bytes.byteLength > asked.left! ? bytes.subarray(0, asked.left) : bytes
    if (asked.isWanted && part.byteLength > 0) asked.isWanted = asked.sink.part(part)
    asked.left! -= part.byteLength
    if (bytes.byteLength > part.byteLength) this.#isLast = true // more than was asked for: whose it is cannot be known
    if (asked.left === 0) {
      if (this.#isLast) this.#socket.destroySoon()
      asked.end()
    } else if (!asked.isWanted && asked.left! > DRAINED_BYTES) {
      this.#isLast = true
      this.#socket.destroy()
      asked.end()
    }
  }
}

function parseHead(text: string): { status: number; headers: Map<string, string> } {
  const [first, ...lines] = text.split('\r\n')
  const [, status] = /^HTTP\/1\.1 ([1-5]\d\d)(?: |$)/.exec(first!) ?? []
  if (status === undefined) throw new Unframed('its answer is not HTTP/1.1')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    if (colon <= 0 || headers.has(name)) {
      if (name === 'content-length' || colon <= 0) throw new Unframed('its head is malformed')
      continue
    }
    headers.set(name, line.slice(colon + 1).trim())
  }
  return { status: Number(status), headers }
}
