import { S3Error } from './errors.ts'
import { MAX_METADATA_BYTES } from './limits.ts'
import { type Description, KEPT_HEADERS, type ObjectInfo } from './port.ts'
import type { S3Request } from './request.ts'

const META = 'x-amz-meta-'

/** What S3 could do with an object and this endpoint cannot; '' and the values named ask for nothing. */
const UNKNOWN: [header: RegExp, harmless?: RegExp][] = [
  [/^x-amz-acl$/, /^(private|bucket-owner-full-control)$/],
  [/^x-amz-grant-/],
  [/^x-amz-tagging$/],
  [/^x-amz-website-redirect-location$/],
  [/^x-amz-object-lock-/],
  [/^x-amz-server-side-encryption-customer-/],
  [/^x-amz-write-offset-bytes$/],
]

/** @throws S3Error AccessControlListNotSupported, NotImplemented: rather refused than silently left undone */
export function refuseUnknown(request: S3Request): void {
  for (const name of Object.keys(request.raw.headersDistinct)) {
    const value = request.header(name)
    if (value === '' || !UNKNOWN.some(([header, harmless]) => header.test(name) && !harmless?.test(value))) continue
    throw /acl|grant/.test(name)
      ? new S3Error('AccessControlListNotSupported')
      : new S3Error('NotImplemented', `The header ${name} is not implemented.`)
  }
}

/** What the headers of an upload say of the object. @throws S3Error MetadataTooLarge */
export function describe(request: S3Request): Description {
  const headers: Record<string, string> = { 'content-type': 'binary/octet-stream' }
  for (const name of KEPT_HEADERS) {
    let value = request.header(name)
    if (name === 'content-encoding')
      value = value
        .split(',')
        .map((coding) => coding.trim())
        .filter((coding) => coding !== '' && coding !== 'aws-chunked')
        .join(',')
    if (value !== '') headers[name] = value
  }
  const metadata: Record<string, string> = {}
  let bytes = 0
  for (const name of Object.keys(request.raw.headersDistinct)) {
    if (!name.startsWith(META)) continue
    const value = request.header(name)
    metadata[name.slice(META.length)] = value
    bytes += name.length - META.length + value.length
  }
  if (bytes > MAX_METADATA_BYTES) throw new S3Error('MetadataTooLarge')
  return { headers, metadata }
}

/** The headers that tell of an object. */
export function headersOf(info: ObjectInfo): Record<string, string> {
  return {
    ...info.headers,
    ...Object.fromEntries(Object.entries(info.metadata).map(([name, value]) => [META + name, value])),
    etag: `"${info.etag}"`,
    'last-modified': new Date(info.modifiedAt).toUTCString(),
    'accept-ranges': 'bytes',
    // an object is somebody's file: a browser neither guesses its type nor runs it as a page of this host
    'x-content-type-options': 'nosniff',
    'content-security-policy': 'sandbox',
  }
}
