import { type JobEvent, stepJob } from '@pingo/training'
import type { FogCommand, FogContributor, FogJob, FogState, JournalEntry } from './types.ts'

/** The job that a lease belongs to, by the lease's id. */
export const jobOfLease = (lease: string): string => lease.slice(0, Math.max(0, lease.lastIndexOf('.')))

/** A step under way: lists and records are copies that may be written to; the objects in them are replaced, never changed. */
export interface Draft {
  contributors: FogContributor[]
  jobs: Record<string, FogJob>
  nextOrder: number
  wakeAt: number | null
  now: number
  commands: FogCommand[]
  journal: JournalEntry[]
  /** The earliest wake that this step asks for. */
  wake: number
  /** Contributors or jobs have come or gone: who works for whom is to be decided anew. */
  changed: boolean
}

export function beginDraft(state: FogState, now: number): Draft {
  return {
    contributors: state.contributors.slice(),
    jobs: { ...state.jobs },
    nextOrder: state.nextOrder,
    wakeAt: state.wakeAt,
    now,
    commands: [],
    journal: [],
    wake: Number.POSITIVE_INFINITY,
    changed: false,
  }
}

/** Index of the contributor in the sorted list, or `-(place to insert) - 1`. */
export function indexOfContributor(contributors: readonly FogContributor[], id: string): number {
  let low = 0
  let high = contributors.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (contributors[middle]!.id < id) low = middle + 1
    else high = middle
  }
  return contributors[low]?.id === id ? low : -low - 1
}

export const contributorOf = (state: Pick<FogState, 'contributors'>, id: string): FogContributor | undefined =>
  state.contributors[indexOfContributor(state.contributors, id)]

export function changeContributor(draft: Draft, id: string, change: Partial<FogContributor>): void {
  const index = indexOfContributor(draft.contributors, id)
  draft.contributors[index] = { ...draft.contributors[index]!, ...change }
}

/** Gives an event to a job; unless it changes nothing, it goes to the journal. */
export function feed(draft: Draft, id: string, event: JobEvent): void {
  const job = draft.jobs[id]
  if (job === undefined) return
  const { core, commands } = stepJob(job.core, event)
  if (core !== job.core) {
    draft.journal.push({ job: id, event })
    // Between rounds contributors may move.
    if (core.phase === 'waiting' && job.core.phase !== 'waiting') draft.changed = true
    draft.jobs[id] = { ...job, core }
  }
  for (const command of commands) {
    if (command.type === 'wake') draft.wake = Math.min(draft.wake, command.at)
    else draft.commands.push({ job: id, ...command })
    if (command.type === 'finished') {
      draft.changed = true
      for (const { id: contributor, job: mine } of draft.contributors)
        if (mine === id) changeContributor(draft, contributor, { job: null })
    }
  }
}
