import type { Stream } from '@libp2p/interface'
import { decode, encode, isPinGoError, PinGoError } from '@pingo/wire'
import type { z } from 'zod'
import type { Deadline } from './deadline.ts'
import { decodeError, encodeError, lost } from './errors.ts'
import { FrameKind, FrameStream } from './frames.ts'
import { MAX_ERROR_BYTES } from './limits.ts'
import type { Protocol, RequestContext } from './protocol.ts'

/** How long a stream may stay half open after its last frame. */
const LINGER_MS = 1_000

export type Handler<P extends Protocol> = (
  request: z.output<P['request']>,
  context: RequestContext,
) => z.input<P['response']> | Promise<z.input<P['response']>>

/** A request as bytes. @throws PinGoError MESSAGE_TOO_LARGE, MESSAGE_INVALID */
export function encodeWithin(value: unknown, maxBytes: number, what: string): Uint8Array {
  let payload: Uint8Array
  try {
    payload = encode(value)
  } catch (cause) {
    throw new PinGoError('MESSAGE_INVALID', `A ${what} cannot be encoded as dag-cbor.`, { cause })
  }
  if (payload.byteLength > maxBytes)
    throw new PinGoError(
      'MESSAGE_TOO_LARGE',
      `A ${what} of ${payload.byteLength} bytes is over the limit of ${maxBytes}.`,
    )
  return payload
}

/** The asking side of a stream: one request out, one answer in. */
export async function ask<P extends Protocol>(
  protocol: P,
  payload: Uint8Array,
  stream: Stream,
  peer: string,
  deadline: Deadline,
): Promise<z.output<P['response']>> {
  const frames = new FrameStream(stream, Math.max(protocol.maxResponseBytes, MAX_ERROR_BYTES))
  const { signal } = deadline
  const ended = () => frames.fail(signal.reason)
  signal.addEventListener('abort', ended)
  if (signal.aborted) ended()
  try {
    // not awaited: a refusal may come while the request is still on its way
    void frames
      .write(FrameKind.message, payload)
      .then(() => stream.close())
      .catch(() => undefined)
    const frame = await frames.read()
    if (!frame) throw new Error('the peer closed the stream without an answer')
    if (frame.kind === FrameKind.error) throw decodeError(frame.payload)
    if (frame.kind !== FrameKind.message) throw new PinGoError('MESSAGE_MALFORMED', 'A stream held no answer.')
    const answer: unknown = decode(protocol.response, frame.payload, protocol.maxResponseBytes)
    linger(stream)
    return answer as z.output<P['response']>
  } catch (error) {
    stream.abort(error as Error)
    throw signal.aborted && error === signal.reason ? error : lost(peer, error)
  } finally {
    signal.removeEventListener('abort', ended)
  }
}

/** The answering side of a stream. Never rejects: whatever goes wrong is told to the peer, within this stream. */
export async function answer<P extends Protocol>(
  protocol: P,
  handler: Handler<P>,
  stream: Stream,
  context: Omit<RequestContext, 'signal'>,
  deadline: Deadline,
  o: { admitted: boolean; onFailure: (error: unknown) => void },
): Promise<void> {
  const frames = new FrameStream(stream, protocol.maxRequestBytes)
  const { signal } = deadline
  signal.addEventListener('abort', () => frames.fail(signal.reason), { once: true })
  stream.addEventListener('close', (event) =>
    deadline.end(lost(context.peer, event.error ?? new Error('the peer went away'))),
  )
  try {
    // nothing is said before the peer spoke: until then it may still be naming the protocol, and an answer would be lost
    const frame = await frames.read()
    if (!o.admitted)
      throw new PinGoError('RATE_LIMITED', `Too many requests of ${protocol.name}.`, { hint: 'Ask again more slowly.' })
    if (frame?.kind !== FrameKind.message) throw new PinGoError('MESSAGE_MALFORMED', 'A stream held no request.')
    const request = decode(protocol.request, frame.payload, protocol.maxRequestBytes) as z.output<P['request']>
    const response = await deadline.race(Promise.resolve(handler(request, { ...context, signal })))
    const payload = encodeWithin(response, protocol.maxResponseBytes, 'response')
    await deadline.race(frames.write(FrameKind.message, payload).then(() => stream.close()))
  } catch (error) {
    if (!isPinGoError(error)) o.onFailure(error)
    // no wait for a peer that does not read: lingering ends the stream
    void frames
      .write(FrameKind.error, encodeError(error))
      .then(() => stream.close())
      .catch(() => undefined)
  } finally {
    deadline.clear()
    linger(stream)
  }
}

/** Ends a stream whose other side does not. */
function linger(stream: Stream): void {
  if (stream.status !== 'open' && stream.status !== 'closing') return
  const timer = setTimeout(() => stream.abort(new Error('the peer did not close its side')), LINGER_MS)
  stream.addEventListener('close', () => clearTimeout(timer), { once: true })
}
