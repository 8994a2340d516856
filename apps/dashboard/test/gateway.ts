import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import {
  ExplanationSchema,
  type JobEvent,
  JobEventSchema,
  JobViewSchema,
  NetworkViewSchema,
  RoundViewSchema,
  StorageViewSchema,
} from '@pingo/wire'
import type { Stage } from './stage.ts'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}
export const POLICY = "default-src 'self'"

/** Serves the built page and a {@link Stage} over the fog node's real endpoints; every answer is checked by its schema. */
export class TestGateway {
  readonly #stage: Stage
  readonly #pages: string
  readonly #startedAt: number
  readonly #server: Server
  readonly #streams = new Set<ServerResponse>()
  /** `Last-Event-ID` of every stream that was opened; '' where there was none. */
  readonly resumedFrom: string[] = []
  /** Requests by path. */
  readonly hits = new Map<string, number>()

  constructor(stage: Stage, pages: string, startedAt: number) {
    this.#stage = stage
    this.#pages = pages
    this.#startedAt = startedAt
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => response.destroy(error))
    })
  }

  /** Listens on loopback; 0 is any free port. Returns the port. */
  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    this.#stage.listener = (event, stored) => {
      for (const stream of this.#streams) send(stream, event, stored)
    }
    return (this.#server.address() as AddressInfo).port
  }

  /** Goes away as a killed process does: connections break. */
  async close(): Promise<void> {
    this.#stage.listener = undefined
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://gateway').pathname
    this.hits.set(path, (this.hits.get(path) ?? 0) + 1)
    if (request.method !== 'GET') return json(response, 405, refused('METHOD_NOT_ALLOWED', 'This gateway only reads.'))
    if (!path.startsWith('/v1/')) return this.#page(path, response)
    const stage = this.#stage
    response.setHeader('date', new Date(stage.now).toUTCString())
    if (path === '/v1/network') return json(response, 200, NetworkViewSchema.parse(stage.network(this.#startedAt)))
    if (path === '/v1/storage') return json(response, 200, StorageViewSchema.parse(stage.storage()))
    if (path === '/v1/jobs') return json(response, 200, { jobs: JobViewSchema.array().parse(stage.jobs()) })
    if (path === '/v1/datasets')
      return json(response, 200, { datasets: stage.populated ? stage.recording.datasets : [] })
    const [, id, rest = ''] = /^\/v1\/jobs\/([^/]+)(?:\/(.+))?$/.exec(path) ?? []
    const job = stage.jobs().find((one) => one.id === id)
    if (job === undefined) return json(response, 404, refused('JOB_UNKNOWN', `There is no job '${id}'.`))
    const played = job.id === stage.recording.job.id
    if (rest === '') return json(response, 200, JobViewSchema.parse(job))
    if (rest === 'rounds')
      return json(response, 200, { rounds: RoundViewSchema.array().parse(played ? stage.committed : []) })
    if (rest === 'explain')
      return json(
        response,
        200,
        ExplanationSchema.parse(
          played ? stage.explanation() : { state: job.state, sentence: job.reason ?? 'It is done.', constraints: [] },
        ),
      )
    if (rest === 'events') return this.#stream(request, response, played ? stage.events : [])
    if (rest.startsWith('files/') && job.result) {
      response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(`the bytes of ${rest.slice(6)}`)
      return
    }
    json(response, 404, refused('NOT_FOUND', `There is no '${path}'.`))
  }

  #stream(request: IncomingMessage, response: ServerResponse, events: readonly JobEvent[]): void {
    const last = request.headers['last-event-id']
    this.resumedFrom.push(typeof last === 'string' ? last : '')
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    for (const event of events) if (event.seq > Number(last ?? 0)) send(response, event, true)
    response.write(': caught up\n\n')
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
  }

  async #page(path: string, response: ServerResponse): Promise<void> {
    const file = normalize(path === '/' ? '/index.html' : path)
    const body = await readFile(join(this.#pages, file)).catch(() => undefined)
    if (body === undefined) return json(response, 404, refused('NOT_FOUND', `There is no '${path}'.`))
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
    })
    response.end(body)
  }
}

const refused = (code: string, message: string) => ({ error: { code, message } })

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function send(stream: ServerResponse, event: JobEvent, stored: boolean): void {
  const data = JSON.stringify(JobEventSchema.parse(event))
  stream.write(`${stored ? `id: ${event.seq}\n` : ''}event: ${event.type}\ndata: ${data}\n\n`)
}
