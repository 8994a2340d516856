import type { Client } from '@pingo/client'
import { isFinal, type JobEvent, type JobView, type PinGoError } from '@pingo/wire'
import { time } from '../format.ts'
import type { Output } from '../output.ts'
import { roundLine, testLine } from './job-lines.ts'
import { LiveView } from './live.ts'

/**
 * Shows a job until it ends: redrawn in place on a terminal, else a line per round; with --json the events themselves, a line
 * each.
 * @param o.quietJson rounds as lines on stderr instead of events on stdout
 * @returns the job as it ended
 */
export async function watchJob(
  client: Client,
  id: string,
  output: Output,
  o: { signal: AbortSignal; after?: number; quietJson?: boolean },
): Promise<JobView> {
  const view = output.live ? new LiveView(output.colour) : undefined
  const lines = new EventLines()
  const events = client.follow(id, {
    signal: o.signal,
    after: o.after,
    onTrouble: (error) => tellTrouble(error, view, output),
  })
  let last: JobView | undefined
  try {
    for await (const event of events) {
      if ('job' in event) last = event.job
      if (output.json && !o.quietJson) {
        if (event.type !== 'progress') output.emit(event)
      } else if (view) drawEvent(event, view)
      else for (const line of lines.of(event)) output.say(line)
    }
  } finally {
    view?.end()
  }
  return last && isFinal(last.state) ? last : client.job(id)
}

/** Events as lines, each said once. */
export class EventLines {
  #job: JobView | undefined
  #said = ''
  /** The last round that was told; it comes again when the test data were evaluated. */
  #round = 0
  /** The last that was told of the test data: the end may measure what the last round did. */
  #tested = ''

  of(event: JobEvent): string[] {
    if (event.type === 'log')
      return [`${time(event.at)}  ${event.level === 'info' ? '' : `${event.level}: `}${event.message}`]
    if (event.type === 'round') {
      const { round } = event
      if (round.round > this.#round) {
        this.#round = round.round
        return [roundLine(round, this.#job)]
      }
      const line = round.testMetric === undefined ? '' : testLine(round, this.#job)
      if (line === '' || line === this.#tested) return []
      this.#tested = line
      return [line]
    }
    this.#job = event.job
    const { state, reason } = event.job
    if (isFinal(state)) return [] // its summary follows
    const sentence = `${state}${reason ? `: ${reason}` : ''}`
    if (sentence === this.#said || (event.type === 'progress' && state === 'running' && !reason)) return []
    this.#said = sentence
    return [sentence]
  }
}

function drawEvent(event: JobEvent, view: LiveView): void {
  if (event.type === 'log') view.above(`${time(event.at)}  ${event.message}`)
  else if (event.type === 'round') view.loss(event.round.round, event.round.loss)
  else view.show(event.job)
}

function tellTrouble(error: PinGoError | undefined, view: LiveView | undefined, output: Output): void {
  const text = error && `${error.message} Trying again …`
  if (view) view.trouble(text)
  else if (text) output.note(text)
  else output.note('The fog node answers again.')
}
