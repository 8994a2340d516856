import { setTimeout as sleep } from 'node:timers/promises'
import { request, type Source } from '@pingo/storage/fetching'
import { isPinGoError, PinGoError, type UpdateAnswer, UpdateAnswerSchema } from '@pingo/wire'
import { type Bandwidth, capReached } from './bandwidth/bandwidth.ts'
import { HEAD_BYTES } from './bandwidth/counted-pool.ts'

const ATTEMPT_TIMEOUT_MS = 60_000
/** A fog node ends a request that takes two minutes. */
const LONGEST_ATTEMPT_MS = 115_000
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5_000
const MAX_ANSWER_BYTES = 16 << 10

/**
 * How long an update of so many bytes takes at the owner's rate, ms; undefined when it is too long for one request.
 * Who plans a lease leaves so much time after its training.
 */
export function uploadMs(bandwidth: Bandwidth | undefined, bytes: number): number | undefined {
  const ms = bandwidth?.etaMs(bytes + HEAD_BYTES, 'sent') ?? 0
  return ms <= LONGEST_ATTEMPT_MS ? ms : undefined
}

/**
 * Sends a signed update until the fog node answers yes or no. A fog node that cannot be reached (it may be restarting) is
 * asked again until `deadline` (ms since epoch). What cannot be sent in time by the owner's rate is not begun.
 * @throws PinGoError UPDATE_UNDELIVERED, DATA_CAP_REACHED
 */
export async function sendUpdate(o: {
  source: () => Source
  lease: string
  ticket: string
  body: Uint8Array
  deadline: number
  clock: () => number
  signal: AbortSignal
  bandwidth?: Bandwidth | undefined
}): Promise<UpdateAnswer> {
  const { bandwidth } = o
  let pause = FIRST_PAUSE_MS
  for (;;) {
    const takesMs = uploadMs(bandwidth, o.body.byteLength)
    if (bandwidth && (takesMs === undefined || (takesMs > 0 && o.clock() + takesMs > o.deadline)))
      throw new PinGoError(
        'UPDATE_UNDELIVERED',
        `At the rate that the owner lends, ${o.body.byteLength} bytes cannot be sent before the lease runs out; its samples go to others.`,
        { hint: 'Lend more bandwidth, or none of this machine for models so large.' },
      )
    if (bandwidth && !bandwidth.affords(o.body.byteLength + HEAD_BYTES, 'sent')) throw capReached()
    const pace = bandwidth?.isPaced ? paced(bandwidth) : {}
    bandwidth?.count(HEAD_BYTES + ('pace' in pace ? 0 : o.body.byteLength), 'sent')
    let cause: unknown
    try {
      const { status, body } = await request(o.source(), `/v1/leases/${o.lease}/update`, {
        method: 'PUT',
        headers: { 'content-type': 'application/cbor', authorization: `Bearer ${o.ticket}` },
        body: o.body,
        maxBytes: MAX_ANSWER_BYTES,
        signal: AbortSignal.any([o.signal, AbortSignal.timeout(takesMs ? LONGEST_ATTEMPT_MS : ATTEMPT_TIMEOUT_MS)]),
        ...pace,
      })
      bandwidth?.count(HEAD_BYTES + body.byteLength, 'received')
      const answer = UpdateAnswerSchema.safeParse(JSON.parse(Buffer.from(body).toString()))
      if (answer.success && status < 500) return answer.data
      cause = new Error(`status ${status}`)
    } catch (error) {
      if (o.signal.aborted || isPinGoError(error, 'DATA_CAP_REACHED')) throw error
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

const paced = (bandwidth: Bandwidth) => ({
  /** Between two pieces those of other slices are sent. */
  idleMs: LONGEST_ATTEMPT_MS,
  pace: {
    pieceBytes: () => bandwidth.pieceBytes('sent'),
    wait: (bytes: number, signal: AbortSignal) => bandwidth.take(bytes, 'sent', signal),
  },
})
