import { AllowanceAnswerSchema, CBOR_TYPE, decode, encode } from '@pingo/wire'
import { type HttpPool, request, type Source } from '../transfer/http-client.ts'
import { refusal } from './refusal.ts'

const MAX_ANSWER_BYTES = 8 << 10

/**
 * Asks a fog node to vouch for an owner.
 * @param fog with the token that only its own user has
 * @param until ms since epoch
 * @returns the sealed allowance, which the owner shows to every node it stores at
 * @throws PinGoError SOURCE_*, UNAUTHORIZED
 */
export async function askAllowance(
  fog: Source,
  question: { owner: string; bytes: number; until: number },
  o: { signal?: AbortSignal; pool?: HttpPool } = {},
): Promise<Uint8Array> {
  const answer = await request(
    fog,
    '/v1/storage/allowances',
    {
      method: 'POST',
      headers: { 'content-type': CBOR_TYPE },
      body: encode(question),
      maxBytes: MAX_ANSWER_BYTES,
      signal: o.signal,
    },
    o.pool,
  )
  if (answer.status !== 200) throw refusal(fog.url, answer)
  return decode(AllowanceAnswerSchema, answer.body, MAX_ANSWER_BYTES).allowance
}
