import { randomBytes } from 'node:crypto'
import { decode, encode, HelloAnswerSchema, helloBytes, PinGoError, verifySignature } from '@pingo/wire'
import { type HttpPool, request, type Source } from '../transfer/http-client.ts'
import { type KnownNode, openNodeRecord } from './node-book.ts'

const NONCE_BYTES = 16
const MAX_ANSWER_BYTES = 8 << 10
const IDLE_MS = 5_000

/**
 * Asks a node who it is; its key signs a fresh nonce, so that nobody can stand in for it.
 * @param peerId refused when another answers
 * @throws PinGoError SOURCE_*, NODE_UNPROVEN, MESSAGE_*, SIGNATURE_INVALID, NODE_RECORD_INVALID
 */
export async function hello(
  source: Source,
  o: { peerId?: string; pool?: HttpPool; signal?: AbortSignal } = {},
): Promise<KnownNode> {
  const nonce = randomBytes(NONCE_BYTES)
  const answer = await request(
    source,
    '/v1/storage/hello',
    { method: 'POST', body: encode({ nonce }), maxBytes: MAX_ANSWER_BYTES, idleMs: IDLE_MS, signal: o.signal },
    o.pool,
  )
  const unproven = (why: string) =>
    new PinGoError('NODE_UNPROVEN', `${source.url} is not the node it should be: ${why}.`)
  if (answer.status !== 200) throw unproven(`it answers ${answer.status}`)
  const { record: sealed, signature } = decode(HelloAnswerSchema, answer.body, MAX_ANSWER_BYTES)
  const record = await openNodeRecord(sealed)
  if (o.peerId !== undefined && record.peerId !== o.peerId) throw unproven('another identity answers there')
  if (!(await verifySignature(record.peerId, helloBytes(nonce), signature)))
    throw unproven('its signature does not fit')
  return { record, sealed }
}
