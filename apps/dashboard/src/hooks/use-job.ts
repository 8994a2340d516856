import type { JobView } from '@pingo/wire'
import { useEffect, useReducer, useState } from 'react'
import { ApiError, eventsUrl, fetchExplanation, fetchJob } from '../core/api.ts'
import { initialJobState, isFinal, type JobState, jobReducer } from '../core/job-state.ts'
import { openJobStream } from '../core/job-stream.ts'
import { reason } from '../core/reason.ts'
import { useVisible } from './use-visible.ts'

/** How often "why is it where it is" is asked anew while the job is not over. */
const EXPLAIN_MS = 5_000
/** After a job could not be read while the fog node itself answers. */
const RETRY_MS = 3_000

/**
 * One job, live. `polled` is the same job from the overview's poll, when it is in it; `epoch` changes when the fog node
 * was lost or restarted, upon which everything is read anew.
 */
export function useJob(id: string, polled: JobView | undefined, epoch: number): JobState {
  const [state, dispatch] = useReducer(jobReducer, initialJobState)
  const visible = useVisible()
  const [missed, setMissed] = useState(0)
  const jobState = state.job?.state
  const waitReason = state.job?.reason
  const over = jobState !== undefined && isFinal(jobState)
  const known = state.phase === 'ready'
  const failed = state.phase === 'failed'

  // Dependencies: epoch, missed events and the job's end are reasons to read anew.
  useEffect(() => {
    if (!visible) return
    const stop = new AbortController()
    // Together, so that the page is drawn once and nothing on it moves; without an explanation it can do.
    const explained = fetchExplanation(id, stop.signal).catch(() => undefined)
    Promise.all([fetchJob(id, stop.signal), explained]).then(
      ([{ job, rounds }, explanation]) => dispatch({ type: 'loaded', job, rounds, explanation }),
      (error) => {
        if (stop.signal.aborted) return
        if (error instanceof ApiError && error.status === 404) dispatch({ type: 'missing' })
        else dispatch({ type: 'failed', error: reason(error) })
      },
    )
    return () => stop.abort()
  }, [id, visible, epoch, missed, over])

  useEffect(() => {
    if (!visible || !failed) return
    const timer = setInterval(() => setMissed((count) => count + 1), RETRY_MS)
    return () => clearInterval(timer)
  }, [visible, failed])

  // Dependencies: after a restart the stream is opened anew at once.
  useEffect(() => {
    if (!visible || !known) return
    const close = openJobStream(eventsUrl(id), {
      endless: !over,
      onEvents: (events) => dispatch({ type: 'events', events }),
      onOpen: (again) => {
        dispatch({ type: 'stream', open: true })
        if (again) setMissed((count) => count + 1)
      },
      onClosed: () => dispatch({ type: 'stream', open: false }),
    })
    return () => {
      close()
      dispatch({ type: 'stream', open: false })
    }
  }, [id, visible, known, epoch, over])

  useEffect(() => {
    if (polled !== undefined) dispatch({ type: 'polled', job: polled })
  }, [polled])

  // Dependencies: a new state, reason or fog node wants a new explanation.
  useEffect(() => {
    if (!visible || !known) return
    const stop = new AbortController()
    const ask = () =>
      fetchExplanation(id, stop.signal).then(
        (explanation) => dispatch({ type: 'explained', explanation }),
        () => undefined,
      )
    void ask()
    const timer = over ? undefined : setInterval(ask, EXPLAIN_MS)
    return () => {
      stop.abort()
      clearInterval(timer)
    }
  }, [id, visible, known, over, jobState, waitReason, epoch])

  return state
}
