import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { PinGoError } from '@pingo/wire'

/** How long a payload may wait for its proof. */
export const PAYLOAD_TTL_MS = 10 * 60_000
/** Payloads remembered as consumed at most; beyond them nobody can prove anything until some expire. */
export const MAX_CONSUMED = 100_000

const NONCE_BYTES = 16
const TIME_BYTES = 6
const MAC_BYTES = 16
const BYTES = NONCE_BYTES + TIME_BYTES + MAC_BYTES

/** Payloads for proofs: ours, for a while, and each good for one proof. */
export interface Payloads {
  /** A new payload. `session` binds it to whatever identifies the asker: it is consumed with the same words only. */
  issue(session?: string): string
  /** Whether this payload is ours, of this session, has time left and was not consumed; then it is consumed. @throws PinGoError TON_PROOF_BUSY */
  consume(payload: string, session?: string): boolean
}

/**
 * Payloads that cost no memory until a valid proof consumes them: each carries its end and a MAC by a key that lives as long as this
 * object, so asking for many fills nothing, and after a restart all earlier ones are void (which one process knows as consumed, another
 * would not). Where several processes check proofs, keep payloads in their database instead and consume them in one statement.
 *
 * @param now - milliseconds since 1970.
 */
export function createPayloads(
  o: { ttlMs?: number; maxConsumed?: number; now?: () => number; random?: (bytes: number) => Buffer } = {},
): Payloads {
  const { ttlMs = PAYLOAD_TTL_MS, maxConsumed = MAX_CONSUMED, now = Date.now, random = randomBytes } = o
  const key = random(32)
  /** Consumed payload -> when it may be forgotten, in that order: all have expired by then. */
  const consumed = new Map<string, number>()
  let latest = 0
  // a clock that goes back brings no payload back to life
  const time = () => (latest = Math.max(latest, now()))
  const mac = (head: Buffer, session: string) =>
    createHmac('sha256', key).update(head).update(session).digest().subarray(0, MAC_BYTES)

  return {
    issue(session = '') {
      const end = Buffer.alloc(TIME_BYTES)
      end.writeUIntBE(time() + ttlMs, 0, TIME_BYTES)
      const head = Buffer.concat([random(NONCE_BYTES), end])
      return Buffer.concat([head, mac(head, session)]).toString('base64url')
    },
    consume(payload, session = '') {
      const bytes = Buffer.from(payload, 'base64url')
      // one text for each payload: otherwise an altered last character would be another payload of the same bytes
      if (bytes.length !== BYTES || bytes.toString('base64url') !== payload) return false
      const head = bytes.subarray(0, NONCE_BYTES + TIME_BYTES)
      if (!timingSafeEqual(bytes.subarray(head.length), mac(head, session))) return false
      const at = time()
      if (head.readUIntBE(NONCE_BYTES, TIME_BYTES) <= at) return false
      for (const [old, until] of consumed) {
        if (until > at) break
        consumed.delete(old)
      }
      if (consumed.has(payload)) return false
      if (consumed.size >= maxConsumed)
        throw new PinGoError('TON_PROOF_BUSY', 'Too many wallets are being connected just now.', {
          hint: 'Try again in a few minutes.',
        })
      consumed.set(payload, at + ttlMs)
      return true
    },
  }
}
