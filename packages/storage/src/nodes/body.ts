import type { IncomingMessage } from 'node:http'
import { PinGoError } from '@pingo/wire'

/** A body comes within this time … */
const GRACE_MS = 10_000
/** … and a second more for each so many bytes: who sends more slowly holds memory for nothing. */
const BYTES_PER_SECOND = 64 << 10

/**
 * Reads the body of a request, bounded in size and time. Whatever it throws, the connection stays for the answer that says so.
 * @throws PinGoError MESSAGE_TOO_LARGE, TRANSFER_TIMEOUT, MESSAGE_MALFORMED when it was cut off
 */
export async function readBody(
  request: IncomingMessage,
  length: number,
  timeoutMs: number = GRACE_MS + (length / BYTES_PER_SECOND) * 1_000,
): Promise<Buffer> {
  const body = Buffer.allocUnsafeSlow(length)
  let bytes = 0
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new PinGoError('TRANSFER_TIMEOUT', 'The body came too slowly.')),
    timeoutMs,
  )
  const parts = request.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  try {
    for (;;) {
      const next = await Promise.race([parts.next(), late.promise])
      if (next.done) break
      const part = next.value
      if (bytes + part.byteLength > length)
        throw new PinGoError('MESSAGE_TOO_LARGE', 'The body is longer than announced.')
      part.copy(body, bytes)
      bytes += part.byteLength
    }
  } finally {
    clearTimeout(timer)
  }
  if (bytes < length) throw new PinGoError('MESSAGE_MALFORMED', 'The body was cut off.')
  return body
}

/** What a request announces to send. @throws PinGoError LENGTH_REQUIRED, MESSAGE_TOO_LARGE */
export function announcedBytes(request: IncomingMessage, maxBytes: number): number {
  const text = request.headers['content-length']
  if (text === undefined) {
    if (request.headers['transfer-encoding'] === undefined) return 0
    throw new PinGoError('LENGTH_REQUIRED', 'The request names no Content-Length.')
  }
  const length = Number(text)
  if (length > maxBytes) throw new PinGoError('MESSAGE_TOO_LARGE', `The body is over the limit of ${maxBytes} bytes.`)
  return length
}
