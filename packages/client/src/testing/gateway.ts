import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlockStore, blockHandler, FileStore } from '@pingo/storage'
import { type FileRef, type JobSubmission, JobSubmissionSchema, type JobView, type QuoteRequest } from '@pingo/wire'

export const TOKEN = 'the token of these tests'

/** A fresh folder that is removed when its user is done. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'pingo-client-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** An HTTP server on loopback; closes with all its connections. */
export async function serve(listener: RequestListener): Promise<AsyncDisposable & { url: string; server: Server }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    server,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** The part of a fog node that takes data and submissions, with a real block store behind it. */
export interface TestGateway extends AsyncDisposable {
  url: string
  home: string
  files: FileStore
  submissions: JobSubmission[]
  quotes: QuoteRequest[]
  datasets: FileRef[]
  /** Requests so far, as `METHOD /path`. */
  requests: string[]
}

export async function startGateway(): Promise<TestGateway> {
  const folder = await temporaryFolder()
  const blocks = await BlockStore.open(join(folder.path, 'blocks'))
  const seen: Pick<TestGateway, 'submissions' | 'quotes' | 'datasets' | 'requests'> = {
    submissions: [],
    quotes: [],
    datasets: [],
    requests: [],
  }
  const isAllowed = (request: IncomingMessage) => request.headers.authorization === `Bearer ${TOKEN}`
  const data = blockHandler(blocks, { authorize: isAllowed })
  const server = await serve((request, response) => {
    seen.requests.push(`${request.method} ${request.url}`)
    if (data(request, response)) return
    void answer(request, response, seen, isAllowed(request))
  })
  return {
    ...seen,
    url: server.url,
    home: join(folder.path, 'home'),
    files: new FileStore(blocks),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await blocks.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  seen: Pick<TestGateway, 'submissions' | 'quotes' | 'datasets'>,
  isAllowed: boolean,
): Promise<void> {
  let text = ''
  for await (const part of request) text += part
  const send = (status: number, value: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  const { url, method } = request
  if (url === '/healthz') return send(200, { ok: true })
  if (url === '/v1/quotes') {
    seen.quotes.push(JSON.parse(text))
    return send(200, { samples: 1, contributors: 1, samplesPerSecond: 1, etaMs: 1, queuedAhead: 0, basis: 'A test.' })
  }
  if (method !== 'POST' || !isAllowed)
    return send(401, { error: { code: 'UNAUTHORIZED', message: "This needs the fog node's token." } })
  if (url === '/v1/datasets') {
    seen.datasets.push(JSON.parse(text))
    return send(200, {})
  }
  const submission = JobSubmissionSchema.parse(JSON.parse(text))
  seen.submissions.push(submission)
  return send(201, jobView({ name: submission.name }))
}

/** A job as a fog node shows it, but for what is said otherwise. */
export function jobView(change: Partial<JobView> = {}): JobView {
  const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  return {
    id: 'job-1',
    name: 'test',
    state: 'running',
    submittedAt: 1,
    program: cid,
    train: cid,
    metricName: 'accuracy',
    lossName: 'cross_entropy',
    parameters: 1,
    batch: 10,
    epochs: 1,
    rounds: 0,
    samplesDone: 0,
    samplesTotal: 100,
    samplesPerSecond: 0,
    samplesInFlight: 0,
    contributors: 0,
    shares: [],
    ...change,
  }
}
