import type { Explanation, JobState } from '@pingo/wire'
import { isAwaited } from './draft.ts'
import type { JobCore } from './job-types.ts'
import { batchesOf } from './ledger.ts'
import { countOf } from './ranges.ts'

/** The job's state as the API names it. The shell says `finishing` while it prepares the result. */
export function stateOf(core: JobCore): JobState {
  if (core.final !== null) return core.final.state
  return core.last === null && core.open === null ? 'queued' : 'running'
}

/** Why a job is where it is, and what binds it, each with the cheapest change that would loosen it. */
export function explainJob(core: JobCore): Explanation {
  const constraints: Explanation['constraints'] = []
  const present = core.members.filter((member) => member.present)
  const { min, max } = core.settings.contributors
  const state = stateOf(core)
  const explain = (sentence: string): Explanation => ({ state, sentence, constraints })

  if (core.final !== null) {
    const words = { done: 'The job is done', stopped: 'The job was stopped', failed: 'The job failed' }
    return explain(
      core.final.reason ? `${words[core.final.state]}: ${core.final.reason}` : `${words[core.final.state]}.`,
    )
  }
  for (const failure of core.failures.slice(-1))
    constraints.push({
      what: `The last failed lease said ${failure.code}: ${failure.message}`,
      change: 'Correct the job, or its learning rate.',
    })
  const resting = present.filter((member) => member.notBefore > core.now)
  if (present.length - resting.length < min)
    constraints.push({
      what: `${plural(present.length - resting.length, 'contributor')} assigned to it, of at least ${min}, can work now.`,
      change: `Start ${plural(min - (present.length - resting.length), 'more contributor')}, or lower contributors.min.`,
    })
  if (present.length >= max)
    constraints.push({
      what: `The job takes at most ${plural(max, 'contributor')}.`,
      change: 'Raise contributors.max.',
    })
  if (core.settings.deadlineAt !== undefined)
    constraints.push({
      what: `It must be done by ${new Date(core.settings.deadlineAt).toISOString()}.`,
      change: 'Set a later deadline.',
    })

  const done = Math.floor((100 * countOf(core.ledger.done)) / batchesOf(core.ledger))
  if (core.phase === 'merging')
    return explain(`Round ${core.round} is being merged from ${plural(core.outstanding.length, 'update')}.`)
  if (core.phase === 'training') {
    const awaited = core.outstanding.filter((lease) => isAwaited(lease, core.now)).length
    const inside = core.outstanding.filter((lease) => lease.update !== null).length
    if (awaited === 0) return explain(`Round ${core.round} lost all its contributors: it goes on as soon as one comes.`)
    return explain(
      `Round ${core.round} is under way: ${inside} updates are in, ${awaited} leases are out, ${done} % was done before.`,
    )
  }
  if (present.length === 0) return explain('It waits for contributors: none is assigned to it.')
  if (present.length - resting.length < min)
    return explain(`It waits for contributors: ${present.length - resting.length} of at least ${min} can work now.`)
  return explain(`Round ${core.round} is about to start with ${plural(present.length, 'contributor')}.`)
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
