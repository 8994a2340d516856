import * as http from 'node:http'
import * as https from 'node:https'
import type { LookupFunction } from 'node:net'
import * as tls from 'node:tls'
import { isPinGoError, PinGoError } from '@pingo/wire'
import { EarlyLeaves } from './early-leaves.ts'
import { Lanes, Late, type Sink, Stale, Unframed } from './lanes.ts'
import { NarrowLinks } from './narrow-links.ts'
import { checkPin } from './pin.ts'

/** A holder of blocks that is asked over HTTP. */
export interface Source {
  /** `https://host:port` or, inside a machine, `http://127.0.0.1:port`; a path is kept as prefix. */
  url: string
  /** SHA-256 of the DER of the certificate that it must show, hex; told by the source over an authenticated channel. */
  pin?: string
  /** Sent as bearer token. */
  token?: string
}

export interface HttpRequest {
  method?: string
  headers?: Record<string, string>
  body?: Uint8Array | string
  /** The answer's body is refused beyond it. 16 MiB by default. */
  maxBytes?: number
  signal?: AbortSignal
  /** Given up when nothing moves for this long. 15 s by default. */
  idleMs?: number
  /** Has the body sent in pieces, each when `wait` resolves: a sender's limit. */
  pace?: Pace
}

export interface Pace {
  /** Bytes of the next piece at most. */
  pieceBytes(): number
  /** Resolves when a piece of so many bytes may go; rejected, it ends the request. */
  wait(bytes: number, signal: AbortSignal): Promise<void>
}

export interface HttpAnswer {
  status: number
  headers: http.IncomingHttpHeaders
  body: Uint8Array
}

const DEFAULT_MAX_BYTES = 16 << 20
const DEFAULT_IDLE_MS = 15_000
/** Connections to one source at once. */
const MAX_SOCKETS = 16
const MAX_IDLE_SOCKETS = 8
/** Sources whose connections are kept open. */
const MAX_SOURCES = 64
/** Shorter than the 5 s after which Node's servers close an idle connection. */
const KEEP_ALIVE_MS = 4_000
/** Idle connections that may turn out to be closed before a new one is made. */
const MAX_LANE_ATTEMPTS = MAX_SOCKETS

/**
 * Open connections to sources, reused. Node's own client: a contributor that pulls a few chunks at a time has no use for a
 * faster one that takes 20 MB of memory.
 */
export class HttpPool {
  readonly early = new EarlyLeaves()
  readonly narrow = new NarrowLinks()
  readonly #agents = new Map<string, http.Agent>()
  readonly #lanes = new Map<string, Lanes>()
  readonly #lookup: LookupFunction | undefined

  /** @param o.lookup resolves names; as the system does by default, see {@link publicLookup} */
  constructor(o: { lookup?: LookupFunction } = {}) {
    this.#lookup = o.lookup
  }

  /** Sends a request; resolves with the head of the answer, whose body must be read or destroyed. @throws PinGoError SOURCE_* */
  async open(source: Source, path: string, o: HttpRequest = {}): Promise<http.IncomingMessage> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#send(source, path, o)
      } catch (error) {
        // the other side closed an idle connection just when it was taken up again
        if (attempt > 0 || !(error instanceof StaleConnection))
          throw error instanceof StaleConnection ? error.cause : error
      }
    }
  }

  /**
   * A GET whose answer goes to `sink` as it comes, at a third of the CPU of {@link HttpPool.open}.
   * @throws PinGoError SOURCE_*, TRANSFER_TIMEOUT (not all came within `deadlineMs`), what the sink throws, or the signal's reason
   */
  async stream(
    source: Source,
    path: string,
    o: { headers?: Record<string, string>; signal?: AbortSignal; deadlineMs: number; idleMs?: number },
    sink: Sink,
  ): Promise<void> {
    const base = parseUrl(source)
    const fullPath = base.pathname.replace(/\/$/, '') + path
    const headers = Object.entries({
      host: base.host,
      ...(source.token === undefined ? {} : { authorization: `Bearer ${source.token}` }),
      ...o.headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    const head = `GET ${fullPath} HTTP/1.1\r\n${headers.join('')}\r\n`
    if (/[^\x20-\x7e\r\n]/.test(head) || head.split('\r\n').length !== headers.length + 3)
      throw new PinGoError('SOURCE_INVALID', 'The request holds characters that no HTTP head may.')
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#lanesTo(base, source.pin).get(
          { head, idleMs: o.idleMs ?? DEFAULT_IDLE_MS, deadlineMs: o.deadlineMs, signal: o.signal },
          sink,
        )
      } catch (error) {
        if (o.signal?.aborted) throw o.signal.reason
        if (error instanceof Unframed) return await this.#streamUnframed(source, path, o, sink)
        if (error instanceof Late) throw new PinGoError('TRANSFER_TIMEOUT', `${source.url} is too slow.`)
        if (error instanceof Stale) {
          if (attempt < MAX_LANE_ATTEMPTS) continue
          throw unreachable(source, error.cause)
        }
        throw isPinGoError(error) ? error : unreachable(source, error)
      }
    }
  }

  /** Whether something is on its way from a source by {@link HttpPool.stream}. */
  isBusy(source: Source): boolean {
    const { origin } = parseUrl(source)
    return this.#lanes.get(`${origin} ${source.pin ?? ''}`)?.isBusy ?? false
  }

  close(): void {
    this.early.clear()
    for (const agent of this.#agents.values()) agent.destroy()
    this.#agents.clear()
    for (const lanes of this.#lanes.values()) lanes.close()
    this.#lanes.clear()
  }

  /** What tells no length (a proxy may send it in pieces) comes by Node's own client. */
  async #streamUnframed(
    source: Source,
    path: string,
    o: { headers?: Record<string, string>; signal?: AbortSignal; deadlineMs: number; idleMs?: number },
    sink: Sink,
  ): Promise<void> {
    const late = AbortSignal.timeout(o.deadlineMs)
    try {
      const signal = o.signal ? AbortSignal.any([o.signal, late]) : late
      const answer = await this.open(source, path, { headers: o.headers, signal, idleMs: o.idleMs })
      const headers = new Map(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
      let isWanted = sink.head(answer.statusCode ?? 0, headers)
      if (isWanted)
        for await (const part of answer as AsyncIterable<Uint8Array>) {
          isWanted = sink.part(part)
          if (!isWanted) break
        }
      if (!isWanted) answer.on('error', () => undefined).destroy()
    } catch (error) {
      if (o.signal?.aborted) throw o.signal.reason
      if (late.aborted) throw new PinGoError('TRANSFER_TIMEOUT', `${source.url} is too slow.`)
      throw isPinGoError(error) ? error : unreachable(source, error)
    }
  }

  #lanesTo(base: URL, pin: string | undefined): Lanes {
    const key = `${base.origin} ${pin ?? ''}`
    const known = this.#lanes.get(key)
    if (known) return known
    const lanes = new Lanes({
      isTls: base.protocol === 'https:',
      host: base.hostname.replace(/^\[|\]$/g, ''),
      port: Number(base.port || (base.protocol === 'https:' ? 443 : 80)),
      pin,
      lookup: this.#lookup,
    })
    this.#lanes.set(key, lanes)
    if (this.#lanes.size > MAX_SOURCES) {
      const [oldest, oldLanes] = this.#lanes.entries().next().value!
      this.#lanes.delete(oldest)
      oldLanes.retire()
    }
    return lanes
  }

  #send(source: Source, path: string, o: HttpRequest): Promise<http.IncomingMessage> {
    const base = parseUrl(source)
    const isTls = base.protocol === 'https:'
    o.signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const request = (isTls ? https : http).request({
        agent: this.#agent(base, source.pin),
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path: base.pathname.replace(/\/$/, '') + path,
        method: o.method ?? 'GET',
        headers: {
          ...(source.token === undefined ? {} : { authorization: `Bearer ${source.token}` }),
          ...(o.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(o.body)) }),
          ...o.headers,
        },
        signal: o.signal,
      })
      request.setTimeout(o.idleMs ?? DEFAULT_IDLE_MS, () => request.destroy(new Error('it does not answer')))
      request.on('error', (error) => {
        if (o.signal?.aborted) return reject(o.signal.reason)
        const failure = isPinGoError(error) ? error : unreachable(source, error)
        reject(
          request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
            ? new StaleConnection('stale', { cause: failure })
            : failure,
        )
      })
      request.on('response', resolve)
      if (o.pace && o.body !== undefined) void sendPaced(request, Buffer.from(o.body as Uint8Array), o.pace)
      else request.end(o.body)
    })
  }

  #agent(base: URL, pin: string | undefined): http.Agent {
    const key = `${base.origin} ${pin ?? ''}`
    const known = this.#agents.get(key)
    if (known) return known
    const options = {
      keepAlive: true,
      keepAliveMsecs: 1_000,
      maxSockets: MAX_SOCKETS,
      maxFreeSockets: MAX_IDLE_SOCKETS,
      timeout: KEEP_ALIVE_MS,
      ...(this.#lookup ? { lookup: this.#lookup } : {}),
    }
    const agent =
      base.protocol === 'http:'
        ? new http.Agent(options)
        : pin === undefined
          ? new https.Agent(options)
          : new PinnedAgent(options, pin)
    this.#agents.set(key, agent)
    if (this.#agents.size > MAX_SOURCES) {
      const oldest = this.#agents.keys().next().value!
      this.#agents.get(oldest)!.destroy()
      this.#agents.delete(oldest)
    }
    return agent
  }
}

/** Idle connections of this process to its sources; they keep nothing running. */
export const sharedPool = new HttpPool()

class StaleConnection extends Error {}

/** TLS to a machine that is known by the fingerprint of its certificate, not by a name that an authority vouches for. */
class PinnedAgent extends https.Agent {
  readonly #pin: string

  constructor(options: http.AgentOptions, pin: string) {
    super({ ...options, maxCachedSessions: 0 })
    this.#pin = pin
  }

  override createConnection(
    options: http.ClientRequestArgs & tls.ConnectionOptions,
    callback?: (error: Error | null, stream: tls.TLSSocket) => void,
  ): undefined {
    const socket = tls.connect({ ...options, rejectUnauthorized: false, minVersion: 'TLSv1.3', servername: undefined })
    const fail = (error: Error) => callback?.(error, socket)
    socket.once('error', fail)
    // until it is handed over, no request watches over it
    socket.setTimeout(DEFAULT_IDLE_MS, () => socket.destroy(new Error('it does not answer')))
    socket.once('secureConnect', () => {
      socket.removeListener('error', fail).setTimeout(0).removeAllListeners('timeout')
      try {
        checkPin(socket, this.#pin, `${options.host}:${options.port}`)
        callback?.(null, socket)
      } catch (error) {
        callback?.(error as Error, socket)
      }
    })
    return undefined
  }
}

/**
 * One request whose answer is small enough to be read whole.
 * @throws PinGoError SOURCE_UNREACHABLE, SOURCE_UNTRUSTED, SOURCE_INVALID, ANSWER_TOO_LARGE, or the signal's reason
 */
export async function request(
  source: Source,
  path: string,
  o: HttpRequest = {},
  pool: HttpPool = sharedPool,
): Promise<HttpAnswer> {
  const answer = await pool.open(source, path, o)
  const maxBytes = o.maxBytes ?? DEFAULT_MAX_BYTES
  const told = Number(answer.headers['content-length'] ?? Number.NaN)
  const parts: Uint8Array[] = []
  /** Where the body goes when its length is known: half the memory of pieces that are joined. */
  let whole: Uint8Array | undefined
  let bytes = 0
  try {
    for await (const part of answer as AsyncIterable<Uint8Array>) {
      if (bytes + part.byteLength > maxBytes)
        throw new PinGoError('ANSWER_TOO_LARGE', `${source.url} answered with more than ${maxBytes} bytes.`)
      if (told <= maxBytes) {
        whole ??= Buffer.allocUnsafeSlow(told)
        whole.set(part, bytes)
      } else parts.push(part)
      bytes += part.byteLength
    }
  } catch (error) {
    answer.destroy()
    if (o.signal?.aborted) throw o.signal.reason
    throw isPinGoError(error) ? error : unreachable(source, error)
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: whole ?? Buffer.concat(parts) }
}

/** Sends a body piece by piece, until all is sent, the answer comes early or the request ends. */
async function sendPaced(request: http.ClientRequest, body: Uint8Array, pace: Pace): Promise<void> {
  const over = new AbortController()
  const stop = () => over.abort()
  request.once('close', stop).once('response', stop)
  try {
    for (let at = 0; at < body.byteLength; ) {
      const piece = body.subarray(at, at + Math.max(1, pace.pieceBytes()))
      await pace.wait(piece.byteLength, over.signal)
      if (over.signal.aborted) return
      request.write(piece)
      at += piece.byteLength
    }
    request.end()
  } catch (error) {
    if (!over.signal.aborted) request.destroy(error as Error)
  }
}

function parseUrl(source: Source): URL {
  const invalid = (why: string) =>
    new PinGoError('SOURCE_INVALID', `'${source.url.slice(0, 200)}' is no source of blocks: ${why}.`)
  const url = URL.parse(source.url)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw invalid('it is not an http or https URL')
  if (source.pin !== undefined && url.protocol !== 'https:')
    throw invalid('a certificate is pinned, but it is not https')
  if (source.pin !== undefined && !/^[0-9a-f]{64}$/i.test(source.pin)) throw invalid('its pin is not a SHA-256 in hex')
  return url
}

function unreachable(source: Source, cause: unknown): PinGoError {
  const { code, message } = cause as NodeJS.ErrnoException
  const why =
    code === 'ECONNREFUSED'
      ? 'the connection was refused'
      : code === 'ENOTFOUND' || code === 'EAI_AGAIN'
        ? 'its name is unknown'
        : code === 'ECONNRESET' || message === 'aborted'
          ? 'it ended the connection'
          : code === 'DEPTH_ZERO_SELF_SIGNED_CERT' || code === 'SELF_SIGNED_CERT_IN_CHAIN'
            ? 'its certificate is self-signed and not pinned'
            : (message ?? String(cause))
  return new PinGoError('SOURCE_UNREACHABLE', `Cannot reach ${source.url}: ${why}.`, {
    hint: 'Check that the node there runs and that its address and port are right.',
    cause,
  })
}
