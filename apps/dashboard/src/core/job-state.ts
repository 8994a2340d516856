import type { Explanation, JobEvent, JobView, RoundView } from '@pingo/wire'

/** As many rounds as the fog node lists. */
export const MAX_ROUNDS = 2_000
export const MAX_LOG_LINES = 200

export interface LogLine {
  seq: number
  at: number
  level: 'info' | 'warn' | 'error'
  message: string
}

export interface JobState {
  phase: 'loading' | 'ready' | 'missing' | 'failed'
  job: JobView | undefined
  /** Committed rounds, ascending, no number twice. */
  rounds: RoundView[]
  /** Oldest first. */
  logs: LogLine[]
  explanation: Explanation | undefined
  /** Whether events arrive as they happen. */
  streaming: boolean
  /** Why it could not be loaded, a sentence. */
  error: string | undefined
}

export type JobStateEvent =
  | { type: 'loaded'; job: JobView; rounds: RoundView[]; explanation?: Explanation | undefined }
  | { type: 'polled'; job: JobView }
  | { type: 'events'; events: JobEvent[] }
  | { type: 'explained'; explanation: Explanation }
  | { type: 'stream'; open: boolean }
  | { type: 'missing' }
  | { type: 'failed'; error: string }

export const initialJobState: JobState = {
  phase: 'loading',
  job: undefined,
  rounds: [],
  logs: [],
  explanation: undefined,
  streaming: false,
  error: undefined,
}

export const isFinal = (state: JobView['state']): boolean =>
  state === 'done' || state === 'failed' || state === 'stopped'

/**
 * The open job. Answers of the API are the truth of their moment; events may be replays (a stream that is opened anew
 * starts with what was missed, or with everything), so applying one twice, or an old one late, changes nothing.
 */
export function jobReducer(state: JobState, event: JobStateEvent): JobState {
  switch (event.type) {
    case 'loaded':
      return {
        ...state,
        phase: 'ready',
        job: event.job,
        rounds: mergeRounds(state.rounds, event.rounds),
        explanation: event.explanation ?? state.explanation,
        error: undefined,
      }
    case 'polled':
      return state.job === undefined || state.phase !== 'ready' ? state : { ...state, job: newer(state.job, event.job) }
    case 'events':
      return applyEvents(state, event.events)
    case 'explained':
      return { ...state, explanation: event.explanation }
    case 'stream':
      return state.streaming === event.open ? state : { ...state, streaming: event.open }
    case 'missing':
      return { ...initialJobState, phase: 'missing' }
    case 'failed':
      // What is on the screen stays there: an old truth, marked as such, beats an empty page.
      return state.phase === 'ready' ? state : { ...state, phase: 'failed', error: event.error }
  }
}

function applyEvents(state: JobState, events: readonly JobEvent[]): JobState {
  const rounds: RoundView[] = []
  const logs: LogLine[] = []
  let job = state.job
  for (const event of events) {
    if (event.type === 'round') rounds.push(event.round)
    else if (event.type === 'log')
      logs.push({ seq: event.seq, at: event.at, level: event.level, message: event.message })
    else job = job === undefined ? event.job : newer(job, event.job)
  }
  return { ...state, job, rounds: mergeRounds(state.rounds, rounds), logs: mergeLogs(state.logs, logs) }
}

/** The later of two views of one job: what is committed only grows, and an ended job has ended. */
export function newer(known: JobView, incoming: JobView): JobView {
  if (incoming.samplesDone < known.samplesDone || incoming.rounds < known.rounds) return known
  if (isFinal(known.state) && !isFinal(incoming.state)) return known
  return incoming
}

function mergeRounds(known: RoundView[], incoming: readonly RoundView[]): RoundView[] {
  if (incoming.length === 0) return known
  const last = known.at(-1)
  const first = incoming[0]
  if (incoming.length === 1 && first && (last === undefined || first.round > last.round))
    return [...known, first].slice(-MAX_ROUNDS)
  const byNumber = new Map(known.map((round) => [round.round, round]))
  for (const round of incoming) byNumber.set(round.round, fuller(byNumber.get(round.round), round))
  return [...byNumber.values()].sort((a, b) => a.round - b.round).slice(-MAX_ROUNDS)
}

/** A round comes twice: when it is committed, and again once its checkpoint was tested. A replay must not take the test back. */
function fuller(known: RoundView | undefined, incoming: RoundView): RoundView {
  const tested = known?.testMetric !== undefined && incoming.testMetric === undefined
  return known !== undefined && tested && known.checkpoint === incoming.checkpoint ? known : incoming
}

function mergeLogs(known: LogLine[], incoming: readonly LogLine[]): LogLine[] {
  if (incoming.length === 0) return known
  const key = (line: LogLine) => `${line.at} ${line.seq} ${line.message}`
  const seen = new Set(known.map(key))
  const fresh = incoming.filter((line) => !seen.has(key(line)))
  if (fresh.length === 0) return known
  return [...known, ...fresh].sort((a, b) => a.at - b.at || a.seq - b.seq).slice(-MAX_LOG_LINES)
}
