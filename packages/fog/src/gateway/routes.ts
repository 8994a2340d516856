import {
  type DatasetView,
  type Explanation,
  type FileRef,
  FileRefSchema,
  type JobSubmission,
  JobSubmissionSchema,
  type JobView,
  type Ledger,
  MAX_ROUNDS_LISTED,
  type NetworkView,
  PinGoError,
  type Quote,
  type QuoteRequest,
  QuoteRequestSchema,
  type StorageChange,
  StorageChangeSchema,
  type StorageView,
  validate,
} from '@pingo/wire'
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerFactory,
} from 'fastify'
import type { Registry } from 'prom-client'
import type { Database } from '../database.ts'
import type { Job, Jobs } from '../jobs.ts'
import { bears } from './bearer.ts'
import type { Page } from './pages.ts'
import { streamEvents } from './sse.ts'

const MAX_JSON_BYTES = 1 << 20
const STATUS: Record<string, number> = {
  JOB_UNKNOWN: 404,
  NOT_FOUND: 404,
  LEASE_UNKNOWN: 404,
  UNAUTHORIZED: 401,
  INTERNAL: 500,
  DISK_FULL: 507,
  QUOTA_EXCEEDED: 507,
  FILE_MISSING: 409,
  JOB_ENDED: 409,
  JOB_NOT_DONE: 409,
  MESSAGE_TOO_LARGE: 413,
}

/** What the gateway offers, implemented by the fog node. */
export interface GatewayPorts {
  jobs: Jobs
  db: Database
  network(): NetworkView
  submit(submission: JobSubmission): Promise<JobView>
  stop(id: string): JobView
  explain(job: Job): Explanation
  ledger(job: Job): Ledger
  quote(request: QuoteRequest): Quote
  addDataset(ref: FileRef): Promise<DatasetView>
  readFile(ref: FileRef): AsyncIterable<Uint8Array>
  /** Its part in the storage network; ids of objects are whole for its owner. */
  storage(isOwner: boolean): Promise<StorageView>
  changeStorage(change: StorageChange): Promise<StorageView>
}

const FILES = { 'model.onnx': 'model', 'checkpoint.safetensors': 'checkpoint', 'model.json': 'card' } as const

/** The JSON API (docs/api.md), the metrics and the pages. */
export function createRoutes(o: {
  ports: GatewayPorts
  token: string
  pages: Map<string, Page>
  metrics: Registry
  /** Gives fastify its server and takes its listener. */
  serverFactory: FastifyServerFactory
}): FastifyInstance {
  const { ports, pages } = o
  const { jobs, db } = ports
  const app = fastify({
    bodyLimit: MAX_JSON_BYTES,
    serverFactory: o.serverFactory,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
  })

  const isOwner = (request: FastifyRequest) => bears(request.headers.authorization, o.token)
  const authorize = async (request: FastifyRequest) => {
    if (!isOwner(request))
      throw new PinGoError('UNAUTHORIZED', "This needs the fog node's token.", {
        hint: 'Pass --token, or set PINGO_TOKEN; the fog node prints it when it starts.',
      })
  }
  /** A job that is spoken about to anybody; of a private one only {@link shown}. */
  const anyJob = (request: FastifyRequest): Job => jobs.get((request.params as { id: string }).id)
  const job = (request: FastifyRequest): Job => {
    const found = anyJob(request)
    if (!found.row.private || isOwner(request)) return found
    throw new PinGoError('UNAUTHORIZED', 'This job is private: what came of it is told with the token alone.', {
      hint: 'Pass --token, or set PINGO_TOKEN; the fog node prints it when it starts.',
    })
  }
  /** Whoever knows the address of a result can read it: a private one's is not told. */
  const shown = (found: Job, request: FastifyRequest): JobView => {
    const view = jobs.view(found)
    if (found.row.private && !isOwner(request)) delete view.result
    return view
  }

  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    if (error instanceof PinGoError) return reply.code(STATUS[error.code] ?? 400).send({ error: error.toJSON() })
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    const body =
      status >= 500
        ? { code: 'INTERNAL', message: 'The fog node failed to answer; its log says why.' }
        : { code: 'REQUEST_INVALID', message: error.message }
    return reply.code(status).send({ error: body })
  })
  app.setNotFoundHandler((request, reply) => {
    if (request.url.startsWith('/v1/'))
      return reply
        .code(404)
        .send({ error: { code: 'NOT_FOUND', message: `There is no ${request.method} ${request.url.slice(0, 100)}.` } })
    return sendPage(pages.get(request.url.split('?')[0]!), request, reply)
  })

  app.get('/healthz', async () => ({ ok: true }))
  app.get('/metrics', async (_, reply) => reply.type(o.metrics.contentType).send(await o.metrics.metrics()))
  app.get('/v1/network', async () => ports.network())
  app.get('/v1/jobs', async (request) => ({
    jobs: jobs
      .all()
      .reverse()
      .map((each) => shown(each, request)),
  }))
  app.post('/v1/jobs', { preHandler: authorize }, async (request, reply) =>
    reply.code(201).send(await ports.submit(validate(JobSubmissionSchema, request.body, 'job'))),
  )
  app.get('/v1/jobs/:id', async (request) => shown(anyJob(request), request))
  app.post('/v1/jobs/:id/stop', { preHandler: authorize }, async (request) => ports.stop(job(request).row.id))
  app.get('/v1/jobs/:id/rounds', async (request) => ({ rounds: db.rounds(job(request).row.id, MAX_ROUNDS_LISTED) }))
  app.get('/v1/jobs/:id/ledger', async (request) => ports.ledger(job(request)))
  app.get('/v1/jobs/:id/explain', async (request) => ports.explain(job(request)))
  app.get('/v1/jobs/:id/events', (request, reply) => {
    const found = job(request)
    const lastEventId = Number(request.headers['last-event-id'] ?? 0) || 0
    reply.hijack()
    streamEvents({ response: reply.raw, jobs, db, job: found, lastEventId })
  })
  app.get('/v1/jobs/:id/files/:file', async (request, reply) => {
    const { result } = job(request).row
    const name = (request.params as { file: string }).file
    const kind = FILES[name as keyof typeof FILES]
    if (!kind) throw new PinGoError('NOT_FOUND', `A job's files are ${Object.keys(FILES).join(', ')}.`)
    if (!result) throw new PinGoError('JOB_NOT_DONE', 'This job has no result (yet).')
    const ref = result[kind]
    reply
      .type(kind === 'card' ? 'application/json' : 'application/octet-stream')
      .header('content-length', ref.bytes)
      .header('content-disposition', `attachment; filename="${name}"`)
      .header('etag', `"${ref.cid}"`)
    const { Readable } = await import('node:stream')
    return reply.send(Readable.from(ports.readFile(ref)))
  })
  app.get('/v1/datasets', async () => ({ datasets: db.datasets() }))
  app.post('/v1/datasets', { preHandler: authorize }, async (request) =>
    ports.addDataset(validate(FileRefSchema, request.body, 'dataset')),
  )
  app.get('/v1/storage', async (request) => await ports.storage(isOwner(request)))
  app.patch('/v1/storage', { preHandler: authorize }, async (request) =>
    ports.changeStorage(validate(StorageChangeSchema, request.body, 'change of the storage')),
  )
  app.post('/v1/quotes', async (request) => ports.quote(validate(QuoteRequestSchema, request.body, 'quote request')))
  return app
}

function sendPage(page: Page | undefined, request: FastifyRequest, reply: FastifyReply) {
  if (!page || (request.method !== 'GET' && request.method !== 'HEAD'))
    return reply.code(404).type('text/plain').send('Not found. The API is below /v1, see /v1/network.\n')
  reply
    .type(page.type)
    .header('etag', page.etag)
    .header('cache-control', page.immutable ? 'public, max-age=31536000, immutable' : 'no-cache')
    .header('content-security-policy', page.policy)
    .header('referrer-policy', 'no-referrer')
    .header('vary', 'accept-encoding')
  if (request.headers['if-none-match'] === page.etag) return reply.code(304).send()
  if (page.brotli && /\bbr\b/.test(request.headers['accept-encoding'] ?? ''))
    return reply.header('content-encoding', 'br').send(page.brotli())
  return reply.send(page.body())
}
