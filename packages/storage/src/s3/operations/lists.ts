import { uriEncode } from '../auth/canonical.ts'
import { bucketOf, type Call, isoDate, numberOf, quoted, sendXml } from '../call.ts'
import { S3Error } from '../errors.ts'
import { MAX_PAGE } from '../limits.ts'
import type { ListEntry } from '../port.ts'
import { type XmlTree, xml } from '../xml.ts'
import { OWNER } from './buckets.ts'

/** How names are written: as they are, or URL-encoded where the client asks for it because XML cannot say every character. */
export function encoderOf({ request }: Call): { encode: (name: string) => string; encodingType: string | undefined } {
  const encodingType = request.parameter('encoding-type') || undefined
  if (encodingType !== undefined && encodingType !== 'url')
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request')
  return { encode: encodingType ? (name) => uriEncode(name, true) : (name) => name, encodingType }
}

export const nameOf = (entry: ListEntry): string => ('key' in entry ? entry.key : entry.prefix)

/** ListObjects and, with list-type=2, ListObjectsV2: they differ in how a page names the next. */
export async function listObjects(call: Call): Promise<void> {
  const { request, reader } = call
  const isV2 = request.parameter('list-type') === '2'
  const { encode, encodingType } = encoderOf(call)
  const [prefix, delimiter] = [request.parameter('prefix') ?? '', request.parameter('delimiter') ?? '']
  const max = numberOf(call, 'max-keys', { max: MAX_PAGE, otherwise: MAX_PAGE })
  const token = isV2 ? request.parameter('continuation-token') : undefined
  const startAfter = request.parameter(isV2 ? 'start-after' : 'marker') ?? ''
  const after = token ? readToken(token) : startAfter
  const page = await reader.list(bucketOf(call), {
    prefix,
    delimiter,
    after,
    limit: Math.max(1, max),
    signal: call.signal,
  })
  if (max === 0) Object.assign(page, { entries: [], isTruncated: false })
  const last = page.isTruncated ? nameOf(page.entries.at(-1)!) : undefined
  const hasOwner = !isV2 || request.parameter('fetch-owner') === 'true'
  const Contents: XmlTree[] = []
  const CommonPrefixes: XmlTree[] = []
  for (const entry of page.entries) {
    if ('prefix' in entry) CommonPrefixes.push({ Prefix: encode(entry.prefix) })
    else
      Contents.push({
        Key: encode(entry.key),
        LastModified: isoDate(entry.info.modifiedAt),
        ETag: quoted(entry.info.etag),
        Size: entry.info.bytes,
        StorageClass: 'STANDARD',
        Owner: hasOwner ? OWNER : undefined,
      })
  }
  const next = isV2
    ? {
        KeyCount: page.entries.length,
        StartAfter: startAfter === '' ? undefined : encode(startAfter),
        ContinuationToken: token,
        NextContinuationToken: last === undefined ? undefined : writeToken(last),
      }
    : { Marker: encode(startAfter), NextMarker: last === undefined ? undefined : encode(last) }
  sendXml(
    call,
    xml('ListBucketResult', {
      Name: bucketOf(call),
      Prefix: encode(prefix),
      Delimiter: delimiter === '' ? undefined : encode(delimiter),
      MaxKeys: max,
      EncodingType: encodingType,
      IsTruncated: page.isTruncated,
      ...next,
      Contents,
      CommonPrefixes,
    }),
  )
}

const writeToken = (name: string): string => Buffer.from(name).toString('base64url')

function readToken(token: string): string {
  const name = Buffer.from(token, 'base64url').toString('utf8')
  if (name === '' || writeToken(name) !== token)
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect')
  return name
}
