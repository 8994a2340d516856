import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isPinGoError, PinGoError } from '@pingo/wire'
import type { Names, SignedVersion } from '../names/names.ts'
import { parseName } from '../names/record.ts'
import { networkOf, RateLimit } from '../nodes/rate.ts'
import { checkMethod, end, fail, notModified } from './answers.ts'
import type { BlockHandler } from './block-handler.ts'
import { isCurrent } from './conditions.ts'
import { originForm } from './read-request.ts'

/** Of a signed name (ipfs/specs, trustless gateway). */
const RECORD_TYPE = 'application/vnd.ipfs.ipns-record'
/** What a name points to is believed for so long; that nobody knows it, shorter. */
const FRESH_MS = 30_000
const UNKNOWN_MS = 5_000
const MAX_REMEMBERED = 1_000
const MAX_PATH = 4_096
/** Names that one address block may have looked up: each is a question to seven fog nodes. */
const PER_SECOND = 20
const BURST = 100
const TEMPORARY_REDIRECT = 307

/**
 * `GET|HEAD /ipns/{name}[/path]`, for a raw `node:http(s)` server: on to what the name points to now (`/ipfs/{cid}/…`, which may be kept for
 * ever), or with `?format=ipns-record` the record itself, for who checks it by itself (ipfs/specs).
 */
export function nameHandler(names: Pick<Names, 'newest'>, o: { clock?: () => number } = {}): BlockHandler {
  const clock = o.clock ?? Date.now
  const rate = new RateLimit({ perSecond: PER_SECOND, burst: BURST, clock })
  const known = new Map<string, { found: Promise<SignedVersion | undefined>; until: number }>()

  const newest = (name: string, asker: string): Promise<SignedVersion | undefined> => {
    const now = clock()
    const remembered = known.get(name)
    if (remembered && remembered.until > now && remembered.until <= now + FRESH_MS) return remembered.found
    if (!rate.take(asker)) throw new PinGoError('OVERLOADED', 'Too many names.', { hint: 'Ask again in a second.' })
    const entry = { found: names.newest(name), until: now + FRESH_MS }
    entry.found.then(
      (version) => {
        if (!version) entry.until = Math.min(entry.until, clock() + UNKNOWN_MS)
      },
      () => known.get(name) === entry && known.delete(name),
    )
    known.delete(name)
    known.set(name, entry)
    if (known.size > MAX_REMEMBERED) known.delete(known.keys().next().value!)
    return entry.found
  }

  const serve = async (request: IncomingMessage, response: ServerResponse, url: string) => {
    checkMethod(request.method)
    const mark = url.indexOf('?')
    const path = mark < 0 ? url : url.slice(0, mark)
    const query = mark < 0 ? '' : url.slice(mark)
    if (path.length > MAX_PATH) throw new PinGoError('PATH_MALFORMED', `A path has at most ${MAX_PATH} characters.`)
    const [, text = '', rest = ''] = /^\/ipns\/([^/]*)(.*)$/.exec(path) ?? []
    const name = parseName(text)
    const found = await newest(name, networkOf(request.socket.remoteAddress))
    if (!found) throw new PinGoError('NAME_UNKNOWN', `Name ${name} is unknown here.`)
    const seconds = Math.max(0, Math.floor(Math.min(FRESH_MS, found.validUntil - clock()) / 1_000))
    const common = ['access-control-allow-origin', '*', 'cache-control', `public, max-age=${seconds}`]
    if (wantsRecord(query, request.headers.accept)) return sendRecord(request, response, name, found, common)
    if (!found.value.startsWith('/ipfs/'))
      throw new PinGoError('FORMAT_UNKNOWN', `Name ${name} points to '${found.value.slice(0, 100)}', which is no CID.`)
    const location = encodeURI(found.value) + rest + query
    end(response, TEMPORARY_REDIRECT, [...common, 'location', location, 'content-length', '0'])
  }
  return (request, response) => {
    const url = originForm(request.url ?? '')
    if (!url.startsWith('/ipns/')) return false
    serve(request, response, url).catch((error: unknown) => fail(response, plain(error)))
    return true
  }
}

function wantsRecord(query: string, accept = ''): boolean {
  const format = new URLSearchParams(query).get('format')
  return format === 'ipns-record' || (format === null && accept.includes(RECORD_TYPE))
}

function sendRecord(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  { record }: SignedVersion,
  common: string[],
): void {
  const tag = `"${createHash('sha256').update(record).digest('base64url').slice(0, 22)}"`
  const head = [...common, 'content-type', RECORD_TYPE, 'etag', tag, 'x-content-type-options', 'nosniff']
  if (isCurrent(request, tag)) {
    notModified(response, head)
    return
  }
  head.push('content-disposition', `attachment; filename="${name}.ipns-record"`)
  head.push('content-length', String(record.byteLength))
  response.writeHead(200, head).end(request.method === 'HEAD' ? undefined : record)
}

/** Nodes that do not answer are no fault of the request. */
const plain = (error: unknown): unknown =>
  isPinGoError(error, 'NAME_UNRESOLVED') ? new PinGoError('SOURCE_UNREACHABLE', error.message, { cause: error }) : error
