import { batchesOf, countOf } from '@pingo/training'
import { changeContributor, contributorOf, type Draft, feed, jobOfLease } from './draft.ts'
import { assign, type Demand, type Worker } from './share.ts'
import { survivalIn, survivalOf } from './survival.ts'
import type { FogContributor, FogJob, FogState } from './types.ts'

/** A job that has its contributors may keep them for so long while others wait; it gives them up at the next round's boundary. */
export const TURN_MS = 30_000

/** Decides anew who works for whom, and tells the jobs. */
export function balance(draft: Draft): void {
  draft.changed = false
  const active = Object.keys(draft.jobs).filter((id) => draft.jobs[id]!.core.phase !== 'ended')
  if (active.length <= 1) {
    if (active.length === 1) giveAll(draft, active[0]!)
    noteService(draft)
    return
  }
  const demands = demandsOf(draft)
  const workers = workersOf(draft)
  const before = new Map(workers.map((worker) => [worker.id, worker.job]))
  const after = assign(demands, workers)
  const moved = workers.filter(({ id }) => after.get(id) !== before.get(id)).map(({ id }) => id)
  for (const id of moved) {
    const from = before.get(id)!
    if (from !== null) feed(draft, from, { type: 'left', at: draft.now, contributor: id })
    changeContributor(draft, id, { job: after.get(id)! })
  }
  for (const id of moved) {
    const { job } = contributorOf(draft, id)!
    if (job !== null) tellJoined(draft, id, job)
  }
  noteService(draft)
}

function tellJoined(draft: Draft, contributor: string, job: string): void {
  const slice = contributorOf(draft, contributor)!
  const { flops, lease } = slice
  const survival = survivalIn(slice, draft.jobs[job]!)
  if (lease !== null && jobOfLease(lease) === job)
    feed(draft, job, { type: 'resumed', at: draft.now, contributor, flops, leases: [lease], survival })
  else feed(draft, job, { type: 'joined', at: draft.now, contributor, flops, survival })
}

/** With one job there is nothing to divide: who is free and has the memory works for it. */
function giveAll(draft: Draft, job: string): void {
  const { core, memoryBytes } = draft.jobs[job]!
  const free: FogContributor[] = []
  let working = 0
  for (const contributor of draft.contributors) {
    if (contributor.job === job) working++
    else if (contributor.state !== 'paused' && contributor.memoryBytes >= memoryBytes) free.push(contributor)
  }
  const room = Math.max(0, core.settings.contributors.max - working)
  // of more than the job can use, those who will probably stay
  if (free.length > room) free.sort((a, b) => survivalOf(b) - survivalOf(a))
  for (const { id } of free.slice(0, room)) {
    changeContributor(draft, id, { job })
    tellJoined(draft, id, job)
  }
}

/**
 * Active jobs in the order in which they get what they need at least: those that have it for less than a turn, then those that
 * wait, the longest first, then those whose turn is over. So nobody waits for ever, and nobody is interrupted all the time.
 */
export function demandsOf(draft: { jobs: FogState['jobs']; now: number }): Demand[] {
  const rank = (job: FogJob): number => (!job.served ? 1 : draft.now - job.since < TURN_MS ? 0 : 2)
  return Object.entries(draft.jobs)
    .filter(([, job]) => job.core.phase !== 'ended')
    .sort(([, a], [, b]) => rank(a) - rank(b) || a.since - b.since || a.order - b.order)
    .map(([id, { core, memoryBytes }]) => {
      const left = batchesOf(core.ledger) - countOf(core.ledger.done)
      const { min, max } = core.settings.contributors
      return { job: id, min, max: Math.max(min, Math.min(max, left)), memoryBytes }
    })
}

/** Contributors that may work; who holds a lease of a round under way is not moved before its end. */
export function workersOf(draft: Pick<FogState, 'contributors' | 'jobs'>): Worker[] {
  const held = new Set<string>()
  for (const { core } of Object.values(draft.jobs))
    if (core.phase === 'training') for (const lease of core.outstanding) if (lease.held) held.add(lease.contributor)
  return draft.contributors
    .filter((contributor) => contributor.state !== 'paused')
    .map((contributor) => {
      const { id, memoryBytes, job } = contributor
      return { id, memoryBytes, job, movable: job === null || !held.has(id), survival: survivalOf(contributor) }
    })
}

/** True when a job waits although others have had their turn: looked at from time to time. */
export function isUnfair(draft: Draft): boolean {
  const jobs = Object.values(draft.jobs).filter((job) => job.core.phase !== 'ended')
  return jobs.some((job) => !job.served) && jobs.some((job) => job.served && draft.now - job.since >= TURN_MS)
}

function noteService(draft: Draft): void {
  for (const [id, job] of Object.entries(draft.jobs)) {
    if (job.core.phase === 'ended') continue
    const count = draft.contributors.reduce((sum, contributor) => sum + (contributor.job === id ? 1 : 0), 0)
    const served = count >= job.core.settings.contributors.min
    if (served !== job.served) draft.jobs[id] = { ...job, served, since: draft.now }
  }
}
