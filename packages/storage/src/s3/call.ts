import type { ServerResponse } from 'node:http'
import type { Identity } from './auth/authenticate.ts'
import { S3Error } from './errors.ts'
import type { ObjectBackend, ObjectReader } from './port.ts'
import { checkBucket, decode, type S3Request } from './request.ts'

/** One authenticated request on its way. */
export interface Call {
  request: S3Request
  response: ServerResponse
  identity: Identity
  reader: ObjectReader
  /** Undefined where nothing may be written. */
  writer: ObjectBackend | undefined
  /** Told by GetBucketLocation. */
  region: string
  paceMs: number
  /** Aborts when the client is gone. */
  signal: AbortSignal
}

/** The bucket of a request whose route has one. */
export const bucketOf = ({ request }: Call): string => request.bucket!
export const keyOf = ({ request }: Call): string => request.key!

/** @throws S3Error AccessDenied where nothing may be written */
export function writerOf({ writer }: Call): ObjectBackend {
  if (!writer) throw new S3Error('AccessDenied')
  return writer
}

export function sendXml({ response }: Call, body: string, headers: Record<string, string> = {}): void {
  const bytes = Buffer.from(body)
  response.writeHead(200, { ...headers, 'content-type': 'application/xml', 'content-length': bytes.byteLength })
  response.end(bytes)
}

export function sendEmpty({ response }: Call, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, status === 204 || status === 304 ? headers : { ...headers, 'content-length': 0 })
  response.end()
}

/** A whole number from the query within limits. @throws S3Error InvalidArgument */
export function numberOf({ request }: Call, name: string, o: { max: number; otherwise: number }): number {
  const value = request.parameter(name)
  if (value === undefined || value === '') return o.otherwise
  if (!/^\d{1,9}$/.test(value)) throw new S3Error('InvalidArgument', `${name} must be a whole number.`)
  return Math.min(o.max, Number(value))
}

/** The object that x-amz-copy-source names: `[/]bucket/key[?versionId=null]`, URL-encoded. */
export function copySource({ request }: Call): { bucket: string; key: string } {
  const header = request.header('x-amz-copy-source')
  const mark = header.lastIndexOf('?versionId=')
  if (mark >= 0) checkVersion(header.slice(mark + '?versionId='.length))
  const path = decode(Buffer.from(mark < 0 ? header : header.slice(0, mark), 'latin1').toString('utf8')).replace(
    /^\//,
    '',
  )
  const slash = path.indexOf('/')
  const [bucket, key] = [path.slice(0, slash), path.slice(slash + 1)]
  if (slash < 1 || key === '') throw new S3Error('InvalidArgument', 'x-amz-copy-source must be bucket/key.')
  checkBucket(bucket)
  return { bucket, key }
}

/** Objects have one version, 'null'. @throws S3Error NoSuchVersion */
export function checkVersion(version: string | undefined): void {
  if (version !== undefined && version !== '' && version !== 'null') throw new S3Error('NoSuchVersion')
}

export const isoDate = (at: number): string => new Date(at).toISOString()
export const quoted = (etag: string): string => `"${etag}"`
