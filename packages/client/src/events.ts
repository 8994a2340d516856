import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { isFinal, isPinGoError, type JobEvent, JobEventSchema, JobViewSchema, PinGoError, validate } from '@pingo/wire'
import type { Gateway } from './gateway.ts'

/** Longest single event that is read, bytes. */
export const MAX_EVENT_BYTES = 8 << 20
/** A stream that is silent for so long is opened again. */
export const SILENCE_MS = 30_000
const RETRY_MS = { first: 250, most: 2_000 }
/** How long a fog node may stay away before following ends with an error. */
export const PATIENCE_MS = 15 * 60_000

export interface FollowOptions {
  signal?: AbortSignal
  /** Only events after this `seq`. Default: from the start of the job. */
  after?: number
  /** Told when the fog node does not answer, and when it answers again (undefined). */
  onTrouble?(error: PinGoError | undefined): void
  patienceMs?: number
}

/**
 * Events of a job until it ends. A lost connection and a restart of the fog node are survived: the stream goes on behind
 * the last event (`Last-Event-ID`). The last event yielded is the `state` that is final.
 * @throws PinGoError JOB_UNKNOWN; FOG_UNREACHABLE after `patienceMs` without an answer
 */
export async function* followJob(gateway: Gateway, id: string, options: FollowOptions = {}): AsyncGenerator<JobEvent> {
  const { signal, onTrouble, patienceMs = PATIENCE_MS } = options
  let last = options.after
  let failures = 0
  let troubleSince: number | undefined
  const path = `/v1/jobs/${encodeURIComponent(id)}`
  while (true) {
    signal?.throwIfAborted()
    try {
      const headers = last === undefined ? {} : { 'last-event-id': String(last) }
      const stream = await gateway.open(`${path}/events`, {
        headers,
        accept: 'text/event-stream',
        signal,
        timeoutMs: SILENCE_MS,
      })
      if (troubleSince !== undefined) onTrouble?.(undefined)
      troubleSince = undefined
      for await (const event of readEvents(stream)) {
        failures = 0
        if (event.type !== 'progress') last = event.seq
        yield event
        if (event.type === 'state' && isFinal(event.job.state)) return
      }
      const job = await gateway.json(path, JobViewSchema, { signal })
      if (isFinal(job.state)) {
        yield { type: 'state', seq: last ?? 0, at: job.endedAt ?? job.submittedAt, job }
        return
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (!isPinGoError(error) || !RECOVERABLE.has(error.code)) throw error
      troubleSince ??= performance.now()
      if (performance.now() - troubleSince > patienceMs) throw error
      onTrouble?.(error)
    }
    await sleep(Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** failures++), undefined, { signal })
  }
}

const RECOVERABLE = new Set(['FOG_UNREACHABLE', 'TIMEOUT', 'FOG_ERROR'])

/** Reads Server-Sent Events (WHATWG HTML, section 9.2) and validates each. */
async function* readEvents(stream: IncomingMessage): AsyncGenerator<JobEvent> {
  stream.setEncoding('utf8')
  let buffer = ''
  try {
    for await (const part of stream as AsyncIterable<string>) {
      buffer += part
      if (buffer.length > MAX_EVENT_BYTES)
        throw new PinGoError('FOG_ANSWER_INVALID', 'The fog node sent an event that is too long.')
      const blocks = buffer.split(/\r?\n\r?\n/)
      buffer = blocks.pop()!
      for (const block of blocks) {
        const data = block
          .split(/\r?\n/)
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).replace(/^ /, ''))
          .join('\n')
        if (data) yield parseEvent(data)
      }
    }
  } catch (error) {
    if (error instanceof PinGoError) throw error
    throw new PinGoError('FOG_UNREACHABLE', 'The connection to the fog node was lost.', { cause: error })
  } finally {
    stream.destroy()
  }
}

function parseEvent(data: string): JobEvent {
  let value: unknown
  try {
    value = JSON.parse(data)
  } catch (cause) {
    throw new PinGoError('FOG_ANSWER_INVALID', 'The fog node sent an event that is not JSON.', { cause })
  }
  return validate(JobEventSchema, value, 'event of the fog node')
}
