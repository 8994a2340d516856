import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CID, isPinGoError, PinGoError } from '@pingo/wire'
import { leafHashes } from '../durability/merkle.ts'
import type { ByteSpan } from './byte-range.ts'
import { isCurrent, rangeOf } from './conditions.ts'
import { sniff } from './sniff.ts'

export const RAW_TYPE = 'application/vnd.ipld.raw'
export const CAR_TYPE = 'application/vnd.ipld.car'
const IMMUTABLE = 'public, max-age=29030400, immutable'
/** Any page may read what is open to all, and see what is told with it (Fetch standard, CORS protocol). */
const CORS = [
  'access-control-allow-origin',
  '*',
  'access-control-expose-headers',
  'accept-ranges, content-disposition, content-range, etag, retry-after, x-ipfs-path, x-ipfs-roots',
]
const METHODS = 'GET, HEAD, OPTIONS'
const ASKED_HEADERS =
  'accept, cache-control, content-type, if-match, if-none-match, if-range, range, user-agent, x-requested-with'
const PREFLIGHT_SECONDS = '86400'
const BINARY = 'application/octet-stream'
/** What a foreign file may do in a browser that shows it: nothing but be seen. */
const FILE_POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
const MAX_FILENAME = 200

/** A whole body that is at hand, and the head that goes with it: names and values in turn, as `writeHead` takes them. */
export interface Answer {
  readonly tag: string
  readonly head: readonly string[]
  readonly body: Uint8Array
}

/** A block as it is (ipfs/specs, trustless gateway). */
export function rawAnswer(cid: CID, body: Uint8Array): Answer {
  const tag = `"${cid}"`
  return { tag, body, head: [...rawHead(cid), 'content-length', String(body.byteLength)] }
}

/** The hashes of a block's leaves of 64 KiB, 32 bytes each: by them who knows the root of its Merkle tree checks any leaf. */
export function leavesAnswer(cid: CID, block: Uint8Array): Answer {
  const tag = `"${cid}.leaves"`
  const body = Buffer.concat(leafHashes(block))
  return { tag, body, head: ['content-type', BINARY, ...lasting(tag), 'content-length', String(body.byteLength)] }
}

/** The head of a raw block, less its length. */
export const rawHead = (cid: CID): string[] => [
  ...commonHead(cid, cid, RAW_TYPE),
  ...lasting(`"${cid}"`),
  'content-disposition',
  `attachment; filename="${cid}.bin"`,
  'accept-ranges',
  'bytes',
]

/** A small file of which all bytes are at hand. */
export function fileAnswer(cid: CID, body: Uint8Array): Answer {
  const head = fileHead({ cid, root: cid, path: '', type: sniff(body), name: undefined })
  return { tag: fileTag(cid), body, head: [...head, 'content-length', String(body.byteLength)] }
}

export const fileTag = (cid: CID): string => `"${cid}.file"`

/**
 * The head of a file, less its length. What could be run in a browser comes as bytes to download.
 * @param o.path below the root, encoded as it was asked for, with its first slash
 */
export function fileHead(o: { cid: CID; root: CID; path: string; type: string; name: string | undefined }): string[] {
  const kind = o.type === BINARY ? 'attachment' : 'inline'
  const name = o.name?.slice(0, MAX_FILENAME)
  return [
    ...commonHead(o.cid, o.root, o.type, o.path),
    ...lasting(fileTag(o.cid)),
    'content-disposition',
    // RFC 6266, with the encoding of RFC 8187
    name === undefined ? kind : `${kind}; filename*=UTF-8''${encodeName(name)}`,
    'content-security-policy',
    FILE_POLICY,
    'accept-ranges',
    'bytes',
  ]
}

/** What every answer under a CID has. Which form of it is sent is chosen by Accept, where the query does not: caches must know. */
export const commonHead = (cid: CID, root: CID, type: string, path = ''): string[] => [
  'content-type',
  type,
  'vary',
  'accept',
  'x-content-type-options',
  'nosniff',
  'x-ipfs-path',
  `/ipfs/${root}${path}`,
  'x-ipfs-roots',
  root.equals(cid) ? String(root) : `${root},${cid}`,
  ...CORS,
]

/** What is the same for ever. */
export const lasting = (tag: string): string[] => ['etag', tag, 'cache-control', IMMUTABLE]

/** Names may be any text that UTF-8 can say; half a surrogate pair is none. */
const encodeName = (name: string): string =>
  encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)

/**
 * Answers what needs no body: 304 and HEAD.
 * @returns undefined when it did; else what is wanted of the body and the head that says so
 * @throws PinGoError PRECONDITION_FAILED, RANGE_UNSATISFIABLE
 */
export function begin(
  request: IncomingMessage,
  response: ServerResponse,
  o: { tag: string; head: readonly string[]; size: number },
): { status: 200 | 206; head: string[]; span: ByteSpan } | undefined {
  const { tag, size } = o
  if (isCurrent(request, tag)) return void notModified(response, o.head)
  const range = rangeOf(request, tag, size)
  if (range === 'unsatisfiable')
    throw new PinGoError('RANGE_UNSATISFIABLE', `The range lies beyond the ${size} bytes that there are.`, {
      details: { size },
    })
  const span = range ?? { start: 0, end: size }
  const head = [...o.head, 'content-length', String(span.end - span.start)]
  if (range) head.push('content-range', `bytes ${span.start}-${span.end - 1}/${size}`)
  const status = range ? 206 : 200
  if (request.method === 'HEAD') return void end(response, status, head)
  return { status, head, span }
}

/** 304: the asker keeps what it has, and what describes that body (RFC 9110, 15.4.5). */
export function notModified(response: ServerResponse, head: readonly string[]): void {
  const kept: string[] = []
  for (let n = 0; n < head.length; n += 2) if (!head[n]!.startsWith('content-')) kept.push(head[n]!, head[n + 1]!)
  end(response, 304, kept)
}

/** OPTIONS: what may be asked, also by pages from elsewhere (Fetch standard, CORS preflight). */
export function options(response: ServerResponse): void {
  end(response, 204, [
    'allow',
    METHODS,
    'access-control-allow-origin',
    '*',
    'access-control-allow-methods',
    METHODS,
    'access-control-allow-headers',
    ASKED_HEADERS,
    'access-control-max-age',
    PREFLIGHT_SECONDS,
  ])
}

/** @throws PinGoError METHOD_UNKNOWN for what neither reads nor asks what may be asked */
export function checkMethod(method: string | undefined): void {
  if (method !== 'GET' && method !== 'HEAD')
    throw new PinGoError('METHOD_UNKNOWN', `Only ${METHODS} are known here.`, { details: { allow: METHODS } })
}

export function end(response: ServerResponse, status: number, head: readonly string[]): void {
  response.writeHead(status, head as string[])
  response.end()
}

export function json(response: ServerResponse, status: number, value: unknown, head: readonly string[] = []): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, [
    'content-type',
    'application/json',
    'content-length',
    String(body.byteLength),
    'x-content-type-options',
    'nosniff',
    ...head,
  ])
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

const STATUS: Record<string, number> = {
  BLOCK_MISSING: 404,
  BLOCK_CORRUPT: 404,
  PATH_NOT_FOUND: 404,
  NOT_CACHED: 412,
  NAME_UNKNOWN: 404,
  BLOCK_TOO_LARGE: 413,
  MESSAGE_TOO_LARGE: 413,
  LENGTH_REQUIRED: 411,
  UNAUTHORIZED: 401,
  FORMAT_UNKNOWN: 406,
  METHOD_UNKNOWN: 405,
  PRECONDITION_FAILED: 412,
  RANGE_UNSATISFIABLE: 416,
  OVERLOADED: 503,
  SOURCE_UNREACHABLE: 502,
  FETCH_FAILED: 502,
  QUOTA_EXCEEDED: 507,
  DISK_FULL: 507,
  FILE_MALFORMED: 422,
  FOLDER_MALFORMED: 422,
  FILE_TOO_LARGE: 422,
  TRANSFER_TIMEOUT: 408,
}

/** Answers with an error, which no cache keeps: what is missing or too much now may be here in a second. */
export function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy() // a body that breaks off is noticed; one that ends early and cleanly might not be
    return
  }
  const known = isPinGoError(error) ? error : new PinGoError('INTERNAL', 'The node failed to serve the block.')
  const status = isPinGoError(error) ? (STATUS[known.code] ?? 400) : 500
  const head = ['cache-control', 'no-store', ...CORS]
  if (status === 401) head.push('www-authenticate', 'Bearer realm="PinGo"')
  if (status === 416) head.push('content-range', `bytes */${known.details?.size}`)
  if (status === 503) head.push('retry-after', '1')
  if (known.code === 'METHOD_UNKNOWN') head.push('allow', String(known.details?.allow))
  // what the sender has not sent yet is not waited for
  if (!response.req.complete) head.push('connection', 'close')
  json(response, status, { error: known.toJSON() }, head)
}
