import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CID, isPinGoError, PinGoError, validate } from '@pingo/wire'
import { z } from 'zod'
import type { BlockStore } from '../blocks/block-store.ts'
import { keyOf, toCid } from '../blocks/key.ts'
import { carBytes } from '../files/car.ts'
import { FileStore } from '../files/file-store.ts'
import { MAX_BLOCK_BYTES, MAX_MISSING_CIDS } from '../limits.ts'
import { sendLent } from '../transfer/send.ts'
import { parseRange } from './byte-range.ts'
import { HotCache } from './hot-cache.ts'

export interface BlockHandlerOptions {
  /** Who may write. Reading is free: a CID is known only to whom it was told. */
  authorize(request: IncomingMessage): boolean | Promise<boolean>
  /** Largest block that is taken, bytes; 2 MiB at most and by default. */
  maxBlockBytes?: number
  /** Memory for blocks that are read often, bytes. 64 MiB by default. */
  cacheBytes?: number
  /** Bytes of blocks on their way out at once; more requests get 503. 256 MiB by default. */
  maxInFlightBytes?: number
  /** A response, or the body of a request, ends within it; a CAR when nothing moves for it. 60 s by default. */
  transferTimeoutMs?: number
}

/** The handler: true when the path was its own. */
export type BlockHandler = (request: IncomingMessage, response: ServerResponse) => boolean

const CACHE_BYTES = 64 << 20
const IN_FLIGHT_BYTES = 256 << 20
const TRANSFER_MS = 60_000
const MAX_CARS = 16
const MAX_QUESTION_BYTES = 1 << 20
const RAW_TYPE = 'application/vnd.ipld.raw'
const CAR_TYPE = 'application/vnd.ipld.car'
const IMMUTABLE = 'public, max-age=29030400, immutable'

const MissingSchema = z.strictObject({ cids: z.array(z.string().max(200)).max(MAX_MISSING_CIDS) })

const STATUS: Record<string, number> = {
  BLOCK_MISSING: 404,
  BLOCK_CORRUPT: 404,
  BLOCK_TOO_LARGE: 413,
  MESSAGE_TOO_LARGE: 413,
  LENGTH_REQUIRED: 411,
  UNAUTHORIZED: 401,
  FORMAT_UNKNOWN: 406,
  METHOD_UNKNOWN: 405,
  OVERLOADED: 503,
  QUOTA_EXCEEDED: 507,
  DISK_FULL: 507,
  TRANSFER_TIMEOUT: 408,
}

/**
 * The data plane, for a raw `node:http(s)` server:
 * - `GET|HEAD /ipfs/{cid}?format=raw` one block, with ranges; `?format=car` a file with all its blocks
 *   (the format may be named by Accept too; ipfs/specs, trustless gateway)
 * - `POST /v1/blocks/missing` `{cids: […]}` → `{missing: […]}` and `PUT /v1/blocks/{cid}`, for whom `authorize` admits
 *
 * Only CIDs are read from a path, so no path leads anywhere else.
 */
export function blockHandler(store: BlockStore, o: BlockHandlerOptions): BlockHandler {
  const plane = new DataPlane(store, o)
  return (request, response) => {
    const url = request.url ?? ''
    const query = url.indexOf('?')
    const path = query < 0 ? url : url.slice(0, query)
    if (!path.startsWith('/ipfs/') && !path.startsWith('/v1/blocks/')) return false
    plane
      .serve(request, response, path, new URLSearchParams(query < 0 ? '' : url.slice(query)))
      .catch((error) => fail(response, error))
    return true
  }
}

class DataPlane {
  readonly #store: BlockStore
  readonly #files: FileStore
  readonly #o: BlockHandlerOptions
  readonly #cache: HotCache
  readonly #transferMs: number
  readonly #maxBlockBytes: number
  #inFlightBytes = 0
  #cars = 0

  constructor(store: BlockStore, o: BlockHandlerOptions) {
    this.#store = store
    this.#files = new FileStore(store)
    this.#o = o
    this.#cache = new HotCache(o.cacheBytes ?? CACHE_BYTES)
    this.#transferMs = o.transferTimeoutMs ?? TRANSFER_MS
    this.#maxBlockBytes = Math.min(MAX_BLOCK_BYTES, o.maxBlockBytes ?? MAX_BLOCK_BYTES)
  }

  async serve(request: IncomingMessage, response: ServerResponse, path: string, query: URLSearchParams): Promise<void> {
    const { method } = request
    if (path === '/v1/blocks/missing' && method === 'POST') return await this.#missing(request, response)
    const [, isRead, text] = /^\/(ipfs\/|v1\/blocks\/)([A-Za-z0-9]{1,150})\/?$/.exec(path) ?? []
    if (text === undefined)
      throw new PinGoError('CID_MALFORMED', 'The path names no content address (CID).', {
        hint: 'Ask for /ipfs/CID?format=raw.',
      })
    if (isRead === 'ipfs/') {
      if (method !== 'GET' && method !== 'HEAD') throw methodUnknown('GET, HEAD')
      const cid = toCid(text)
      if (formatOf(request, query) === 'car') return await this.#car(request, response, cid)
      return await this.#raw(request, response, cid)
    }
    if (method !== 'PUT') throw methodUnknown('PUT')
    await this.#put(request, response, text)
  }

  async #raw(request: IncomingMessage, response: ServerResponse, cid: CID): Promise<void> {
    const size = this.#store.size(cid)
    if (size === undefined) throw new PinGoError('BLOCK_MISSING', `Block ${cid} is not here.`)
    setHeaders(response, cid, { type: RAW_TYPE, tag: `"${cid}"`, file: `${cid}.bin` })
    response.setHeader('accept-ranges', 'bytes')
    if (isCurrent(request, cid)) return end(response, 304)
    const span = rangeOf(request, cid, size)
    if (span === 'unsatisfiable') {
      response.setHeader('content-range', `bytes */${size}`)
      return end(response, 416)
    }
    const { start, end: stop } = span ?? { start: 0, end: size }
    if (span) response.setHeader('content-range', `bytes ${start}-${stop - 1}/${size}`)
    response.setHeader('content-length', stop - start)
    const status = span ? 206 : 200
    if (request.method === 'HEAD') return end(response, status)
    const maxBytes = this.#o.maxInFlightBytes ?? IN_FLIGHT_BYTES
    if (this.#inFlightBytes + size > maxBytes) throw overloaded()
    this.#inFlightBytes += size
    const timer = setTimeout(() => response.destroy(), this.#transferMs)
    response.once('close', () => {
      clearTimeout(timer)
      this.#inFlightBytes -= size
    })
    if (request.headers['cache-control'] === 'no-store')
      return await sendLent(response, status, await this.#store.lend(cid), start, stop)
    const block = await this.#cache.get(keyOf(cid), () => this.#store.get(cid))
    response.writeHead(status)
    response.end(block.subarray(start, stop))
  }

  async #car(request: IncomingMessage, response: ServerResponse, root: CID): Promise<void> {
    if (!this.#store.has(root)) throw new PinGoError('BLOCK_MISSING', `Block ${root} is not here.`)
    setHeaders(response, root, {
      type: `${CAR_TYPE}; version=1; order=dfs; dups=n`,
      tag: `W/"${root}.car"`,
      file: `${root}.car`,
    })
    response.setHeader('accept-ranges', 'none')
    if (isCurrent(request, root)) return end(response, 304)
    if (request.method === 'HEAD') return end(response, 200)
    if (this.#cars >= MAX_CARS) throw overloaded()
    this.#cars += 1
    response.once('close', () => {
      this.#cars -= 1
    })
    const cids = await this.#files.chunks(root)
    response.writeHead(200)
    for await (const part of carBytes(root, cids, (cid) => this.#store.get(cid))) {
      if (response.destroyed) return
      if (response.write(part)) continue
      const timer = setTimeout(() => response.destroy(), this.#transferMs)
      await new Promise<void>((resolve) => {
        response.once('drain', resolve).once('close', resolve)
      })
      clearTimeout(timer)
      response.removeAllListeners('drain')
    }
    response.end()
  }

  async #missing(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.#authorized(request)
    const body = await this.#body(request, MAX_QUESTION_BYTES)
    let value: unknown
    try {
      value = JSON.parse(body.toString('utf8'))
    } catch (cause) {
      throw new PinGoError('MESSAGE_MALFORMED', 'The body is not JSON.', { cause })
    }
    const { cids } = validate(MissingSchema, value, 'question for missing blocks')
    json(response, 200, { missing: cids.filter((cid) => !this.#store.has(cid)) })
  }

  async #put(request: IncomingMessage, response: ServerResponse, text: string): Promise<void> {
    await this.#authorized(request)
    const cid = toCid(text)
    const body = await this.#body(request, this.#maxBlockBytes)
    const isNew = !this.#store.has(cid)
    await this.#store.put(cid, body)
    json(response, isNew ? 201 : 200, { cid: cid.toString() })
  }

  async #authorized(request: IncomingMessage): Promise<void> {
    if (!(await this.#o.authorize(request)))
      throw new PinGoError('UNAUTHORIZED', 'Writing blocks needs a token.', {
        hint: 'Send the header Authorization: Bearer with the token that the node printed when it started.',
      })
  }

  /** The body of a request, bounded in size and time. */
  async #body(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
    const announced = request.headers['content-length']
    if (announced === undefined) throw new PinGoError('LENGTH_REQUIRED', 'The request names no Content-Length.')
    const tooLarge = () => new PinGoError('BLOCK_TOO_LARGE', `The body is over the limit of ${maxBytes} bytes.`)
    if (Number(announced) > maxBytes) throw tooLarge()
    const timer = setTimeout(
      () => request.destroy(new PinGoError('TRANSFER_TIMEOUT', 'The body came too slowly.')),
      this.#transferMs,
    )
    const parts: Buffer[] = []
    let bytes = 0
    try {
      for await (const part of request as AsyncIterable<Buffer>) {
        bytes += part.byteLength
        if (bytes > maxBytes) throw tooLarge()
        parts.push(part)
      }
    } finally {
      clearTimeout(timer)
    }
    return Buffer.concat(parts)
  }
}

function formatOf(request: IncomingMessage, query: URLSearchParams): 'raw' | 'car' {
  const accept = request.headers.accept ?? ''
  const format = query.get('format') ?? (accept.includes(RAW_TYPE) ? 'raw' : accept.includes(CAR_TYPE) ? 'car' : '')
  if (format === 'raw' || format === 'car') return format
  throw new PinGoError('FORMAT_UNKNOWN', 'Blocks are served as raw or car.', { hint: 'Add ?format=raw.' })
}

/** A block under a CID never changes: whoever names it in If-None-Match has it. */
function isCurrent(request: IncomingMessage, cid: CID): boolean {
  const tags = request.headers['if-none-match']
  if (tags === undefined) return false
  return tags.split(',').some((tag) => {
    const bare = tag
      .trim()
      .replace(/^W\//, '')
      .replaceAll('"', '')
      .replace(/\.(raw|car)$/, '')
    return bare === '*' || bare === cid.toString()
  })
}

function rangeOf(request: IncomingMessage, cid: CID, size: number) {
  const condition = request.headers['if-range']
  if (condition !== undefined && condition !== `"${cid}"`) return undefined
  return parseRange(request.headers.range, size)
}

function setHeaders(response: ServerResponse, cid: CID, o: { type: string; tag: string; file: string }): void {
  response.setHeader('content-type', o.type)
  response.setHeader('content-disposition', `attachment; filename="${o.file}"`)
  response.setHeader('etag', o.tag)
  response.setHeader('cache-control', IMMUTABLE)
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('x-ipfs-path', `/ipfs/${cid}`)
  response.setHeader('x-ipfs-roots', cid.toString())
  response.setHeader('access-control-allow-origin', '*')
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status)
  response.end()
}

function json(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.byteLength })
  response.end(body)
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy() // a body that breaks off is noticed; one that ends early and cleanly might not be
    return
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const known = isPinGoError(error) ? error : new PinGoError('INTERNAL', 'The node failed to serve the block.')
  const status = isPinGoError(error) ? (STATUS[known.code] ?? 400) : 500
  if (status === 503) response.setHeader('retry-after', '1')
  if (known.code === 'METHOD_UNKNOWN') response.setHeader('allow', String(known.details?.allow))
  // what the sender has not sent yet is not waited for
  if (!response.req.complete) response.setHeader('connection', 'close')
  json(response, status, { error: known.toJSON() })
}

const overloaded = () =>
  new PinGoError('OVERLOADED', 'Too much is on its way already.', { hint: 'Ask again in a second.' })
const methodUnknown = (allow: string) =>
  new PinGoError('METHOD_UNKNOWN', `Only ${allow} is known here.`, { details: { allow } })
