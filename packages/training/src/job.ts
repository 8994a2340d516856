import { type FileRef, PinGoError } from '@pingo/wire'
import { beginDraft, type Draft, indexOfMember, isAwaited, memberOf, outOf, putLease, putMember } from './draft.ts'
import type { JobCommand, JobCore, JobEvent, JobSettings, Release, UpdateReport } from './job-types.ts'
import { createLedger, giveBack } from './ledger.ts'
import {
  GATHER_MS,
  LATENESS_KEPT,
  MAX_FAILURES,
  MAX_JOB_ID,
  MAX_RETRY_MS,
  MERGE_RETRY_MS,
  PAUSED_RETRY_MS,
  RECONNECT_MS,
  RETRY_MS,
} from './limits.ts'
import { splitAt } from './ranges.ts'
import {
  askMerge,
  canOpen,
  closeRound,
  closesAt,
  commitRound,
  dropLeases,
  finishJob,
  grantLate,
  mergeCommand,
  noteQuorum,
  openRound,
} from './rounds.ts'
import { checkUpdate } from './updates.ts'

/**
 * A job that waits for contributors, its model at `base`.
 * @throws PinGoError JOB_INVALID for settings that make no sense
 */
export function createJob(settings: JobSettings, base: FileRef, at: number): JobCore {
  checkSettings(settings)
  return {
    version: 1,
    settings,
    phase: 'waiting',
    final: null,
    now: at,
    createdAt: at,
    round: 1,
    base,
    fence: 1,
    samplesDone: 0,
    ledger: createLedger(settings.batch, settings.totalSamples),
    members: [],
    outstanding: [],
    open: null,
    openAt: null,
    mergeAskedAt: null,
    lateness: [],
    granted: 0,
    failures: [],
    excluded: [],
    last: null,
    wakeAt: settings.deadlineAt ?? null,
  }
}

/**
 * One step of the state machine: what is true afterwards and what the shell has to do. Pure: the same core and event give the
 * same result, and the core that was given is as it was. An event that changes nothing gives back the very core that was given;
 * any other one is made durable by the shell before it carries out a command.
 */
export function stepJob(core: JobCore, event: JobEvent): { core: JobCore; commands: JobCommand[] } {
  if (core.phase === 'ended' && event.type !== 'update') return { core, commands: [] }
  const due = core.wakeAt !== null && Math.max(core.now, event.at) >= core.wakeAt
  if (event.type === 'tick' && !due)
    return { core, commands: core.wakeAt === null ? [] : [{ type: 'wake', at: core.wakeAt }] }
  if (event.type === 'update' && !due) {
    const checked = checkUpdate(core, event)
    if (!('lease' in checked)) return { core, commands: [answerTo(event, checked)] }
  }
  const draft = beginDraft(core, event.at)
  if (core.phase !== 'ended') passTime(draft)
  if (event.type === 'update') answerUpdate(draft, event)
  else if (draft.core.phase !== 'ended') take(draft, event)
  while (moveOn(draft));
  const wakeAt = nextWake(draft)
  draft.core.wakeAt = wakeAt
  if (wakeAt !== null && (wakeAt !== core.wakeAt || event.type === 'tick'))
    draft.commands.push({ type: 'wake', at: wakeAt })
  return { core: draft.core, commands: draft.commands }
}

/** The state after a crash: the last snapshot and the events that were journaled since, in order. */
export function restoreJob(snapshot: JobCore, journal: readonly JobEvent[]): JobCore {
  return journal.reduce((core, event) => stepJob(core, event).core, snapshot)
}

/**
 * What may have been lost with a crash between journal and execution, to be carried out (again): the last commit's effects, a
 * merge that was under way, the end. Grants are not among them: contributors say on their return what they hold.
 */
export function pendingCommands(core: JobCore): JobCommand[] {
  const commands: JobCommand[] = []
  if (core.last !== null) commands.push({ type: 'committed', round: core.last })
  if (core.phase === 'merging') commands.push(mergeCommand(core))
  if (core.final !== null) commands.push({ type: 'finished', ...core.final })
  if (core.phase !== 'ended' && core.wakeAt !== null) commands.push({ type: 'wake', at: core.wakeAt })
  return commands
}

function take(draft: Draft, event: Exclude<JobEvent, { type: 'update' }>): void {
  const { core, now } = draft
  switch (event.type) {
    case 'joined':
      resume(draft, event, [])
      return
    case 'resumed':
      resume(draft, event, event.leases)
      return
    case 'forecast':
      if (memberOf(core, event.contributor)) noteForecast(draft, event.contributor, event.survival)
      return
    case 'left':
      leave(draft, event.contributor)
      return
    case 'restarted':
      for (const member of core.members)
        if (member.present) putMember(draft, member.id, { present: false, seenAt: now })
      core.outstanding = core.outstanding.map((lease) => ({ ...lease, held: false, waitUntil: now + RECONNECT_MS }))
      return
    case 'released':
      release(draft, event)
      return
    case 'merged':
      if (core.phase !== 'merging' || event.round !== core.round) return
      commitRound(draft, event.base)
      if (draft.core.final === null && canOpen(core, now)) openRound(draft)
      return
    case 'stop':
      finishJob(draft, 'stopped', event.reason)
      return
    case 'failed':
      finishJob(draft, 'failed', event.reason)
      return
    case 'tick':
  }
}

/** What is due by the clock: leases past their ttl, the deadline, a merge that nobody reported. */
function passTime(draft: Draft): void {
  const { core, now } = draft
  const { deadlineAt } = core.settings
  if (deadlineAt !== undefined && now >= deadlineAt) {
    finishJob(draft, 'failed', 'The job was not done by its deadline.')
    return
  }
  const expired = outOf(core.outstanding).filter((lease) => now >= lease.expiresAt)
  dropLeases(draft, expired, () => 'The lease expired.')
  if (core.phase === 'merging' && now >= core.mergeAskedAt! + MERGE_RETRY_MS) askMerge(draft)
}

/** A contributor is there and holds `held`: other leases that it was granted never arrived, or were lost with its process. */
function resume(
  draft: Draft,
  { contributor: id, flops, survival }: { contributor: string; flops: number; survival?: number | undefined },
  held: readonly string[],
): void {
  const { core, now } = draft
  putMember(draft, id, { present: true, flops, seenAt: now })
  noteForecast(draft, id, survival)
  const mine = core.outstanding.filter((lease) => lease.contributor === id)
  dropLeases(
    draft,
    outOf(mine).filter((lease) => !held.includes(lease.id)),
    () => 'Its contributor came back without it.',
    false,
  )
  for (const lease of mine) if (held.includes(lease.id)) putLease(draft, { ...lease, held: true })
  for (const lease of held)
    if (!mine.some((other) => other.id === lease) && !core.last?.included.some((entry) => entry.lease === lease))
      draft.commands.push({ type: 'revoke', lease, contributor: id, reason: 'The lease is void.' })
  grantLate(draft, memberOf(core, id)!)
}

function noteForecast(draft: Draft, id: string, survival: number | undefined): void {
  const { survival: before, ...member } = memberOf(draft.core, id)!
  if (before === survival) return
  draft.core.members[indexOfMember(draft.core.members, id)] = survival === undefined ? member : { ...member, survival }
}

/** Nobody waits for one who left; an update that still arrives before the round closes is welcome. */
function leave(draft: Draft, id: string): void {
  const { core, now } = draft
  if (!memberOf(core, id)?.present) return
  putMember(draft, id, { present: false, seenAt: now })
  for (const lease of core.outstanding)
    if (lease.contributor === id && lease.held) putLease(draft, { ...lease, held: false, waitUntil: now })
}

function release(draft: Draft, event: Release): void {
  const { core, now } = draft
  const lease = outOf(core.outstanding).find(
    (other) => other.id === event.lease && other.contributor === event.contributor,
  )
  if (lease === undefined) return
  const { reason, code = 'UNKNOWN', message = 'The contributor gave no reason.' } = event
  dropLeases(draft, [lease], () => (event.message ? `${reason}: ${event.message}` : reason), false)
  const failures = memberOf(core, lease.contributor)?.failures ?? 0
  const delay = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** failures)
  if (reason === 'failed' || reason === 'diverged') {
    putMember(draft, lease.contributor, { notBefore: now + delay, failures: failures + 1 })
    core.failures = [...core.failures, { lease: lease.id, contributor: lease.contributor, code, message }]
    if (hasFailed(draft)) finishJob(draft, 'failed', `${code}: ${message}`)
  } else if (reason === 'refused')
    putMember(draft, lease.contributor, { notBefore: now + delay, failures: failures + 1 })
  else if (reason !== 'superseded') putMember(draft, lease.contributor, { notBefore: now + PAUSED_RETRY_MS })
}

/**
 * True when the fault is the job's: three leases failed with nothing committed between, and these are at least half of those
 * granted (a few broken machines among many do not end a job); or everybody who is there failed, a lone one twice.
 */
function hasFailed({ core }: Draft): boolean {
  const { failures } = core
  if (failures.length >= MAX_FAILURES && 2 * failures.length >= core.granted) return true
  const present = core.members.filter((member) => member.present)
  return (
    failures.length >= 2 &&
    present.length > 0 &&
    present.every((member) => failures.some((failure) => failure.contributor === member.id))
  )
}

/** An accepted update waits for the merge; what it leaves of its lease is free again at once. */
function answerUpdate(draft: Draft, report: UpdateReport): void {
  const { core, now } = draft
  const checked = checkUpdate(core, report)
  draft.commands.push(answerTo(report, checked))
  if (!('lease' in checked)) return
  const { lease } = checked
  const { update, steps, samples, lossSum, metricSum, millis, norm } = report
  const [done, rest] = splitAt(lease.ranges, steps)
  core.ledger = giveBack(core.ledger, rest)
  putLease(draft, {
    ...lease,
    ranges: done,
    update: { update, at: now, steps, samples, lossSum, metricSum, millis, norm },
  })
  const stopped = steps < lease.steps
  if (stopped && core.open !== null)
    core.lateness = [...core.lateness, Math.max(0, now - core.open.dueAt)].slice(-LATENESS_KEPT)
  const before = memberOf(core, lease.contributor)?.rate ?? 0
  const rate = steps / Math.max(1, millis)
  putMember(draft, lease.contributor, { rate: before > 0 ? (before + rate) / 2 : rate, failures: 0, notBefore: 0 })
}

function answerTo(report: UpdateReport, checked: ReturnType<typeof checkUpdate>): JobCommand {
  const { lease } = report
  return 'refusal' in checked
    ? { type: 'answer', lease, accepted: false, ...checked.refusal }
    : { type: 'answer', lease, accepted: true }
}

/** A change of phase that is due; true when there was one. */
function moveOn(draft: Draft): boolean {
  const { core, now } = draft
  if (core.phase === 'training') {
    const awaited = core.outstanding.some((lease) => isAwaited(lease, now))
    const inside = core.outstanding.some((lease) => lease.update !== null)
    noteQuorum(draft)
    const closes = closesAt(core)
    if ((inside && !awaited) || (closes !== null && now >= closes)) closeRound(draft)
    else if (!awaited && (core.outstanding.length === 0 || canOpen(core, now))) {
      dropLeases(draft, core.outstanding, () => 'Its contributor is gone.')
      core.phase = 'waiting'
      core.open = null
    } else return false
    return true
  }
  if (core.phase !== 'waiting') return false
  if (!canOpen(core, now)) core.openAt = null
  else if (core.openAt === null) core.openAt = now + GATHER_MS
  if (core.openAt === null || now < core.openAt) return false
  openRound(draft)
  return true
}

/** When the clock alone changes something; null when only an event can. */
function nextWake({ core, now }: Draft): number | null {
  if (core.phase === 'ended') return null
  const times: number[] = []
  if (core.settings.deadlineAt !== undefined) times.push(core.settings.deadlineAt)
  if (core.phase === 'merging') times.push(core.mergeAskedAt! + MERGE_RETRY_MS)
  if (core.phase === 'training') {
    for (const lease of core.outstanding) {
      if (lease.update !== null) continue
      times.push(lease.expiresAt)
      if (!lease.held && lease.waitUntil > now) times.push(lease.waitUntil)
    }
    const closes = closesAt(core)
    if (closes !== null) times.push(closes)
  }
  if (core.phase !== 'merging')
    for (const member of core.members) if (member.present && member.notBefore > now) times.push(member.notBefore)
  if (core.openAt !== null) times.push(core.openAt)
  return times.length === 0 ? null : Math.ceil(times.reduce((first, time) => Math.min(first, time)))
}

function checkSettings(settings: JobSettings): void {
  const { job, batch, totalSamples, roundMs, contributors } = settings
  const invalid = (message: string) => new PinGoError('JOB_INVALID', message)
  if (job.length === 0 || job.length > MAX_JOB_ID) throw invalid(`A job's id has 1 to ${MAX_JOB_ID} characters.`)
  for (const [name, value] of Object.entries({ batch, totalSamples, min: contributors.min, max: contributors.max }))
    if (!Number.isSafeInteger(value) || value < 1) throw invalid(`The job's '${name}' is not a positive integer.`)
  if (contributors.max < contributors.min) throw invalid('The job wants more contributors than it allows.')
  if (!(roundMs > 0 && roundMs < Number.POSITIVE_INFINITY)) throw invalid("The job's 'roundMs' is not positive.")
}
