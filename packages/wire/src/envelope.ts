import { z } from 'zod'
import { decode } from './encoding.ts'
import { PinGoError } from './errors.ts'
import { verifySignature } from './identity.ts'
import { signedBytes } from './seal.ts'

const OVERHEAD_BYTES = 1024

const EnvelopeSchema = z.strictObject({
  type: z.string().max(100),
  from: z.string().max(100),
  payload: z.instanceof(Uint8Array),
  signature: z.instanceof(Uint8Array),
})

/**
 * Opens a signed envelope: checks size, type, signature and schema, in this order.
 * @returns the validated value and the PeerId that signed it
 * @throws PinGoError MESSAGE_TOO_LARGE, MESSAGE_MALFORMED, MESSAGE_INVALID, SIGNATURE_INVALID
 */
export async function unseal<S extends z.ZodType>(
  schema: S,
  type: string,
  bytes: Uint8Array,
  maxBytes: number,
): Promise<{ from: string; value: z.output<S> }> {
  const envelope = decode(EnvelopeSchema, bytes, maxBytes + OVERHEAD_BYTES)
  if (envelope.type !== type)
    throw new PinGoError('MESSAGE_INVALID', `Expected a message of type '${type}', got '${envelope.type}'.`)
  const signed = signedBytes(type, envelope.payload)
  if (!(await verifySignature(envelope.from, signed, envelope.signature)))
    throw new PinGoError('SIGNATURE_INVALID', `The signature of a '${type}' message does not fit its sender.`)
  return { from: envelope.from, value: decode(schema, envelope.payload, maxBytes) }
}
