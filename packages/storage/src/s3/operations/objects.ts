import type { ServerResponse } from 'node:http'
import { parseRange } from '../../gateway/byte-range.ts'
import { openUpload } from '../body/upload.ts'
import {
  bucketOf,
  type Call,
  checkVersion,
  copySource,
  isoDate,
  keyOf,
  quoted,
  sendEmpty,
  sendXml,
  writerOf,
} from '../call.ts'
import { checkSource, isRangeCurrent, isUnmodified, writeCondition } from '../conditions.ts'
import { describe, headersOf, refuseUnknown } from '../description.ts'
import { S3Error } from '../errors.ts'
import { MAX_UPLOAD_BYTES } from '../limits.ts'
import type { ObjectInfo, OpenObject, Span } from '../port.ts'
import { xml } from '../xml.ts'

const WRITE_BYTES = 64 << 10

/** GetObject and HeadObject. */
export async function getObject(call: Call): Promise<void> {
  const { request, reader, response, signal } = call
  checkVersion(request.parameter('versionId'))
  if (request.parameter('partNumber') !== undefined)
    throw new S3Error('NotImplemented', 'Parts cannot be read by their numbers. Ask for a range.')
  const isHead = request.method === 'HEAD'
  const [bucket, key] = [bucketOf(call), keyOf(call)]
  const open = isHead ? undefined : await reader.get(bucket, key, { signal })
  const info = isHead ? await reader.head(bucket, key, { signal }) : open?.info
  if (!info) throw new S3Error('NoSuchKey', undefined, { details: { Key: key } })
  const headers = { ...headersOf(info), ...overrides(call) }
  if (isUnmodified(request, info)) return sendEmpty(call, 304, without(headers, 'content-type'))
  const span = spanOf(call, info)
  const bytes = span ? span.end - span.start : info.bytes
  response.writeHead(span ? 206 : 200, {
    ...headers,
    'content-length': bytes,
    ...(span ? { 'content-range': `bytes ${span.start}-${span.end - 1}/${info.bytes}` } : {}),
  })
  if (!open || bytes === 0) response.end()
  else await stream(response, open, span, { bytes, paceMs: call.paceMs, signal })
}

function spanOf({ request }: Call, info: ObjectInfo): Span | undefined {
  const range = request.header('range')
  // several ranges at once are not served: the whole is a right answer too (RFC 9110, 14.2)
  if (range === '' || range.includes(',') || !isRangeCurrent(request, info)) return undefined
  const span = parseRange(range, info.bytes)
  if (span === 'unsatisfiable')
    throw new S3Error('InvalidRange', undefined, {
      details: { RangeRequested: range, ActualObjectSize: `${info.bytes}` },
    })
  return span
}

const OVERRIDES: Record<string, string> = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-expires': 'expires',
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
}

function overrides({ request, identity }: Call): Record<string, string> {
  const found = request.query.filter(([name, value]) => Object.hasOwn(OVERRIDES, name) && value !== '')
  if (found.length > 0 && identity.accessKeyId === undefined)
    throw new S3Error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.')
  return Object.fromEntries(
    found.map(([name, value]) => {
      if (!/^[\t\x20-\x7e]*$/.test(value)) throw new S3Error('InvalidArgument', `${name} must be ASCII.`)
      return [OVERRIDES[name]!, value]
    }),
  )
}

/** Sends an object in pieces, each within the pace; a body that cannot be finished breaks off, so that nobody takes it for whole. */
async function stream(
  response: ServerResponse,
  object: OpenObject,
  span: Span | undefined,
  o: { bytes: number; paceMs: number; signal: AbortSignal },
): Promise<void> {
  let left = o.bytes
  for await (const part of object.read(span, { signal: o.signal })) {
    left -= part.byteLength
    if (left < 0) throw new Error('The store gave more bytes than the object has.')
    for (let at = 0; at < part.byteLength; at += WRITE_BYTES) {
      if (!response.write(part.subarray(at, at + WRITE_BYTES))) await drained(response, o.paceMs)
    }
  }
  if (left > 0) throw new Error('The store gave fewer bytes than the object has.')
  response.end()
}

/** Resolves when the client took what was written. @throws when it does not in `paceMs`, or is gone */
function drained(response: ServerResponse, paceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (isDrained: boolean) => {
      clearTimeout(timer)
      response.off('drain', onDrain).off('close', onClose)
      if (isDrained) resolve()
      else reject(new S3Error('RequestTimeout', 'The client is gone or reads too slowly.'))
    }
    const onDrain = () => end(true)
    const onClose = () => end(false)
    const timer = setTimeout(onClose, paceMs)
    response.once('drain', onDrain).once('close', onClose)
    if (response.destroyed) onClose()
  })
}

export async function putObject(call: Call): Promise<void> {
  refuseUnknown(call.request)
  const writer = writerOf(call)
  if (call.request.header('x-amz-copy-source') !== '') return copyObject(call)
  const upload = openUpload(call.request, call.identity, call.paceMs)
  const { etag } = await writer.put(bucketOf(call), keyOf(call), upload, {
    ...describe(call.request),
    ...writeCondition(call.request),
    signal: call.signal,
  })
  sendEmpty(call, 200, { etag: quoted(etag), ...upload.checksums() })
}

async function copyObject(call: Call): Promise<void> {
  const { request, signal } = call
  const source = copySource(call)
  const target = { bucket: bucketOf(call), key: keyOf(call) }
  const directive = request.header('x-amz-metadata-directive') || 'COPY'
  if (directive !== 'COPY' && directive !== 'REPLACE')
    throw new S3Error('InvalidArgument', 'x-amz-metadata-directive must be COPY or REPLACE.')
  const isReplaced = directive === 'REPLACE'
  if (!isReplaced && source.bucket === target.bucket && source.key === target.key)
    throw new S3Error(
      'InvalidRequest',
      'An object is copied to itself only with other metadata: x-amz-metadata-directive REPLACE.',
    )
  const info = await sourceInfo(call, source)
  if (info.bytes > MAX_UPLOAD_BYTES) throw new S3Error('InvalidRequest', 'Larger than 5 GiB is copied in parts.')
  const { etag, modifiedAt } = await writerOf(call).copy({ ...source, etag: info.etag }, target, {
    ...(isReplaced ? { description: describe(request) } : {}),
    ...writeCondition(request),
    signal,
  })
  sendXml(call, xml('CopyObjectResult', { LastModified: isoDate(modifiedAt), ETag: quoted(etag) }))
}

/** What is to be copied, its conditions checked. @throws S3Error NoSuchKey, PreconditionFailed */
export async function sourceInfo(call: Call, source: { bucket: string; key: string }): Promise<ObjectInfo> {
  const info = await call.reader.head(source.bucket, source.key, call)
  if (!info) throw new S3Error('NoSuchKey', undefined, { details: { Key: source.key } })
  checkSource(call.request, info)
  return info
}

export async function deleteObject(call: Call): Promise<void> {
  checkVersion(call.request.parameter('versionId'))
  await writerOf(call).delete(bucketOf(call), keyOf(call), call)
  sendEmpty(call, 204)
}

/** Objects have no tags. */
export async function objectTags(call: Call): Promise<void> {
  if (!(await call.reader.head(bucketOf(call), keyOf(call), call))) throw new S3Error('NoSuchKey')
  sendXml(call, xml('Tagging', { TagSet: '' }))
}

const without = (headers: Record<string, string>, name: string): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([found]) => found !== name))
