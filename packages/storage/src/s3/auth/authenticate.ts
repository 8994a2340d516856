import { timingSafeEqual } from 'node:crypto'
import { S3Error } from '../errors.ts'
import { MAX_CLOCK_SKEW_MS, MAX_PRESIGNED_S } from '../limits.ts'
import type { S3Request } from '../request.ts'
import { ALGORITHM, ChunkSigner, type Scope, signingKey, signRequest } from './canonical.ts'

/** Who asks. */
export interface Identity {
  /** Undefined for whoever did not sign. */
  accessKeyId: string | undefined
  /** How the body is bound to the signature: the hex of its SHA-256, UNSIGNED-PAYLOAD, or a STREAMING-… word. */
  payload: string
  /** Signs the chunks of a STREAMING-AWS4-HMAC-SHA256-… body. */
  chunks: ChunkSigner | undefined
}

export interface AuthenticateOptions {
  /** The secret of an access key, undefined when the key is not known. */
  credentials(accessKeyId: string): string | undefined | Promise<string | undefined>
  /** ms since epoch. */
  clock(): number
}

export const UNSIGNED = 'UNSIGNED-PAYLOAD'

/**
 * Checks the SigV4 signature of a request, in its Authorization header or its query (presigned URL). Any region is taken: it is
 * in the signature, and this endpoint is in all of them.
 * @returns the identity, without access key when nothing was signed
 * @throws S3Error AuthorizationHeaderMalformed, InvalidAccessKeyId, RequestTimeTooSkewed, SignatureDoesNotMatch, AccessDenied …
 */
export async function authenticate(request: S3Request, o: AuthenticateOptions): Promise<Identity> {
  const isPresigned = request.parameter('X-Amz-Algorithm') !== undefined
  const header = request.header('authorization')
  if (!isPresigned && header === '') {
    if (request.parameter('Signature') !== undefined) throw oldSignature()
    return { accessKeyId: undefined, payload: request.header('x-amz-content-sha256') || UNSIGNED, chunks: undefined }
  }
  if (isPresigned && header !== '')
    throw new S3Error('InvalidArgument', 'Sign by the header or by the query, not by both.')
  const claim = isPresigned ? presignedClaim(request, o.clock()) : headerClaim(request, header, o.clock())
  checkHeaders(request, claim)
  const secret = await o.credentials(claim.accessKeyId)
  if (secret === undefined) throw new S3Error('InvalidAccessKeyId')
  const key = signingKey(secret, claim.scope)
  const expected = signRequest(key, claim.date, claim.scope, {
    method: request.method,
    path: request.path,
    query: request.query.filter(([name]) => !isPresigned || name !== 'X-Amz-Signature'),
    signedHeaders: claim.signedHeaders,
    header: request.header,
    payload: claim.payload,
  })
  if (!isSameSignature(expected, claim.signature)) throw new S3Error('SignatureDoesNotMatch')
  return {
    accessKeyId: claim.accessKeyId,
    payload: claim.payload,
    chunks: new ChunkSigner(key, claim.date, claim.scope, expected),
  }
}

/** In constant time; both are lower-case hex. */
export function isSameSignature(expected: string, claimed: string): boolean {
  const [a, b] = [Buffer.from(expected, 'latin1'), Buffer.from(claimed, 'latin1')]
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}

interface Claim {
  accessKeyId: string
  scope: Scope
  /** YYYYMMDDTHHMMSSZ. */
  date: string
  signedHeaders: string[]
  signature: string
  payload: string
}

function headerClaim(request: S3Request, header: string, now: number): Claim {
  const malformed = (what: string) => new S3Error('AuthorizationHeaderMalformed', what)
  if (!header.startsWith(`${ALGORITHM} `)) {
    if (/^AWS /.test(header)) throw oldSignature()
    throw malformed(`The authorization header does not begin with ${ALGORITHM}.`)
  }
  const fields = new Map<string, string>()
  for (const field of header.slice(ALGORITHM.length + 1).split(',')) {
    const [name = '', ...value] = field.trim().split('=')
    fields.set(name, value.join('='))
  }
  const [credential, signedHeaders, signature] = ['Credential', 'SignedHeaders', 'Signature'].map((n) => fields.get(n))
  if (!credential || !signedHeaders || !signature)
    throw malformed('The authorization header needs Credential, SignedHeaders and Signature.')
  const payload = request.header('x-amz-content-sha256')
  if (payload === '')
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  const date = request.header('x-amz-date') || basicDate(request.header('date'))
  const at = readDate(date)
  if (at === undefined) throw new S3Error('AccessDenied', 'The request needs a valid x-amz-date or Date header.')
  if (Math.abs(now - at) > MAX_CLOCK_SKEW_MS) throw skewed(date, now)
  const read = readCredential(credential)
  if (!read) throw malformed('The Credential is malformed; it is key/day/region/s3/aws4_request.')
  if (!date.startsWith(read.scope.day)) throw malformed("The Credential's day is not that of the request.")
  return { ...read, date, signedHeaders: signedHeaders.split(';'), signature, payload }
}

function presignedClaim(request: S3Request, now: number): Claim {
  const malformed = (what: string) => new S3Error('AuthorizationQueryParametersError', what)
  const parameter = (name: string): string => {
    const value = request.parameter(`X-Amz-${name}`)
    if (!value) throw malformed(`The query needs X-Amz-${name}.`)
    return value
  }
  if (parameter('Algorithm') !== ALGORITHM) throw malformed(`X-Amz-Algorithm only supports ${ALGORITHM}.`)
  const read = readCredential(parameter('Credential'))
  const date = parameter('Date')
  const at = readDate(date)
  const expires = parameter('Expires')
  if (!read || at === undefined || !date.startsWith(read.scope.day))
    throw malformed('X-Amz-Credential or X-Amz-Date is malformed.')
  if (!/^\d{1,7}$/.test(expires) || Number(expires) > MAX_PRESIGNED_S)
    throw malformed(`X-Amz-Expires must be a number of seconds, ${MAX_PRESIGNED_S} at most.`)
  if (at > now + MAX_CLOCK_SKEW_MS) throw skewed(date, now)
  if (now > at + Number(expires) * 1000) throw new S3Error('AccessDenied', 'Request has expired')
  const payload = request.parameter('X-Amz-Content-Sha256') ?? (request.header('x-amz-content-sha256') || UNSIGNED)
  const signedHeaders = parameter('SignedHeaders').split(';')
  return { ...read, date, signedHeaders, signature: parameter('Signature'), payload }
}

/** What changes the meaning of a request must be signed: its host and every x-amz-*. */
function checkHeaders(request: S3Request, { signedHeaders }: Claim): void {
  const signed = new Set(signedHeaders)
  const missing = ['host', ...Object.keys(request.raw.headersDistinct)].filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !signed.has(name),
  )
  if (missing.length > 0)
    throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
      details: { HeadersNotSigned: [...new Set(missing)].join(', ') },
    })
}

function readCredential(credential: string): { accessKeyId: string; scope: Scope } | undefined {
  const [, accessKeyId, day, region, service] =
    /^([^/\s]{1,128})\/(\d{8})\/([a-z0-9-]{1,32})\/(s3)\/aws4_request$/.exec(credential) ?? []
  if (!accessKeyId || !day || !region || !service) return undefined
  return { accessKeyId, scope: { day, region, service } }
}

/** ms since epoch of `20130524T000000Z`. */
function readDate(date: string): number | undefined {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
  if (!y) return undefined
  const at = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}Z`)
  return Number.isNaN(at) ? undefined : at
}

function basicDate(httpDate: string): string {
  const at = Date.parse(httpDate)
  return Number.isNaN(at) ? '' : new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '')
}

const skewed = (date: string, now: number) =>
  new S3Error('RequestTimeTooSkewed', undefined, {
    details: { RequestTime: date, ServerTime: new Date(now).toISOString() },
  })
const oldSignature = () =>
  new S3Error('InvalidRequest', `This signature is of an old version. Please use ${ALGORITHM}.`)
