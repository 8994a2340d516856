import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { PinGoError, validate } from '@pingo/wire'
import { z } from 'zod'
import type { BlockStore } from '../blocks/block-store.ts'
import { toCid } from '../blocks/key.ts'
import type { DiskCache } from '../cache/disk-cache.ts'
import type { BlockSource } from '../cdn/port.ts'
import { MAX_BLOCK_BYTES, MAX_MISSING_CIDS } from '../limits.ts'
import { readBody } from '../nodes/body.ts'
import { fail, json } from './answers.ts'
import type { Reads } from './hot-blocks.ts'
import { originForm } from './read-request.ts'
import { Reader } from './reader.ts'

export interface BlockHandlerOptions {
  /** Who may write. Reading is free: a CID is known only to whom it was told. */
  authorize(request: IncomingMessage): boolean | Promise<boolean>
  /** Where blocks come from that are not in the store. Nowhere by default. */
  source?: BlockSource
  /** Keeps blocks of other nodes on disk that are read again. */
  disk?: DiskCache
  /** Largest block that is taken, bytes; 2 MiB at most and by default. */
  maxBlockBytes?: number
  /** Memory for blocks that are read often, bytes. 64 MiB by default. */
  cacheBytes?: number
  /** Bytes of blocks on their way out at once; more requests get 503. 256 MiB by default. */
  maxInFlightBytes?: number
  /** An answer is cut off when nothing of it moves for so long; the body of a request ends within it. 60 s by default. */
  transferTimeoutMs?: number
}

/** The handler: true when the path was its own. */
export type BlockHandler = (request: IncomingMessage, response: ServerResponse) => boolean

/** A handler that may also answer ahead of the server. */
export interface DataPlane extends BlockHandler {
  /** Has what is in memory answered before `server` parses requests; all else goes its way as before. Called before it listens. */
  accelerate(server: Server): void
  /** How many blocks were read, and from where. */
  readonly reads: Readonly<Reads>
}

const CACHE_BYTES = 64 << 20
const IN_FLIGHT_BYTES = 256 << 20
const TRANSFER_MS = 60_000
const MAX_QUESTION_BYTES = 1 << 20

const LEAVES_PATH = /^\/v1\/blocks\/([A-Za-z0-9]{1,150})\/leaves$/

const MissingSchema = z.strictObject({ cids: z.array(z.string().max(200)).max(MAX_MISSING_CIDS) })

/**
 * The data plane, for a raw `node:http(s)` server:
 * - `GET|HEAD /ipfs/{cid}[/path]` a file, or a directory as a page or JSON; `?format=raw` one block; `?format=car` a file or directory
 *   with its blocks, `dag-scope` and `entity-bytes` (the format may be named by Accept too; ipfs/specs, trustless and path gateway)
 * - `OPTIONS /ipfs/…` what pages from elsewhere may ask
 * - `GET|HEAD /v1/blocks/{cid}/leaves` the SHA-256 of each leaf of 64 KiB of a block that is here (RFC 9162, 2.1.1), 32 bytes each
 * - `POST /v1/blocks/missing` `{cids: […]}` → `{missing: […]}` and `PUT /v1/blocks/{cid}`, for whom `authorize` admits
 *
 * Only CIDs, and names in directories below them, are read from a path, so no path leads anywhere else.
 */
export function blockHandler(store: BlockStore, o: BlockHandlerOptions): DataPlane {
  const transferMs = o.transferTimeoutMs ?? TRANSFER_MS
  const reader = new Reader(store, {
    source: o.source,
    disk: o.disk,
    cacheBytes: o.cacheBytes ?? CACHE_BYTES,
    maxInFlightBytes: o.maxInFlightBytes ?? IN_FLIGHT_BYTES,
    transferMs,
  })
  const writer = new Writer(store, o, transferMs)
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const url = originForm(request.url)
    const [, leavesOf] = LEAVES_PATH.exec(url) ?? []
    if (leavesOf !== undefined) reader.serveLeaves(request, response, leavesOf).catch((error) => fail(response, error))
    else if (url.startsWith('/ipfs/')) reader.serve(request, response, url)
    else if (url.startsWith('/v1/blocks/')) writer.serve(request, response, url).catch((error) => fail(response, error))
    else return false
    return true
  }
  return Object.assign(handle, { accelerate: (server: Server) => reader.accelerate(server), reads: reader.reads })
}

/** Blocks that come in. */
class Writer {
  readonly #store: BlockStore
  readonly #o: BlockHandlerOptions
  readonly #transferMs: number
  readonly #maxBlockBytes: number

  constructor(store: BlockStore, o: BlockHandlerOptions, transferMs: number) {
    this.#store = store
    this.#o = o
    this.#transferMs = transferMs
    this.#maxBlockBytes = Math.min(MAX_BLOCK_BYTES, o.maxBlockBytes ?? MAX_BLOCK_BYTES)
  }

  async serve(request: IncomingMessage, response: ServerResponse, url: string): Promise<void> {
    const path = url.split('?', 1)[0]!
    if (path === '/v1/blocks/missing' && request.method === 'POST') return await this.#missing(request, response)
    const [, text] = /^\/v1\/blocks\/([A-Za-z0-9]{1,150})\/?$/.exec(path) ?? []
    if (text === undefined) throw new PinGoError('CID_MALFORMED', 'The path names no content address (CID).')
    if (request.method !== 'PUT')
      throw new PinGoError('METHOD_UNKNOWN', 'Only PUT is known here.', { details: { allow: 'PUT' } })
    await this.#put(request, response, text)
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
    if (Number(announced) > maxBytes)
      throw new PinGoError('BLOCK_TOO_LARGE', `The body is over the limit of ${maxBytes} bytes.`)
    return await readBody(request, Number(announced), this.#transferMs)
  }
}
