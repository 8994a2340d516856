import { PinGoError, type UpdateAnswer, UpdateAnswerSchema } from '@pingo/wire'
import { readBounded } from './fetch-file.ts'

const ATTEMPT_TIMEOUT_MS = 60_000
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5_000
const MAX_ANSWER_BYTES = 16 << 10

/**
 * Sends a signed update until the fog node answers yes or no; one that cannot be reached is asked again until `deadline`.
 * @throws PinGoError UPDATE_UNDELIVERED, or the signal's reason
 */
export async function putUpdate(o: {
  origin: string
  lease: string
  ticket: string
  body: Uint8Array
  /** ms since epoch */
  deadline: number
  signal: AbortSignal
}): Promise<UpdateAnswer> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    let cause: unknown
    try {
      const response = await fetch(`${o.origin}/v1/leases/${o.lease}/update`, {
        method: 'PUT',
        headers: { 'content-type': 'application/cbor', authorization: `Bearer ${o.ticket}` },
        body: o.body as Uint8Array<ArrayBuffer>,
        credentials: 'omit',
        redirect: 'error',
        signal: AbortSignal.any([o.signal, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)]),
      })
      const text = new TextDecoder().decode(await readBounded(response, MAX_ANSWER_BYTES))
      const answer = UpdateAnswerSchema.safeParse(JSON.parse(text))
      if (answer.success && response.status < 500) return answer.data
      cause = new Error(`status ${response.status}`)
    } catch (error) {
      o.signal.throwIfAborted()
      cause = error
    }
    if (Date.now() + pause > o.deadline)
      throw new PinGoError(
        'UPDATE_UNDELIVERED',
        'The fog node could not be reached before the lease ran out; its samples go to others.',
        { cause },
      )
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
