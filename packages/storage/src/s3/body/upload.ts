import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Identity } from '../auth/authenticate.ts'
import { UNSIGNED } from '../auth/authenticate.ts'
import { S3Error } from '../errors.ts'
import { MAX_UPLOAD_BYTES, MAX_XML_BYTES, MIN_PACE_BYTES } from '../limits.ts'
import type { Upload } from '../port.ts'
import type { S3Request } from '../request.ts'
import { decodeChunks } from './aws-chunked.ts'
import { Checksums } from './checksums.ts'

export interface CheckedUpload extends Upload {
  /** The checksums of the body as headers of the answer, when the stream has ended. */
  checksums(): Record<string, string>
}

const STREAMING = /^STREAMING-(AWS4-HMAC-SHA256|UNSIGNED)-PAYLOAD(-TRAILER)?$/

/**
 * The body of a request, checked against signature, checksums and length while it streams.
 * @throws S3Error MissingContentLength, EntityTooLarge, InvalidDigest …; the rest comes from the stream
 */
export function openUpload(request: S3Request, identity: Identity, paceMs: number): CheckedUpload {
  const [streaming, kind, hasTrailer] = STREAMING.exec(identity.payload) ?? []
  const length = request.header(streaming ? 'x-amz-decoded-content-length' : 'content-length')
  if (!/^\d{1,15}$/.test(length)) throw new S3Error('MissingContentLength')
  const bytes = Number(length)
  if (bytes > MAX_UPLOAD_BYTES) throw new S3Error('EntityTooLarge')
  const signer = kind === 'UNSIGNED' ? undefined : identity.chunks
  if (kind !== undefined && kind !== 'UNSIGNED' && !signer) throw new S3Error('AccessDenied')
  if (kind === 'UNSIGNED' && !hasTrailer) throw unknownPayload()
  if (!streaming && identity.payload !== UNSIGNED && !/^[0-9a-f]{64}$/.test(identity.payload)) throw unknownPayload()

  const checksums = new Checksums(request.header)
  const source = paced(request.raw, paceMs)
  const trailer = hasTrailer ? checksums.trailer.bind(checksums) : undefined
  const parts = streaming ? decodeChunks(source, { bytes, signer, trailer }) : source
  return {
    bytes,
    stream: checked(parts, bytes, checksums, identity.payload),
    etag: () => checksums.etag(),
    checksums: () => checksums.headers,
  }
}

const unknownPayload = () =>
  new S3Error('InvalidRequest', 'x-amz-content-sha256 must be a SHA-256 in hex or one of the words of AWS.')

async function* checked(
  parts: AsyncIterable<Buffer>,
  bytes: number,
  checksums: Checksums,
  payload: string,
): AsyncGenerator<Uint8Array> {
  const sha256 = /^[0-9a-f]{64}$/.test(payload) ? createHash('sha256') : undefined
  let came = 0
  for await (const part of parts) {
    came += part.byteLength
    checksums.update(part)
    sha256?.update(part)
    yield part
  }
  if (came !== bytes) throw new S3Error('IncompleteBody')
  if (sha256 && sha256.digest('hex') !== payload) throw new S3Error('XAmzContentSHA256Mismatch')
  checksums.check()
}

/**
 * A request's bytes as they come. Waiting costs the sender: {@link MIN_PACE_BYTES} must come in every `paceMs` that we wait for
 * them; what the store takes its time for is not counted.
 */
export async function* paced(request: IncomingMessage, paceMs: number): AsyncGenerator<Buffer> {
  // the socket stays whole when we stop early: the answer has to go out on it
  const source = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  let [waited, moved] = [0, 0]
  for (;;) {
    const from = performance.now()
    const { done, value } = await within(source.next(), paceMs - waited)
    if (done) return
    waited += performance.now() - from
    moved += value.byteLength
    if (moved >= MIN_PACE_BYTES) [waited, moved] = [0, 0]
    yield value
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new S3Error('RequestTimeout')), ms)
  })
  try {
    return await Promise.race([promise, late])
  } catch (error) {
    if (error instanceof S3Error) throw error
    throw new S3Error('IncompleteBody', 'The connection broke off.', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** A small body, whole: XML. @throws S3Error MaxMessageLengthExceeded, and as {@link openUpload} */
export async function readBody(request: S3Request, identity: Identity, paceMs: number): Promise<string> {
  if (request.header('content-length') === '0') return ''
  const upload = openUpload(request, identity, paceMs)
  if (upload.bytes > MAX_XML_BYTES) throw new S3Error('MaxMessageLengthExceeded')
  const parts: Uint8Array[] = []
  for await (const part of upload.stream) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
