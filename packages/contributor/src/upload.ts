import { setTimeout as sleep } from 'node:timers/promises'
import { request, type Source } from '@pingo/storage'
import { PinGoError, type UpdateAnswer, UpdateAnswerSchema } from '@pingo/wire'

const ATTEMPT_TIMEOUT_MS = 60_000
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5_000
const MAX_ANSWER_BYTES = 16 << 10

/**
 * Sends a signed update until the fog node answers yes or no. A fog node that cannot be reached (it may be restarting) is
 * asked again until `deadline` (ms since epoch).
 * @throws PinGoError UPDATE_UNDELIVERED
 */
export async function sendUpdate(o: {
  source: () => Source
  lease: string
  ticket: string
  body: Uint8Array
  deadline: number
  clock: () => number
  signal: AbortSignal
}): Promise<UpdateAnswer> {
  let pause = FIRST_PAUSE_MS
  for (;;) {
    let cause: unknown
    try {
      const { status, body } = await request(o.source(), `/v1/leases/${o.lease}/update`, {
        method: 'PUT',
        headers: { 'content-type': 'application/cbor', authorization: `Bearer ${o.ticket}` },
        body: o.body,
        maxBytes: MAX_ANSWER_BYTES,
        signal: AbortSignal.any([o.signal, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)]),
      })
      const answer = UpdateAnswerSchema.safeParse(JSON.parse(Buffer.from(body).toString()))
      if (answer.success && status < 500) return answer.data
      cause = new Error(`status ${status}`)
    } catch (error) {
      if (o.signal.aborted) throw error
      cause = error
    }
    if (o.clock() + pause > o.deadline)
      throw new PinGoError(
        'UPDATE_UNDELIVERED',
        'The fog node could not be reached before the lease ran out; its samples go to others.',
        { cause },
      )
    await sleep(pause, undefined, { signal: o.signal })
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
  }
}
