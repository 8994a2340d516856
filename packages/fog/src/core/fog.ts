import { createJob, pendingCommands } from '@pingo/training'
import { EVICT_MS } from '@pingo/wire'
import { balance, isUnfair } from './balance.ts'
import { beginDraft, type Draft, feed } from './draft.ts'
import { change, evict, hear, join, remove, seen, senderOf } from './slices.ts'
import type { FogCommand, FogEvent, FogJob, FogState, FogStep } from './types.ts'

/** Ended jobs that are kept, to answer those whose update was in the last round. */
const MAX_ENDED_JOBS = 16

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
    case 'contributor-offer':
      change(draft, event)
      return
    case 'contributor-heartbeat':
      hear(draft, event)
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
      feed(draft, job, { ...released, contributor: senderOf(draft, job, event.lease, event.contributor) })
      return
    }
    case 'merged':
      // The round's boundary: who is to work for another job goes before the next round starts.
      if (draft.jobs[event.job]?.core.phase === 'merging') balance(draft)
      feed(draft, event.job, { type: 'merged', at: now, round: event.round, base: event.base })
      return
    case 'tick':
      for (const { peer, slice, lastSeenAt } of [...draft.contributors])
        if (slice === 0 && now - lastSeenAt >= EVICT_MS) evict(draft, peer)
      for (const id of Object.keys(draft.jobs)) feed(draft, id, { type: 'tick', at: now })
      if (isUnfair(draft)) draft.changed = true
  }
}

function addJob(draft: Draft, id: string, job: Pick<FogJob, 'core' | 'memoryBytes' | 'submittedAt'>): void {
  if (draft.jobs[id] !== undefined) return
  draft.jobs[id] = { ...job, order: draft.nextOrder++, served: false, since: draft.now }
  draft.changed = true
}

function update(draft: Draft, event: Extract<FogEvent, { type: 'update' }>): void {
  const { job, ...report } = event
  seen(draft, event.contributor)
  if (draft.jobs[job] !== undefined) {
    feed(draft, job, { ...report, contributor: senderOf(draft, job, event.lease, event.contributor) })
    return
  }
  const message = `There is no job '${job}' that waits for updates.`
  draft.commands.push({ type: 'answer', job, lease: event.lease, accepted: false, code: 'LEASE_UNKNOWN', message })
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
