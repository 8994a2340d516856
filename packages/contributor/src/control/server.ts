import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  HistoryQuerySchema,
  isPinGoError,
  MAX_MACHINE_REQUEST_BYTES,
  PauseRequestSchema,
  PinGoError,
  SettingsChangeSchema,
  sha256,
  validate,
} from '@pingo/wire'
import { type Logger, pino } from 'pino'
import type { z } from 'zod'
import { claimHome, removeControlFile, writeControlFile } from './control-file.ts'
import { findPages, type Page } from './pages.ts'
import type { ControlPort } from './port.ts'

const MAX_CONNECTIONS = 64
const MAX_STREAMS = 8
const REQUEST_TIMEOUT_MS = 10_000
const STREAM_MS = 1_000
/** A reader of the stream that lets so many bytes pile up is cut. */
const MAX_BUFFERED_BYTES = 1 << 20
/** Requests a second; the owner's page asks once a second. */
const MAX_RATE = 100
/** Only what this server itself serves may run or load in its pages. */
const CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export interface ControlServer {
  readonly url: string
  readonly token: string
  /** From now on it answers; before it says that the contributor starts. */
  attach(port: ControlPort): void
  close(): Promise<void>
}

/**
 * The owner's way to a contributor: HTTP on loopback alone, with a token that stands in the home. Having it is having the home: a second
 * contributor of the same home does not start.
 * @param o.pages folder of the owner's pages; none without it
 * @throws PinGoError CONTRIBUTOR_RUNNING
 */
export async function serveControl(o: {
  home: string
  pages?: string | undefined
  logger?: Logger
  clock?: () => number
  /** Passes evenly, ms: what counts requests a second. */
  monotonic?: () => number
}): Promise<ControlServer> {
  const giveBack = await claimHome(o.home)
  const token = randomBytes(32).toString('base64url')
  const desk = new Desk({
    token,
    clock: o.clock ?? Date.now,
    monotonic: o.monotonic ?? (() => performance.now()),
    logger: o.logger ?? pino({ level: 'silent' }),
  })
  const server = createServer((request, response) => void desk.answer(request, response))
  server.maxConnections = MAX_CONNECTIONS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.headersTimeout = REQUEST_TIMEOUT_MS
  const end = async () => {
    await removeControlFile(o.home).catch(() => undefined)
    desk.close()
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    server.closeAllConnections()
    await closed
    giveBack()
  }
  try {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}`
    desk.hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`])
    if (o.pages) desk.pages = findPages(o.pages)
    await writeControlFile(o.home, { url, token, pid: process.pid })
    let closing: Promise<void> | undefined
    return {
      url,
      token,
      attach: (machine) => {
        desk.port = machine
      },
      close: () => {
        closing ??= end()
        return closing
      },
    }
  } catch (error) {
    await end()
    throw error
  }
}

type Handler = (url: URL, body: () => Promise<unknown>, response: ServerResponse) => unknown

class Desk {
  hosts = new Set<string>()
  pages = new Map<string, Page>()
  port: ControlPort | undefined
  readonly #token: Buffer
  readonly #clock: () => number
  readonly #monotonic: () => number
  readonly #logger: Logger
  readonly #streams = new Set<ServerResponse>()
  #timer: NodeJS.Timeout | undefined
  #tokens = MAX_RATE
  #tokensAt = 0

  constructor(o: { token: string; clock: () => number; monotonic: () => number; logger: Logger }) {
    this.#token = Buffer.from(sha256(Buffer.from(`Bearer ${o.token}`)))
    this.#clock = o.clock
    this.#monotonic = o.monotonic
    this.#logger = o.logger
  }

  close(): void {
    clearInterval(this.#timer)
    for (const stream of this.#streams) stream.end()
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => response.destroy())
    try {
      // a page elsewhere that has its name point here (DNS rebinding) names another host
      if (!this.hosts.has(request.headers.host ?? ''))
        throw problem(403, 'HOST_REFUSED', 'This is not the address of this machine.')
      if (!this.#mayAsk()) throw problem(429, 'TOO_MANY_REQUESTS', 'Too many requests; wait a second.')
      const url = new URL(request.url ?? '/', 'http://127.0.0.1')
      if (!url.pathname.startsWith('/v1/')) return await this.#page(url.pathname, request, response)
      const given = Buffer.from(sha256(Buffer.from(request.headers.authorization ?? '')))
      if (!timingSafeEqual(given, this.#token))
        throw problem(401, 'TOKEN_WRONG', 'This takes the token of control.json in the home of the contributor.')
      const handler = this.#handlers[`${request.method} ${url.pathname}`]
      if (!handler)
        throw problem(404, 'NOT_FOUND', `There is no ${String(request.method)} ${url.pathname.slice(0, 100)} here.`)
      const value = await handler(url, () => readBody(request), response)
      if (!response.headersSent) send(response, 200, value ?? {})
    } catch (error) {
      this.#failed(error, response)
    }
  }

  readonly #handlers: Record<string, Handler> = Object.assign(Object.create(null), {
    'GET /v1/machine/ping': () => ({ pid: process.pid }),
    'GET /v1/machine': () => this.#machine.view(),
    'GET /v1/machine/events': (_url: URL, _body: unknown, response: ServerResponse) => this.#stream(response),
    'GET /v1/machine/settings': () => this.#machine.settings(),
    'PATCH /v1/machine/settings': async (_url, body) =>
      this.#machine.change(checked(SettingsChangeSchema, await body())),
    'POST /v1/machine/pause': async (_url, body) => {
      const { minutes } = checked(PauseRequestSchema, (await body()) ?? {})
      this.#machine.pause(minutes === undefined ? undefined : this.#clock() + minutes * 60_000)
      return this.#machine.view()
    },
    'POST /v1/machine/resume': () => {
      this.#machine.resume()
      return this.#machine.view()
    },
    'POST /v1/machine/leave': () => {
      const view = this.#machine.view()
      this.#machine.leave()
      return view
    },
    'GET /v1/machine/history': (url) => ({
      leases: this.#machine.history(checked(HistoryQuerySchema, Object.fromEntries(url.searchParams))),
    }),
    'GET /v1/machine/earnings': () => this.#machine.earnings(),
  } satisfies Record<string, Handler>)

  get #machine(): ControlPort {
    if (this.port) return this.port
    throw problem(503, 'CONTRIBUTOR_STARTING', 'The contributor is starting; ask again in a moment.')
  }

  /** The view each second while it differs, as server-sent events (WHATWG HTML 9.2). */
  #stream(response: ServerResponse): void {
    if (this.#streams.size >= MAX_STREAMS)
      throw problem(429, 'TOO_MANY_STREAMS', 'Too many follow this contributor already.')
    const first = this.#machine.view()
    response.writeHead(200, { ...HEADERS, 'content-type': 'text/event-stream' })
    this.#streams.add(response)
    response.on('close', () => {
      this.#streams.delete(response)
      if (this.#streams.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    })
    response.write(event(first))
    this.#timer ??= setInterval(() => {
      const text = event(this.#machine.view())
      for (const stream of this.#streams) {
        stream.write(text)
        if (stream.writableLength > MAX_BUFFERED_BYTES) stream.destroy()
      }
    }, STREAM_MS)
  }

  async #page(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const page = this.pages.get(path)
    if (!page || !['GET', 'HEAD'].includes(request.method ?? ''))
      throw problem(
        404,
        'NOT_FOUND',
        this.pages.size === 0 ? 'The pages are not built here.' : 'There is no such page.',
      )
    const headers = {
      ...HEADERS,
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-cache',
      etag: page.etag,
    }
    if (request.headers['if-none-match'] === page.etag) {
      response.writeHead(304, headers).end()
      return
    }
    const body = await readFile(page.file)
    response.writeHead(200, { ...headers, 'content-type': page.type, 'content-length': body.byteLength })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  #mayAsk(): boolean {
    const now = this.#monotonic()
    this.#tokens = Math.min(MAX_RATE, this.#tokens + ((now - this.#tokensAt) / 1000) * MAX_RATE)
    this.#tokensAt = now
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  #failed(error: unknown, response: ServerResponse): void {
    if (response.headersSent) {
      response.destroy()
      return
    }
    const known = isPinGoError(error)
      ? error
      : new PinGoError('INTERNAL', 'Something unexpected happened.', { cause: error })
    if (!isPinGoError(error)) this.#logger.error({ err: error }, 'the control API failed')
    const status = known.details?.status
    // what was not read of a body is not waited for
    response.setHeader('connection', 'close')
    send(response, typeof status === 'number' ? status : isPinGoError(error) ? 400 : 500, { error: known.toJSON() })
  }
}

const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }

const event = (view: unknown): string => `event: machine\ndata: ${JSON.stringify(view)}\n\n`

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...HEADERS, 'content-type': 'application/json' }).end(JSON.stringify(value))
}

const problem = (status: number, code: string, message: string): PinGoError =>
  new PinGoError(code, message, { details: { status } })

function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  return validate(schema, value, 'request')
}

/** JSON; undefined for an empty body. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.byteLength
    if (bytes > MAX_MACHINE_REQUEST_BYTES)
      throw problem(413, 'BODY_TOO_LARGE', `A request has at most ${MAX_MACHINE_REQUEST_BYTES} bytes.`)
    parts.push(part)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    throw problem(400, 'BODY_MALFORMED', 'The body of the request is not JSON.')
  }
}
