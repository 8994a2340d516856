import { createJob, pendingCommands } from '@pingo/training'
import { EVICT_MS, HEARTBEAT_MS } from '@pingo/wire'
import { balance, isUnfair } from './balance.ts'
import {
  beginDraft,
  changeContributor,
  contributorOf,
  type Draft,
  feed,
  indexOfContributor,
  jobOfLease,
} from './draft.ts'
import type { FogCommand, FogEvent, FogJob, FogState, FogStep } from './types.ts'

/** Ended jobs that are kept, to answer those whose update was in the last round. */
const MAX_ENDED_JOBS = 16
/** A contributor that is idle so long after it was granted a lease never got it. */
const GRANT_LOST_MS = 2 * HEARTBEAT_MS

/** A fog node that knows nobody and has no jobs. */
export const createFog = (): FogState => ({ contributors: [], jobs: {}, nextOrder: 0, wakeAt: null })

/**
 * One step of the scheduler: several jobs, their contributors fairly shared, their rounds. Pure: neither sockets nor clock. The
 * shell makes `journal` durable before it carries out `commands`, in order.
 */
export function stepFog(state: FogState, event: FogEvent): FogStep {
  const draft = beginDraft(state, event.at)
  take(draft, event)
  while (draft.changed) {
    balance(draft)
    forgetEnded(draft)
  }
  askForWake(draft, event)
  const { contributors, jobs, nextOrder, wakeAt, commands, journal } = draft
  return { state: { contributors, jobs, nextOrder, wakeAt }, commands, journal }
}

/** What a crash may have kept from being carried out for a restored job; to be carried out (again) after `job-restored`. */
export function pendingFogCommands(state: FogState, job: string): FogCommand[] {
  const known = state.jobs[job]
  if (known === undefined) return []
  return pendingCommands(known.core).map((command) => (command.type === 'wake' ? command : { job, ...command }))
}

function take(draft: Draft, event: FogEvent): void {
  const { now } = draft
  switch (event.type) {
    case 'contributor-joined':
      join(draft, event)
      return
    case 'contributor-heartbeat':
      hear(draft, event)
      return
    case 'contributor-offer':
      if (contributorOf(draft, event.contributor) === undefined) return
      changeContributor(draft, event.contributor, { offer: event.offer, flops: event.flops })
      draft.changed = true
      return
    case 'contributor-left':
      remove(draft, event.contributor)
      return
    case 'job-submitted': {
      const { settings, base, memoryBytes } = event
      addJob(draft, settings.job, { core: createJob(settings, base, now), memoryBytes, submittedAt: now })
      return
    }
    case 'job-restored': {
      const { core, memoryBytes, submittedAt = core.createdAt } = event
      addJob(draft, core.settings.job, { core, memoryBytes, submittedAt })
      feed(draft, core.settings.job, { type: 'restarted', at: now })
      // The timer of the process that ended is gone: asked for anew even when it is due as before.
      draft.wake = Math.min(draft.wake, draft.jobs[core.settings.job]!.core.wakeAt ?? draft.wake)
      return
    }
    case 'job-stop':
      feed(draft, event.job, { type: 'stop', at: now, reason: event.reason })
      return
    case 'job-failed':
      feed(draft, event.job, { type: 'failed', at: now, reason: event.reason })
      return
    case 'update':
      update(draft, event)
      return
    case 'released': {
      const { job, ...released } = event
      feed(draft, job, released)
      return
    }
    case 'merged':
      // The round's boundary: who is to work for another job goes before the next round starts.
      if (draft.jobs[event.job]?.core.phase === 'merging') balance(draft)
      feed(draft, event.job, { type: 'merged', at: now, round: event.round, base: event.base })
      return
    case 'tick':
      for (const { id, lastSeenAt } of [...draft.contributors]) if (now - lastSeenAt >= EVICT_MS) evict(draft, id)
      for (const id of Object.keys(draft.jobs)) feed(draft, id, { type: 'tick', at: now })
      if (isUnfair(draft)) draft.changed = true
  }
}

function addJob(draft: Draft, id: string, job: Pick<FogJob, 'core' | 'memoryBytes' | 'submittedAt'>): void {
  if (draft.jobs[id] !== undefined) return
  draft.jobs[id] = { ...job, order: draft.nextOrder++, served: false, since: draft.now }
  draft.changed = true
}

/** A contributor says hello, for the first time or again: it goes on with the job whose leases it has. */
function join(draft: Draft, event: Extract<FogEvent, { type: 'contributor-joined' }>): void {
  const { contributor: id, offer, flops, leases } = event
  const { now } = draft
  const index = indexOfContributor(draft.contributors, id)
  const before = draft.contributors[index]
  const owner = Object.entries(draft.jobs).find(
    ([, { core }]) => core.phase !== 'ended' && core.outstanding.some((lease) => lease.contributor === id),
  )
  const job = owner?.[0] ?? before?.job ?? null
  const fresh = {
    id,
    offer,
    flops,
    joinedAt: now,
    lastSeenAt: now,
    state: 'idle' as const,
    lease: null,
    steps: 0,
    samples: 0,
    job,
  }
  if (before === undefined) draft.contributors.splice(-index - 1, 0, fresh)
  else {
    draft.contributors[index] = { ...fresh, joinedAt: before.joinedAt }
    if (before.job !== null && before.job !== job) feed(draft, before.job, { type: 'left', at: now, contributor: id })
  }
  const mine = leases.filter((lease) => jobOfLease(lease) === job)
  for (const lease of leases)
    if (!mine.includes(lease))
      draft.commands.push({
        type: 'revoke',
        job: jobOfLease(lease),
        lease,
        contributor: id,
        reason: 'The lease is void.',
      })
  if (job !== null) feed(draft, job, { type: 'resumed', at: now, contributor: id, flops, leases: mine })
  draft.wake = Math.min(draft.wake, now + EVICT_MS)
  draft.changed = true
}

function hear(draft: Draft, event: Extract<FogEvent, { type: 'contributor-heartbeat' }>): void {
  const { contributor: id, state, lease = null, steps = 0, samples = 0, survival } = event
  const { now } = draft
  const before = contributorOf(draft, id)
  if (before === undefined) {
    draft.commands.push({ type: 'disconnect', contributor: id, reason: 'It was silent for too long: say hello again.' })
    return
  }
  changeContributor(draft, id, { lastSeenAt: now, state, lease, steps, samples, ...(survival ? { survival } : {}) })
  if (state === 'paused' && before.job !== null) {
    // Nobody waits for one whose owner is at work; it is given a job again when it is idle.
    changeContributor(draft, id, { job: null })
    feed(draft, before.job, { type: 'left', at: now, contributor: id })
  }
  if ((state === 'paused') !== (before.state === 'paused')) draft.changed = true
  if (before.job === null || state === 'paused') return
  const mine = draft.jobs[before.job]?.core.outstanding.find((other) => other.contributor === id)
  if (lease !== null && lease !== mine?.id) {
    const reason = 'The lease is void.'
    draft.commands.push({ type: 'revoke', job: jobOfLease(lease), lease, contributor: id, reason })
  }
  const lost = mine !== undefined && mine.update === null && now - mine.grantedAt >= GRANT_LOST_MS
  if (lost && state === 'idle' && lease === null)
    feed(draft, before.job, { type: 'resumed', at: now, contributor: id, flops: before.flops, leases: [] })
}

function update(draft: Draft, event: Extract<FogEvent, { type: 'update' }>): void {
  const { job, ...report } = event
  if (contributorOf(draft, event.contributor) !== undefined)
    changeContributor(draft, event.contributor, { lastSeenAt: draft.now })
  if (draft.jobs[job] !== undefined) {
    feed(draft, job, report)
    return
  }
  const message = `There is no job '${job}' that waits for updates.`
  draft.commands.push({ type: 'answer', job, lease: event.lease, accepted: false, code: 'LEASE_UNKNOWN', message })
}

function evict(draft: Draft, id: string): void {
  remove(draft, id)
  draft.commands.push({ type: 'disconnect', contributor: id, reason: `It was silent for ${EVICT_MS / 1000} s.` })
}

function remove(draft: Draft, id: string): void {
  const index = indexOfContributor(draft.contributors, id)
  if (index < 0) return
  const { job } = draft.contributors[index]!
  draft.contributors.splice(index, 1)
  if (job !== null) feed(draft, job, { type: 'left', at: draft.now, contributor: id })
  draft.changed = true
}

function forgetEnded(draft: Draft): void {
  const ended = Object.entries(draft.jobs).filter(([, job]) => job.core.phase === 'ended')
  ended.sort(([, a], [, b]) => a.core.now - b.core.now || a.order - b.order)
  for (const [id] of ended.slice(0, Math.max(0, ended.length - MAX_ENDED_JOBS))) delete draft.jobs[id]
}

/** One wake for all: asked for when it is earlier than the one promised, and anew after each tick. */
function askForWake(draft: Draft, event: FogEvent): void {
  if (event.type === 'tick') {
    draft.wakeAt = null
    for (const { lastSeenAt } of draft.contributors) draft.wake = Math.min(draft.wake, lastSeenAt + EVICT_MS)
    for (const { core } of Object.values(draft.jobs))
      if (core.phase !== 'ended' && core.wakeAt !== null) draft.wake = Math.min(draft.wake, core.wakeAt)
  }
  if (draft.wake === Number.POSITIVE_INFINITY || (draft.wakeAt !== null && draft.wakeAt <= draft.wake)) return
  draft.wakeAt = draft.wake
  draft.commands.push({ type: 'wake', at: draft.wake })
}
