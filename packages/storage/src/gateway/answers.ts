import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CID, isPinGoError, PinGoError } from '@pingo/wire'
import { type ByteSpan, parseRange } from './byte-range.ts'
import { sniff } from './sniff.ts'

export const RAW_TYPE = 'application/vnd.ipld.raw'
export const CAR_TYPE = 'application/vnd.ipld.car'
export const IMMUTABLE = 'public, max-age=29030400, immutable'
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

/** The head of a raw block, less its length. */
export const rawHead = (cid: CID): string[] => [
  ...commonHead(cid, cid, RAW_TYPE, `"${cid}"`),
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
    ...commonHead(o.cid, o.root, o.type, fileTag(o.cid), o.path),
    'content-disposition',
    // RFC 6266, with the encoding of RFC 8187
    name === undefined ? kind : `${kind}; filename*=UTF-8''${encodeName(name)}`,
    'content-security-policy',
    FILE_POLICY,
    'accept-ranges',
    'bytes',
    'vary',
    'accept',
  ]
}

/** What every answer under a CID has. */
export const commonHead = (cid: CID, root: CID, type: string, tag: string, path = ''): string[] => [
  'content-type',
  type,
  'etag',
  tag,
  'cache-control',
  IMMUTABLE,
  'x-content-type-options',
  'nosniff',
  'x-ipfs-path',
  `/ipfs/${root}${path}`,
  'x-ipfs-roots',
  root.equals(cid) ? String(root) : `${root},${cid}`,
  'access-control-allow-origin',
  '*',
]

/** Names may be any text that UTF-8 can say; half a surrogate pair is none. */
const encodeName = (name: string): string =>
  encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)

/** What is under a CID never changes: whoever names its tag in If-None-Match has it. */
export function isCurrent(request: IncomingMessage, tag: string): boolean {
  const tags = request.headers['if-none-match']
  if (tags === undefined) return false
  const bare = bareTag(tag)
  return tags.split(',').some((each) => each.trim() === '*' || bareTag(each) === bare)
}

const bareTag = (tag: string): string =>
  tag
    .trim()
    .replace(/^W\//, '')
    .replaceAll('"', '')
    .replace(/\.(raw|car)$/, '')

/** The bytes that a request wants of a body. */
export function rangeOf(request: IncomingMessage, tag: string, size: number): ByteSpan | 'unsatisfiable' | undefined {
  const condition = request.headers['if-range']
  if (condition !== undefined && condition !== tag) return undefined
  return parseRange(request.headers.range, size)
}

/**
 * Answers what needs no body: 304, 416, HEAD.
 * @returns undefined when it did; else what is wanted of the body and the head that says so
 */
export function begin(
  request: IncomingMessage,
  response: ServerResponse,
  o: { tag: string; head: readonly string[]; size: number },
): { status: 200 | 206; head: string[]; span: ByteSpan } | undefined {
  const { tag, size } = o
  if (isCurrent(request, tag)) return void end(response, 304, o.head)
  const range = rangeOf(request, tag, size)
  if (range === 'unsatisfiable') return void end(response, 416, [...o.head, 'content-range', `bytes */${size}`])
  const span = range ?? { start: 0, end: size }
  const head = [...o.head, 'content-length', String(span.end - span.start)]
  if (range) head.push('content-range', `bytes ${span.start}-${span.end - 1}/${size}`)
  const status = range ? 206 : 200
  if (request.method === 'HEAD') return void end(response, status, head)
  return { status, head, span }
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
  PATH_MISSING: 404,
  BLOCK_TOO_LARGE: 413,
  MESSAGE_TOO_LARGE: 413,
  LENGTH_REQUIRED: 411,
  UNAUTHORIZED: 401,
  FORMAT_UNKNOWN: 406,
  METHOD_UNKNOWN: 405,
  OVERLOADED: 503,
  SOURCE_UNREACHABLE: 502,
  FETCH_FAILED: 502,
  QUOTA_EXCEEDED: 507,
  DISK_FULL: 507,
  FILE_MALFORMED: 422,
  FILE_TOO_LARGE: 422,
  TRANSFER_TIMEOUT: 408,
}

export function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy() // a body that breaks off is noticed; one that ends early and cleanly might not be
    return
  }
  const known = isPinGoError(error) ? error : new PinGoError('INTERNAL', 'The node failed to serve the block.')
  const status = isPinGoError(error) ? (STATUS[known.code] ?? 400) : 500
  const head: string[] = []
  if (status === 503) head.push('retry-after', '1')
  if (known.code === 'METHOD_UNKNOWN') head.push('allow', String(known.details?.allow))
  // what the sender has not sent yet is not waited for
  if (!response.req.complete) head.push('connection', 'close')
  json(response, status, { error: known.toJSON() }, head)
}
