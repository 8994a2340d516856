import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  AllowanceAnswerSchema,
  AllowanceQuestionSchema,
  CBOR_TYPE,
  ChallengeSchema,
  CommitSchema,
  DropSchema,
  decode,
  encode,
  ForgetQuestionSchema,
  HelloSchema,
  helloBytes,
  isPinGoError,
  KeepSchema,
  LocationsSchema,
  MAX_COMMIT_BYTES,
  MAX_EXCHANGE_BYTES,
  MAX_NAME_RECORD_BYTES,
  MAX_QUESTION_BYTES,
  MissingQuestionSchema,
  NodesExchangeSchema,
  type Opinion,
  PinGoError,
  parseCid,
  sha256,
} from '@pingo/wire'
import type { z } from 'zod'
import { toCid } from '../blocks/key.ts'
import type { BlockHandler } from '../gateway/block-handler.ts'
import { MAX_BLOCK_BYTES } from '../limits.ts'
import { AccessGate, type Asker } from './access.ts'
import { announcedBytes, readBody } from './body.ts'
import { Concurrency, networkOf, RateLimit } from './rate.ts'
import type { StorageService } from './service.ts'

/** What the handler needs of the membership of fog nodes. */
export interface NodesPort {
  /** Sealed records of the nodes that are known, this one's first. */
  records(): Promise<Uint8Array[]>
  opinions(): Opinion[]
  /** Takes records of another fog node. @returns some in exchange */
  exchange(records: Uint8Array[]): Promise<Uint8Array[]>
}

export interface StorageHandlerOptions {
  nodes: NodesPort
  /** The fog node's own token: who bears it may vouch for owners. Without one, nobody may. */
  token?: string
  clock?: () => number
  /** Requests a second in the long run, of one address block or one identity; four times as many at once. 500 by default. */
  requestsPerSecond?: number
  /** Requests under way at once, of one address block or one identity. 128 by default. */
  maxConcurrent?: number
  /** Bytes of bodies in memory at once. 64 MiB by default. */
  maxBodyBytes?: number
}

const REQUESTS_PER_SECOND = 500
const BURST_SECONDS = 4
const CONCURRENT = 128
const BODY_BYTES = 64 << 20
/** The part of it that one address block or identity may take. */
const BODY_SHARE = 0.5
/** An id, and what it is put for: `repair-bafyrei…`. */
const MAX_UPLOAD_CHARS = 128
const MAX_SMALL_BYTES = 8 << 10

const STATUS: Record<string, number> = {
  UNAUTHORIZED: 401,
  ALLOWANCE_MISSING: 403,
  FORBIDDEN: 403,
  BLOCK_MISSING: 404,
  BLOCK_CORRUPT: 404,
  OBJECT_MISSING: 404,
  NAME_UNKNOWN: 404,
  PATH_UNKNOWN: 404,
  METHOD_UNKNOWN: 405,
  TRANSFER_TIMEOUT: 408,
  OBJECT_DIFFERS: 409,
  NAME_OUTDATED: 409,
  OBJECT_FORGOTTEN: 410,
  LENGTH_REQUIRED: 411,
  BLOCK_TOO_LARGE: 413,
  MESSAGE_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  NAMES_UNSUPPORTED: 501,
  OVERLOADED: 503,
  QUOTA_EXCEEDED: 507,
  ALLOWANCE_EXCEEDED: 507,
  VOUCHER_EXCEEDED: 507,
  DISK_FULL: 507,
}

/** One call: what a route is given. */
interface Call {
  request: IncomingMessage
  query: URLSearchParams
  /** The part of the path that names something. */
  name: string
  /** Who asks; checked anew by each route that needs to know. */
  asker(): Promise<Asker>
  /** The body by its schema. */
  body<S extends z.ZodType>(schema: S, maxBytes: number): Promise<z.output<S>>
  bytes(maxBytes: number): Promise<Uint8Array>
}

/** What is sent: dag-cbor of a value, bytes as they are, or nothing (204). */
type Route = (call: Call) => Promise<unknown>

/**
 * A storage node's interface for clients and other fog nodes, for a raw `node:http(s)` server; bodies are dag-cbor by the schemas of
 * `wire/storage-api.ts`, chunks and names are bytes as they are, errors JSON. Every request is bounded in size, time and rate.
 * Chunks are read by the block handler: `GET /ipfs/{cid}?format=raw`.
 */
export function storageHandler(service: StorageService, o: StorageHandlerOptions): BlockHandler {
  const clock = o.clock ?? Date.now
  const perSecond = o.requestsPerSecond ?? REQUESTS_PER_SECOND
  const gate = new AccessGate(service.peerId, clock)
  const rate = new RateLimit({ perSecond, burst: BURST_SECONDS * perSecond, clock })
  const concurrency = new Concurrency(o.maxConcurrent ?? CONCURRENT)
  const maxBodyBytes = o.maxBodyBytes ?? BODY_BYTES
  const bodies = new Concurrency(maxBodyBytes)
  const bodiesOf = new Concurrency(Math.max(MAX_COMMIT_BYTES, maxBodyBytes * BODY_SHARE))
  const routes = routesOf(service, o)

  const serve = async (request: IncomingMessage, response: ServerResponse, path: string, query: string) => {
    const done: (() => void)[] = []
    let asking = ''
    const limit = (who: string) => {
      if (!rate.take(who))
        throw new PinGoError('RATE_LIMITED', 'Too many requests.', { hint: 'Ask again in a second.' })
      const leave = concurrency.enter(who)
      if (!leave) throw overloaded()
      done.push(leave)
      asking = who
    }
    const bytes = async (maxBytes: number) => {
      const length = announcedBytes(request, maxBytes)
      for (const [held, who] of [[bodies, ''] as const, [bodiesOf, asking] as const]) {
        const leave = held.enter(who, length)
        if (!leave) throw overloaded()
        done.push(leave)
      }
      return await readBody(request, length)
    }
    try {
      limit(networkOf(request.socket.remoteAddress))
      const { route, name } = find(routes, request.method ?? '', path)
      const answer = await route({
        request,
        query: new URLSearchParams(query),
        name,
        asker: async () => {
          const asker = await gate.check(request.headers.authorization)
          limit(asker.peerId)
          return asker
        },
        body: async (schema, maxBytes) => decode(schema, await bytes(maxBytes), maxBytes),
        bytes,
      })
      send(response, answer)
    } catch (error) {
      fail(response, error)
    } finally {
      for (const end of done) end()
    }
  }
  return (request, response) => {
    const url = request.url ?? ''
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    if (!path.startsWith('/v1/storage/') && !path.startsWith('/v1/names/')) return false
    void serve(request, response, path, mark < 0 ? '' : url.slice(mark))
    return true
  }
}

function routesOf(service: StorageService, o: StorageHandlerOptions): Record<string, Route> {
  return {
    'PUT /v1/storage/chunks/*': async ({ name, query, asker, bytes }) => {
      const who = await asker()
      const upload = query.get('upload') ?? ''
      if (!upload || upload.length > MAX_UPLOAD_CHARS)
        throw new PinGoError('MESSAGE_INVALID', `An upload is named by 1 to ${MAX_UPLOAD_CHARS} characters.`)
      await service.putChunk(who, toCid(name), await bytes(MAX_BLOCK_BYTES), upload)
    },
    'POST /v1/storage/missing': async ({ body }) => {
      const { cids } = await body(MissingQuestionSchema, MAX_QUESTION_BYTES)
      return { missing: await service.missing(cids) }
    },
    'POST /v1/storage/keep': async ({ asker, body }) => {
      const who = await asker()
      const { cids, ...rest } = await body(KeepSchema, MAX_QUESTION_BYTES)
      return { missing: texts(await service.keep(who, { ...rest, cids: cids.map(parseCid) })) }
    },
    'POST /v1/storage/drop': async ({ asker, body }) => {
      const who = await asker()
      await service.drop(who, (await body(DropSchema, MAX_SMALL_BYTES)).object)
    },
    'POST /v1/storage/challenge': async ({ body }) => {
      const { cid, leaf, nonce } = await body(ChallengeSchema, MAX_SMALL_BYTES)
      return await service.challenge(toCid(cid), leaf, nonce)
    },
    'PUT /v1/storage/objects/*': async ({ asker, name, body }) => {
      const who = await asker()
      // the name is in the sealed record too, which counts; here it makes the path that of what is put
      await service.commit(who, await body(CommitSchema, MAX_COMMIT_BYTES), parseCid(name).toString())
    },
    'GET /v1/storage/objects/*': async ({ request, asker, name }) => {
      const who = request.headers.authorization === undefined ? undefined : await asker()
      const state = service.object(parseCid(name).toString(), who)
      if (!state) throw new PinGoError('OBJECT_MISSING', `This node does not care for object ${name}.`)
      const { record, health, forgotten } = state
      return { record, checkedAt: health.checkedAt, stripesByShards: health.stripesByShards, forgotten }
    },
    'DELETE /v1/storage/objects/*': async ({ request, asker, name, body }) => {
      const who = request.headers.authorization === undefined ? undefined : await asker()
      await service.forget(parseCid(name).toString(), (await body(ForgetQuestionSchema, MAX_SMALL_BYTES)).word, who)
    },
    'GET /v1/storage/objects/*/locations': async ({ name, query }) =>
      service.locations(parseCid(name).toString(), partOf(query)),
    'PUT /v1/storage/objects/*/locations': async ({ asker, name, query, body }) => {
      const who = await asker()
      const locations = await body(LocationsSchema, MAX_QUESTION_BYTES)
      await service.relocate(who, parseCid(name).toString(), partOf(query), locations)
    },
    'GET /v1/storage/nodes': async () => ({ records: await o.nodes.records(), opinions: o.nodes.opinions() }),
    'POST /v1/storage/nodes': async ({ body }) => {
      const { records } = await body(NodesExchangeSchema, MAX_EXCHANGE_BYTES)
      return { records: await o.nodes.exchange(records) }
    },
    'POST /v1/storage/hello': async ({ body }) => {
      const { nonce } = await body(HelloSchema, MAX_SMALL_BYTES)
      return { record: await service.record(), signature: await service.identity.sign(helloBytes(nonce)) }
    },
    'POST /v1/storage/allowances': async ({ request, body }) => {
      if (o.token === undefined || !bears(request.headers.authorization, o.token))
        throw new PinGoError('UNAUTHORIZED', "Vouching for an owner needs the fog node's token.", {
          hint: 'Send the header Authorization: Bearer with the token that the node printed when it started.',
        })
      const { owner, bytes, until } = await body(AllowanceQuestionSchema, MAX_SMALL_BYTES)
      return AllowanceAnswerSchema.parse({ allowance: await service.allowance(owner, bytes, until) })
    },
    'GET /v1/storage/usage': async ({ asker }) => service.usage(await asker()),
    'PUT /v1/names/*': async ({ name, bytes }) => {
      await service.names.put(name, await bytes(MAX_NAME_RECORD_BYTES))
    },
    'GET /v1/names/*': async ({ name }) => {
      const record = service.names.get(name)
      if (!record) throw new PinGoError('NAME_UNKNOWN', `Name ${name} is unknown here.`)
      return record
    },
    'GET /v1/names/*/versions': async ({ name }) => ({ records: service.names.versions(name) }),
  }
}

/** What may stand for `*` in a path. */
const PATH = /^(\/v1\/(?:storage\/(?:chunks|objects)|names)\/)([A-Za-z0-9]{1,150})(\/[a-z]+)?$/

function find(routes: Record<string, Route>, method: string, path: string): { route: Route; name: string } {
  const [, head, name = '', tail = ''] = PATH.exec(path) ?? []
  const pattern = head === undefined ? path : `${head}*${tail}`
  const route = Object.hasOwn(routes, `${method} ${pattern}`) ? routes[`${method} ${pattern}`] : undefined
  if (route) return { route, name }
  const allow = Object.keys(routes).flatMap((key) => (key.endsWith(` ${pattern}`) ? [key.split(' ')[0]!] : []))
  if (allow.length > 0)
    throw new PinGoError('METHOD_UNKNOWN', `Only ${allow.join(', ')} is known here.`, {
      details: { allow: allow.join(', ') },
    })
  throw new PinGoError('PATH_UNKNOWN', 'The path is unknown to this storage node.')
}

function partOf(query: URLSearchParams): number {
  const part = query.get('part') ?? ''
  if (!/^\d{1,6}$/.test(part)) throw new PinGoError('MESSAGE_INVALID', 'Which part? Add ?part= and its number.')
  return Number(part)
}

const texts = (cids: readonly { toString(): string }[]) => cids.map((cid) => cid.toString())

/** True when a request carries the token as bearer; compared in constant time. */
const bears = (header: string | undefined, token: string): boolean =>
  timingSafeEqual(sha256(Buffer.from(header ?? '')), sha256(Buffer.from(`Bearer ${token}`)))

function send(response: ServerResponse, answer: unknown): void {
  if (response.destroyed) return
  if (answer === undefined) {
    response.writeHead(204).end()
    return
  }
  const isBytes = answer instanceof Uint8Array
  const body = isBytes ? answer : encode(answer)
  response.writeHead(200, {
    'content-type': isBytes ? 'application/octet-stream' : CBOR_TYPE,
    'content-length': body.byteLength,
    'cache-control': 'no-store',
    'access-control-allow-origin': '*',
  })
  response.end(body)
}

function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const known = isPinGoError(error) ? error : new PinGoError('INTERNAL', 'The node failed to answer.')
  const status = isPinGoError(error) ? (STATUS[known.code] ?? 400) : 500
  // what is missing or too much now may be otherwise in a second
  response.setHeader('cache-control', 'no-store')
  if (status === 401) response.setHeader('www-authenticate', 'PinGo, Bearer realm="PinGo"')
  if (status === 503 || status === 429) response.setHeader('retry-after', '1')
  if (known.code === 'METHOD_UNKNOWN') response.setHeader('allow', String(known.details?.allow))
  // what the sender has not sent yet is not waited for
  if (!response.req.complete) response.setHeader('connection', 'close')
  const body = Buffer.from(JSON.stringify({ error: known.toJSON() }))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.byteLength })
  response.end(body)
}

const overloaded = () =>
  new PinGoError('OVERLOADED', 'Too much is on its way already.', { hint: 'Ask again in a second.' })
