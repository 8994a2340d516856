import { createHash } from 'node:crypto'
import { openUpload, readBody } from '../body/upload.ts'
import {
  bucketOf,
  type Call,
  copySource,
  isoDate,
  keyOf,
  numberOf,
  quoted,
  sendEmpty,
  sendXml,
  writerOf,
} from '../call.ts'
import { writeCondition } from '../conditions.ts'
import { describe, refuseUnknown } from '../description.ts'
import { S3Error } from '../errors.ts'
import { MAX_PAGE, MAX_PARTS, MAX_UPLOAD_BYTES, MIN_PART_BYTES } from '../limits.ts'
import type { Part, Span } from '../port.ts'
import { children, parseXml, text, type XmlTree, xml } from '../xml.ts'
import { OWNER } from './buckets.ts'
import { encoderOf } from './lists.ts'
import { sourceInfo } from './objects.ts'

export async function createUpload(call: Call): Promise<void> {
  refuseUnknown(call.request)
  const { id } = await writerOf(call).createUpload(bucketOf(call), keyOf(call), {
    ...describe(call.request),
    signal: call.signal,
  })
  sendXml(call, xml('InitiateMultipartUploadResult', { Bucket: bucketOf(call), Key: keyOf(call), UploadId: id }))
}

export async function putPart(call: Call): Promise<void> {
  refuseUnknown(call.request)
  const writer = writerOf(call)
  const number = call.request.parameter('partNumber') ?? ''
  if (!/^\d{1,5}$/.test(number) || Number(number) < 1 || Number(number) > MAX_PARTS)
    throw new S3Error('InvalidArgument', `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`)
  if (call.request.header('x-amz-copy-source') !== '') return copyPart(call, Number(number))
  const upload = openUpload(call.request, call.identity, call.paceMs)
  const { etag } = await writer.putPart(bucketOf(call), keyOf(call), idOf(call), Number(number), upload, call)
  sendEmpty(call, 200, { etag: quoted(etag), ...upload.checksums() })
}

async function copyPart(call: Call, number: number): Promise<void> {
  const { signal } = call
  const source = copySource(call)
  const { etag: expected } = await sourceInfo(call, source)
  const open = await call.reader.get(source.bucket, source.key, { signal })
  if (!open) throw new S3Error('NoSuchKey')
  if (open.info.etag !== expected) throw new S3Error('PreconditionFailed')
  const span = copySpan(call, open.info.bytes)
  const bytes = span.end - span.start
  if (bytes > MAX_UPLOAD_BYTES) throw new S3Error('EntityTooLarge')
  const md5 = createHash('md5')
  let digest: string | undefined
  async function* read(): AsyncGenerator<Uint8Array> {
    for await (const part of open!.read(span, { signal })) {
      md5.update(part)
      yield part
    }
    digest = md5.digest('hex')
  }
  const upload = { bytes, stream: read(), etag: () => digest! }
  const put = await writerOf(call).putPart(bucketOf(call), keyOf(call), idOf(call), number, upload, { signal })
  sendXml(call, xml('CopyPartResult', { LastModified: isoDate(put.modifiedAt), ETag: quoted(put.etag) }))
}

function copySpan({ request }: Call, bytes: number): Span {
  const range = request.header('x-amz-copy-source-range')
  if (range === '') return { start: 0, end: bytes }
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(range) ?? []
  const span = { start: Number(first), end: Number(last) + 1 }
  if (!(span.start < span.end && span.end <= bytes))
    throw new S3Error('InvalidArgument', 'x-amz-copy-source-range must be bytes=first-last within the source.')
  return span
}

export async function completeUpload(call: Call): Promise<void> {
  const writer = writerOf(call)
  const body = await readBody(withoutChecksums(call), call.identity, call.paceMs)
  const claims = children(parseXml(body, 'CompleteMultipartUpload'), 'Part').map((part) => ({
    number: Number(text(part, 'PartNumber')),
    etag: (text(part, 'ETag') ?? '').replaceAll('"', ''),
  }))
  const there = await writer.listParts(bucketOf(call), keyOf(call), idOf(call), call)
  const parts = checkParts(claims, there)
  const { etag } = await writer.completeUpload(bucketOf(call), keyOf(call), idOf(call), {
    parts,
    etag: etagOfParts(parts),
    ...writeCondition(call.request),
    signal: call.signal,
  })
  const Location = `http://${call.request.header('host')}/${bucketOf(call)}/${encodeURI(keyOf(call))}`
  sendXml(
    call,
    xml('CompleteMultipartUploadResult', { Location, Bucket: bucketOf(call), Key: keyOf(call), ETag: quoted(etag) }),
  )
}

/** Here x-amz-checksum-* tell of the whole object, not of this body; every part was checked by its own. */
function withoutChecksums({ request }: Call): Call['request'] {
  return { ...request, header: (name) => (/^x-amz-(checksum-|trailer)/.test(name) ? '' : request.header(name)) }
}

/** @throws S3Error MalformedXML, InvalidPartOrder, InvalidPart, EntityTooSmall */
function checkParts(claims: { number: number; etag: string }[], there: Part[]): Part[] {
  if (claims.length === 0 || claims.length > MAX_PARTS)
    throw new S3Error('MalformedXML', `Name 1 to ${MAX_PARTS} parts.`)
  const byNumber = new Map(there.map((part) => [part.number, part]))
  return claims.map(({ number, etag }, at) => {
    if (at > 0 && !(number > claims[at - 1]!.number)) throw new S3Error('InvalidPartOrder')
    const part = byNumber.get(number)
    if (!part || part.etag !== etag)
      throw new S3Error('InvalidPart', undefined, { details: { PartNumber: `${number}` } })
    if (at < claims.length - 1 && part.bytes < MIN_PART_BYTES)
      throw new S3Error('EntityTooSmall', undefined, { details: { PartNumber: `${number}` } })
    return part
  })
}

/** The ETag of an object of parts: the MD5 of their MD5s, and how many there are. */
export function etagOfParts(parts: readonly { etag: string }[]): string {
  const md5 = createHash('md5')
  for (const { etag } of parts) md5.update(Buffer.from(etag, 'hex'))
  return `${md5.digest('hex')}-${parts.length}`
}

export async function abortUpload(call: Call): Promise<void> {
  await writerOf(call).abortUpload(bucketOf(call), keyOf(call), idOf(call), call)
  sendEmpty(call, 204)
}

export async function listParts(call: Call): Promise<void> {
  const { encode, encodingType } = encoderOf(call)
  const after = numberOf(call, 'part-number-marker', { max: MAX_PARTS, otherwise: 0 })
  const max = numberOf(call, 'max-parts', { max: MAX_PAGE, otherwise: MAX_PAGE })
  const all = await writerOf(call).listParts(bucketOf(call), keyOf(call), idOf(call), call)
  const rest = all.filter(({ number }) => number > after)
  const page = rest.slice(0, max)
  sendXml(
    call,
    xml('ListPartsResult', {
      Bucket: bucketOf(call),
      Key: encode(keyOf(call)),
      EncodingType: encodingType,
      UploadId: idOf(call),
      Initiator: OWNER,
      Owner: OWNER,
      StorageClass: 'STANDARD',
      PartNumberMarker: after,
      NextPartNumberMarker: page.at(-1)?.number,
      MaxParts: max,
      IsTruncated: page.length < rest.length && max > 0,
      Part: page.map(({ number, bytes, etag, modifiedAt }) => ({
        PartNumber: number,
        LastModified: isoDate(modifiedAt),
        ETag: quoted(etag),
        Size: bytes,
      })),
    }),
  )
}

export async function listUploads(call: Call): Promise<void> {
  const { request } = call
  const { encode, encodingType } = encoderOf(call)
  const [prefix, delimiter] = [request.parameter('prefix') ?? '', request.parameter('delimiter') ?? '']
  const [keyMarker, idMarker] = [request.parameter('key-marker') ?? '', request.parameter('upload-id-marker') ?? '']
  const max = numberOf(call, 'max-uploads', { max: MAX_PAGE, otherwise: MAX_PAGE })
  const found = (await writerOf(call).listUploads(bucketOf(call), call)).filter(({ key }) => key.startsWith(prefix))
  const isGrouped = (key: string) => delimiter !== '' && key.indexOf(delimiter, prefix.length) >= 0
  const groupOf = (key: string) => key.slice(0, key.indexOf(delimiter, prefix.length) + delimiter.length)
  const from = idMarker === '' ? -1 : found.findIndex(({ key, id }) => key === keyMarker && id === idMarker)
  const rest =
    from >= 0
      ? found.slice(from + 1)
      : found.filter(({ key }) => Buffer.compare(Buffer.from(key), Buffer.from(keyMarker)) > 0)
  const plain = rest.filter(({ key }) => !isGrouped(key))
  const page = plain.slice(0, max)
  const last = page.length < plain.length ? page.at(-1) : undefined
  const CommonPrefixes: XmlTree[] = [
    ...new Set(rest.filter(({ key }) => isGrouped(key)).map(({ key }) => groupOf(key))),
  ].map((group) => ({ Prefix: encode(group) }))
  sendXml(
    call,
    xml('ListMultipartUploadsResult', {
      Bucket: bucketOf(call),
      EncodingType: encodingType,
      KeyMarker: encode(keyMarker),
      UploadIdMarker: idMarker,
      NextKeyMarker: last && encode(last.key),
      NextUploadIdMarker: last?.id,
      Prefix: encode(prefix),
      Delimiter: delimiter === '' ? undefined : encode(delimiter),
      MaxUploads: max,
      IsTruncated: last !== undefined,
      Upload: page.map(({ id, key, startedAt }) => ({
        Key: encode(key),
        UploadId: id,
        Initiator: OWNER,
        Owner: OWNER,
        StorageClass: 'STANDARD',
        Initiated: isoDate(startedAt),
      })),
      CommonPrefixes,
    }),
  )
}

const idOf = ({ request }: Call): string => request.parameter('uploadId')!
