import { decode, encode, isPinGoError, PinGoError, sentence } from '@pingo/wire'
import { z } from 'zod'
import { MAX_ERROR_BYTES } from './limits.ts'

const MAX_SENTENCE = 2_000
const ErrorSchema = z.object({
  code: z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/),
  message: z.string().max(MAX_SENTENCE),
  hint: z.string().max(MAX_SENTENCE).optional(),
})

/** An error as the bytes that a peer may see: a PinGoError without cause and details, anything else as INTERNAL without a word. */
export function encodeError(error: unknown): Uint8Array {
  const seen = isPinGoError(error)
    ? error.toJSON()
    : { code: 'INTERNAL', message: 'The peer failed while it handled the message.' }
  const cut = (text: string | undefined) => text?.slice(0, MAX_SENTENCE)
  const valid = ErrorSchema.safeParse({ ...seen, message: cut(seen.message), hint: cut(seen.hint) })
  return encode(valid.success ? valid.data : { code: 'INTERNAL', message: 'The peer failed in an unknown way.' })
}

/** The error that a peer sent. */
export function decodeError(bytes: Uint8Array): PinGoError {
  try {
    const { code, message, hint } = decode(ErrorSchema, bytes, MAX_ERROR_BYTES)
    return new PinGoError(code, message, { hint, details: { remote: true } })
  } catch (cause) {
    return new PinGoError('MESSAGE_MALFORMED', 'The peer sent an error that cannot be read.', { cause })
  }
}

const REACH_HINT =
  'Check that the node there runs, that the address (with its port and PeerId) is right, and that no firewall blocks it.'

/** Why a dial failed, as one sentence with the address and the fix. */
export function unreachable(peer: string, cause: unknown): PinGoError {
  return new PinGoError('PEER_UNREACHABLE', `Cannot reach ${peer}: ${dialReason(cause)}.`, { hint: REACH_HINT, cause })
}

function dialReason(cause: unknown): string {
  const errors = cause instanceof AggregateError ? cause.errors : [cause]
  const reasons = errors.map((error) => {
    const text = sentence(error)
    const name = error instanceof Error ? error.name : ''
    if (/ECONNREFUSED/.test(text)) return 'the connection was refused, nothing listens there'
    if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'its name is unknown'
    if (/EHOSTUNREACH|ENETUNREACH/.test(text)) return 'there is no route to it'
    if (name === 'NoValidAddressesError') return 'no address of it is known that this host can dial'
    if (name === 'TimeoutError' || name === 'AbortError') return 'it does not answer'
    if (/self/i.test(text)) return 'it is this very node'
    if (/unexpected peer|peer ?id|did not match/i.test(text)) return 'a node with another PeerId answers there'
    if (name === 'EncryptionFailedError' || /ECONNRESET|stream has been (reset|closed)/i.test(text))
      return 'it ended the connection during the handshake'
    return text.replace(/\.$/, '')
  })
  return [...new Set(reasons)].slice(0, 3).join('; ') || 'the dial failed'
}

/** What a failed stream means to its user. A PinGoError stays as it is. */
export function lost(peer: string, cause: unknown): PinGoError {
  if (isPinGoError(cause)) return cause
  return new PinGoError('CONNECTION_LOST', `The connection to ${peer} was lost.`, { hint: 'Try again.', cause })
}
