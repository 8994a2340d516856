import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { S3Error } from './errors.ts'
import { MAX_KEY_BYTES } from './limits.ts'

/** A request as S3 reads it. */
export interface S3Request {
  method: string
  /** Decoded path as it was sent, for the signature. */
  path: string
  /** Decoded pairs in the order they came; a name without '=' has an empty value. */
  query: readonly (readonly [name: string, value: string])[]
  /** Undefined for the list of buckets. */
  bucket: string | undefined
  /** Undefined for the bucket itself. */
  key: string | undefined
  raw: IncomingMessage
  /** First value of a query parameter, undefined when it is not there. */
  parameter(name: string): string | undefined
  /** A header's values joined by commas, latin1, '' when it is not there. */
  header(name: string): string
}

/**
 * Reads the address of a request, path style (`/bucket/key`) or virtual-host style (`bucket.domain/key`).
 * @throws S3Error InvalidURI, InvalidBucketName, KeyTooLongError
 */
export function readRequest(raw: IncomingMessage, domains: readonly string[]): S3Request {
  const url = (raw.url ?? '').replace(/^https?:\/\/[^/?]*/i, '') // absolute form (RFC 9112, 3.2.2)
  const mark = url.indexOf('?')
  const path = decode(mark < 0 ? url : url.slice(0, mark))
  if (!path.startsWith('/')) throw new S3Error('InvalidURI')
  const query = mark < 0 ? [] : readQuery(url.slice(mark + 1))
  const headers = raw.headersDistinct
  const host = headers.host?.[0] ?? ''
  const hosted = bucketOfHost(host, domains)
  const rest = path.slice(1)
  const slash = rest.indexOf('/')
  const bucket = hosted ?? (slash < 0 ? rest : rest.slice(0, slash))
  const key = hosted === undefined ? (slash < 0 ? '' : rest.slice(slash + 1)) : rest
  if (bucket !== '') checkBucket(bucket)
  checkKey(key)
  return {
    method: raw.method ?? 'GET',
    path,
    query,
    bucket: bucket || undefined,
    key: key || undefined,
    raw,
    parameter: (name) => query.find(([found]) => found === name)?.[1],
    header: (name) => headers[name]?.join(',') ?? '',
  }
}

/** Rules: AWS, "General purpose bucket naming rules". */
export function checkBucket(bucket: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) || bucket.includes('..') || isIP(bucket) !== 0)
    throw new S3Error('InvalidBucketName', undefined, { details: { BucketName: bucket.slice(0, 100) } })
}

export function checkKey(key: string): void {
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new S3Error('KeyTooLongError')
}

function bucketOfHost(host: string, domains: readonly string[]): string | undefined {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  const domain = domains.find((candidate) => name.endsWith(`.${candidate}`))
  return domain === undefined ? undefined : name.slice(0, -domain.length - 1)
}

function readQuery(text: string): [string, string][] {
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      return [decode(name.replaceAll('+', ' ')), decode(value.replaceAll('+', ' '))]
    })
}

/** Decodes %XX as UTF-8; nothing else means anything in a path, a plus least of all. */
export function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Error('InvalidURI')
  }
}
