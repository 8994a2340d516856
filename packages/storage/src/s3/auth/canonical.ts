import { createHash, createHmac } from 'node:crypto'

/** AWS Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
export const ALGORITHM = 'AWS4-HMAC-SHA256'
export const EMPTY_SHA256 = createHash('sha256').digest('hex')

/** What was signed, as hash and HMAC want it: header values are latin1, as node:http gives them, so that their bytes are those sent. */
export interface SignedRequest {
  method: string
  /** Decoded; begins with '/'. S3 encodes it once and leaves '.', '..' and '//' alone. */
  path: string
  /** Decoded pairs, without X-Amz-Signature. */
  query: readonly (readonly [name: string, value: string])[]
  /** Lower-case names, sorted. */
  signedHeaders: readonly string[]
  header(name: string): string
  /** x-amz-content-sha256, or what stands in its place. */
  payload: string
}

/** RFC 3986 unreserved characters stay, all other bytes become %XX; a slash stays where `keepsSlash`. */
export function uriEncode(text: string, keepsSlash = false): string {
  const encoded = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return keepsSlash ? encoded.replaceAll('%2F', '/') : encoded
}

export function canonicalRequest(r: SignedRequest): string {
  const query = r.query
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
  const headers = r.signedHeaders.map((name) => `${name}:${r.header(name).trim().replace(/\s+/g, ' ')}\n`).join('')
  return [r.method, uriEncode(r.path, true), query, headers, r.signedHeaders.join(';'), r.payload].join('\n')
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What binds a signature to a day, a region and the service: `20130524/us-east-1/s3/aws4_request`. */
export interface Scope {
  /** YYYYMMDD. */
  day: string
  region: string
  service: string
}

export const scopeText = ({ day, region, service }: Scope): string => `${day}/${region}/${service}/aws4_request`

export function signingKey(secret: string, { day, region, service }: Scope): Buffer {
  return [day, region, service, 'aws4_request'].reduce<Buffer>(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    Buffer.from(`AWS4${secret}`),
  )
}

/** @returns the signature, 64 hex digits */
export function signRequest(key: Buffer, date: string, scope: Scope, request: SignedRequest): string {
  const digest = createHash('sha256').update(canonicalRequest(request), 'latin1').digest('hex')
  return hmacHex(key, [ALGORITHM, date, scopeText(scope), digest].join('\n'))
}

/** Signs the chunks of one aws-chunked body, each over the one before (AWS: "Transferring payload in multiple chunks"). */
export class ChunkSigner {
  readonly #key: Buffer
  readonly #context: string
  #previous: string

  /** @param seed the signature of the request */
  constructor(key: Buffer, date: string, scope: Scope, seed: string) {
    this.#key = key
    this.#context = `${date}\n${scopeText(scope)}`
    this.#previous = seed
  }

  /** @param sha256 of the chunk's bytes, hex */
  chunk(sha256: string): string {
    return this.#next(`${ALGORITHM}-PAYLOAD\n${this.#context}\n${this.#previous}\n${EMPTY_SHA256}\n${sha256}`)
  }

  /** @param trailers `name:value\n` each, as they came */
  trailers(trailers: string): string {
    const sha256 = createHash('sha256').update(trailers, 'latin1').digest('hex')
    return this.#next(`${ALGORITHM}-TRAILER\n${this.#context}\n${this.#previous}\n${sha256}`)
  }

  #next(text: string): string {
    this.#previous = hmacHex(this.#key, text)
    return this.#previous
  }
}

const hmacHex = (key: Buffer, text: string): string => createHmac('sha256', key).update(text).digest('hex')
