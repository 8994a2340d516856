import { explain as explainJob } from '@pingo/training'
import type { Explanation } from '@pingo/wire'
import { demandsOf, workersOf } from './balance.ts'
import { targetsOf } from './share.ts'
import type { FogState } from './types.ts'

/**
 * Why a job is where it is: what the job itself waits for, and what it gets of the contributors that are there.
 * Undefined for a job that is not scheduled here (any more).
 */
export function explain(state: FogState, job: string): Explanation | undefined {
  const known = state.jobs[job]
  if (known === undefined) return undefined
  const explanation = explainJob(known.core)
  if (known.core.phase === 'ended') return explanation
  const now = Math.max(known.core.now, ...state.contributors.map((contributor) => contributor.lastSeenAt))
  const mine = state.contributors.filter((contributor) => contributor.job === job).length
  const paused = state.contributors.filter((contributor) => contributor.state === 'paused').length
  const workers = workersOf(state)
  const able = workers.filter((worker) => worker.memoryBytes >= known.memoryBytes).length
  const { min } = known.core.settings.contributors
  const constraints = [...explanation.constraints]
  if (workers.length > able)
    constraints.push({
      what: `${workers.length - able} of ${workers.length} slices of contributors have less memory than the ${known.memoryBytes} bytes that the job needs.`,
      change: 'Lower the batch size or the model, or offer more memory, or fewer slices.',
    })
  if (paused > 0)
    constraints.push({
      what: `${paused} of ${state.contributors.length} slices of contributors are paused by their owners, or wait for space on their disks.`,
      change: 'Wait until they are idle.',
    })
  if (mine > 0 || known.core.phase === 'merging') return { ...explanation, constraints }

  const others = demandsOf({ jobs: state.jobs, now }).filter((demand) => demand.job !== job)
  const sentence =
    state.contributors.length === 0
      ? 'It waits for contributors: none is connected.'
      : able < min
        ? `It waits for contributors: ${able} of at least ${min} that can run it are connected.`
        : others.length > 0
          ? `It waits its turn: whoever could work for it is in a round of ${others.length === 1 ? 'another job' : `${others.length} other jobs`}.`
          : explanation.sentence
  if (
    able >= min &&
    others.length > 0 &&
    (targetsOf(demandsOf({ jobs: state.jobs, now }), workers).get(job) ?? 0) === 0
  )
    constraints.push({
      what: `${others.length} other ${others.length === 1 ? 'job has' : 'jobs have'} the contributors now; turns last half a minute.`,
      change: 'Start more contributors, or stop another job.',
    })
  return { ...explanation, sentence, constraints }
}
