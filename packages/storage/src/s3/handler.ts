import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerOptions, ServerResponse } from 'node:http'
import { type AuthenticateOptions, authenticate } from './auth/authenticate.ts'
import { S3Error, toS3Error } from './errors.ts'
import { DRAIN_MS, MAX_DRAIN_BYTES, MAX_REQUESTS, PACE_MS } from './limits.ts'
import type { ObjectBackend, ObjectReader } from './port.ts'
import { readRequest } from './request.ts'
import { operationOf } from './routes.ts'
import { xml } from './xml.ts'

export interface S3Options {
  /** The secret of an access key, undefined when the key is not known. */
  credentials: AuthenticateOptions['credentials']
  /** What GetBucketLocation tells; requests may be signed for any. 'us-east-1' by default. */
  region?: string
  /** Refuses all that writes, also when the backend could. */
  isReadOnly?: boolean
  /** Whether who does not sign may read; nobody writes without a signature. */
  anonymous?: boolean
  /** Names under which `bucket.NAME` is the bucket (virtual-host style). 'localhost' by default. */
  domains?: readonly string[]
  /** ms since epoch. */
  clock?: () => number
  /** A client must move 64 KiB in this time while it is waited for, ms. A minute by default. */
  paceMs?: number
  maxRequests?: number
  /** Hears of faults that a client is told nothing of. */
  onFault?: (error: unknown) => void
}

/** For `createServer`: a body may take as long as it keeps its pace, so the whole request has no deadline. */
export const S3_SERVER_OPTIONS: ServerOptions = { requestTimeout: 0, headersTimeout: 20_000, maxHeaderSize: 16 << 10 }

/**
 * An S3 endpoint for a raw `node:http` server whose every path it answers. Bodies stream in constant memory.
 *
 * @example
 * ```ts
 * const handle = s3Handler(backend, { credentials: (id) => (id === accessKeyId ? secret : undefined) })
 * createServer(S3_SERVER_OPTIONS, handle).listen(9000, '127.0.0.1')
 * // AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… aws --endpoint-url http://127.0.0.1:9000 s3 cp file s3://bucket/
 * ```
 */
export function s3Handler(
  backend: ObjectBackend | ObjectReader,
  o: S3Options,
): (request: IncomingMessage, response: ServerResponse) => void {
  const writer = !o.isReadOnly && 'put' in backend ? backend : undefined
  const clock = o.clock ?? Date.now
  let running = 0

  async function serve(raw: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    if (running > (o.maxRequests ?? MAX_REQUESTS)) throw new S3Error('SlowDown')
    const request = readRequest(raw, o.domains ?? ['localhost'])
    const identity = await authenticate(request, { credentials: o.credentials, clock })
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (identity.accessKeyId === undefined && !o.anonymous) throw new S3Error('AccessDenied')
    const mayWrite = writer !== undefined && identity.accessKeyId !== undefined
    if (!mayWrite && !isRead) throw new S3Error('AccessDenied')
    await operationOf(request)({
      request,
      response,
      identity,
      reader: backend,
      writer: mayWrite ? writer : undefined,
      region: o.region ?? 'us-east-1',
      paceMs: o.paceMs ?? PACE_MS,
      signal,
    })
  }

  return (request, response) => {
    const id = randomBytes(8).toString('hex').toUpperCase()
    response.setHeader('x-amz-request-id', id)
    response.setHeader('server', 'PinGo')
    if (o.anonymous) response.setHeader('access-control-allow-origin', '*')
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    request.on('error', () => {}) // told to whoever reads the body
    running += 1
    serve(request, response, gone.signal)
      .catch((error: unknown) => {
        const known = toS3Error(error)
        if (known.status === 500 && !gone.signal.aborted) o.onFault?.(error)
        fail(request, response, known, id)
      })
      .finally(() => {
        running -= 1
      })
  }
}

function fail(request: IncomingMessage, response: ServerResponse, error: S3Error, id: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy() // a body that breaks off is noticed; one that ends early and cleanly might not be
    return
  }
  const { code, status, message, details } = error
  const path = (request.url ?? '').split('?')[0]!
  const body = xml('Error', { Code: code, Message: message, ...details, Resource: path, RequestId: id }, false)
  if (status === 503) response.setHeader('retry-after', '1')
  if (code === 'MethodNotAllowed') response.setHeader('allow', 'GET, HEAD, PUT, POST, DELETE')
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) })
  response.end(request.method === 'HEAD' ? undefined : body)
  if (!request.complete) drain(request)
}

/** Reads on for a while after a refusal: a client that is still sending would else see a broken connection instead of the answer. */
function drain(request: IncomingMessage): void {
  let left = MAX_DRAIN_BYTES
  const end = () => request.destroy()
  const timer = setTimeout(end, DRAIN_MS)
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
  request.on('data', (part: Buffer) => {
    left -= part.byteLength
    if (left < 0) end()
  })
  request.resume()
}
