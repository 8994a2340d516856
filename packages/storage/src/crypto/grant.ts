import { decode, encode, type KeyGrant, KeyGrantSchema, MAX_KEY_GRANT_BYTES, PinGoError, validate } from '@pingo/wire'
import { type Receiver, unwrap, wrap } from './wrap.ts'

/** A grant wrapped to the machine that has the private half of `publicKey`. @throws PinGoError PUBLIC_KEY_INVALID, MESSAGE_INVALID */
export async function sealGrant(publicKey: Uint8Array, grant: KeyGrant): Promise<Uint8Array> {
  return wrap(publicKey, contextOf(grant.job), encode(validate(KeyGrantSchema, grant, 'key grant')))
}

/**
 * Unwraps a grant for a job. It does not say who granted it: a wrong key opens nothing, and does no more harm.
 * @throws PinGoError WRAP_INVALID, MESSAGE_…
 */
export async function openGrant(receiver: Receiver, job: string, sealed: Uint8Array): Promise<KeyGrant> {
  const bytes = await unwrap(receiver, contextOf(job), sealed)
  const grant = decode(KeyGrantSchema, bytes, MAX_KEY_GRANT_BYTES)
  if (grant.job !== job) throw new PinGoError('WRAP_INVALID', `A key grant is for another job than '${job}'.`)
  return grant
}

const contextOf = (job: string) => `key grant for ${job}`
