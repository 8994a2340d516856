import type { FileRef, Range } from '@pingo/wire'
import { type Draft, exclude, isAwaited, memberOf, outOf } from './draft.ts'
import type { CommittedEntry, CommittedRound, FinalState, JobCore, LeaseState, Member } from './job-types.ts'
import { commitBatches, freeBatches, giveBack, isComplete, samplesOf, takeBatches } from './ledger.ts'
import { LATE_JOIN_PART, MAX_ABSENT_MEMBERS, QUORUM, TTL_MARGIN_MS, TTL_ROUNDS } from './limits.ts'
import { graceOf } from './pace.ts'
import { expectedSpeeds, planLate, planRound, roundLength, type Share } from './plan.ts'
import { splitAt } from './ranges.ts'
import { learningRateAt } from './schedule.ts'

/** Members who may get a lease now. */
export const readyMembers = (core: JobCore, now: number): Member[] =>
  core.members.filter((member) => member.present && member.notBefore <= now)

export function canOpen(core: JobCore, now: number): boolean {
  return readyMembers(core, now).length >= core.settings.contributors.min && freeBatches(core.ledger) > 0
}

/** Opens a round: a lease for everybody who is there. */
export function openRound(draft: Draft): void {
  const { core, now } = draft
  const { settings } = core
  forgetAbsent(core)
  const ready = readyMembers(core, now)
  const speeds = expectedSpeeds(ready, settings)
  const chosen =
    ready.length <= settings.contributors.max
      ? ready
      : [...ready]
          .sort((a, b) => speeds.get(b.id)! - speeds.get(a.id)! || (a.id < b.id ? -1 : 1))
          .slice(0, settings.contributors.max)
  const free = freeBatches(core.ledger)
  const plan = planRound(
    chosen.map((member) => member.id),
    speeds,
    free,
    roundLength(chosen, settings),
    settings,
  )
  const expected = plan.shares.reduce((sum, share) => sum + share.expected, 0)
  core.phase = 'training'
  core.openAt = null
  core.open = {
    startedAt: now,
    dueAt: now + Math.ceil(plan.softMs),
    ...graceOf(core.lateness, settings.roundMs, plan.shares.length),
    quorumAt: null,
    expectedSamples: Math.min(expected, free) * settings.batch,
  }
  grant(draft, plan.shares, core.open.expectedSamples)
}

/** A lease for one who came during a round, when enough of it is left. */
export function grantLate(draft: Draft, member: Member): void {
  const { core, now } = draft
  const { settings, open } = core
  if (core.phase !== 'training' || open === null || !member.present || member.notBefore > now) return
  const leftMs = open.dueAt - now
  const free = freeBatches(core.ledger)
  const part = leftMs / (open.dueAt - open.startedAt)
  if (part < LATE_JOIN_PART || free === 0) return
  if (core.outstanding.length >= settings.contributors.max) return
  if (core.outstanding.some((lease) => lease.contributor === member.id)) return
  const ready = readyMembers(core, now)
  const speed = expectedSpeeds(ready, settings).get(member.id) ?? 0
  grant(draft, [planLate(member.id, speed, free, leftMs, ready.length, settings)], part * open.expectedSamples)
}

/** Leases the shares; while their expected steps are done the whole round is expected to do `samples`. */
function grant(draft: Draft, shares: readonly Share[], samples: number): void {
  const { core, now } = draft
  const open = core.open!
  const { ledger, taken } = takeBatches(
    core.ledger,
    shares.map((share) => share.steps),
  )
  core.ledger = ledger
  const ttlMs = Math.ceil(TTL_ROUNDS * core.settings.roundMs) + TTL_MARGIN_MS
  shares.forEach((share, index) => {
    const ranges = taken[index]!
    const steps = ranges.reduce((sum, [from, to]) => sum + to - from, 0)
    if (steps === 0) return
    const fence = core.fence++
    const id = `${core.settings.job}.${fence}`
    const pace = samples / share.expected
    core.granted++
    core.outstanding.push({
      id,
      contributor: share.id,
      fence,
      ranges,
      steps,
      expected: Math.min(share.expected, steps),
      grantedAt: now,
      expiresAt: now + ttlMs,
      held: true,
      waitUntil: 0,
      update: null,
    })
    draft.commands.push({
      type: 'grant',
      lease: {
        id,
        contributor: share.id,
        round: core.round,
        fence,
        base: core.base,
        ranges,
        learningRate: { from: rateAt(core, core.samplesDone), to: rateAt(core, core.samplesDone + pace * steps) },
        softMs: Math.max(1, open.dueAt - now),
        ttlMs,
      },
    })
  })
}

/** Takes leases back that have no update: their ranges are free again; their contributors are told unless they said so themselves. */
export function dropLeases(
  draft: Draft,
  dropped: readonly LeaseState[],
  reason: (lease: LeaseState) => string,
  tell = true,
): void {
  if (dropped.length === 0) return
  const { core } = draft
  core.ledger = giveBack(core.ledger, ...dropped.map((lease) => lease.ranges))
  const gone = new Set(dropped)
  core.outstanding = core.outstanding.filter((lease) => !gone.has(lease))
  exclude(draft, dropped, reason)
  if (!tell) return
  for (const lease of dropped)
    if (memberOf(core, lease.contributor)?.present)
      draft.commands.push({ type: 'revoke', lease: lease.id, contributor: lease.contributor, reason: reason(lease) })
}

/** Notes since when enough is in for the round to close without the rest. */
export function noteQuorum({ core, now }: Draft): void {
  let inside = 0
  let awaited = 0
  for (const lease of core.outstanding) {
    if (lease.update !== null) inside += lease.expected
    else if (isAwaited(lease, now)) awaited += lease.expected
  }
  const reached = inside > 0 && inside >= QUORUM * (inside + awaited)
  if (reached === (core.open!.quorumAt !== null)) return
  core.open = { ...core.open!, quorumAt: reached ? now : null }
}

/** When the round may close without those who are not in; null while there is no quorum. */
export function closesAt({ open }: JobCore): number | null {
  if (open === null || open.quorumAt === null) return null
  return Math.max(open.dueAt + open.graceMs, open.quorumAt + open.spreadMs)
}

/** Closes the round: who is not in is out, the shell is asked to merge the rest. */
export function closeRound(draft: Draft): void {
  const { core } = draft
  dropLeases(draft, outOf(core.outstanding), (lease) =>
    lease.held ? 'Its update was not in when the round closed.' : 'Its contributor was gone when the round closed.',
  )
  core.phase = 'merging'
  askMerge(draft)
}

export function askMerge(draft: Draft): void {
  const { core, now } = draft
  core.mergeAskedAt = now
  draft.commands.push(mergeCommand(core))
}

export function mergeCommand(core: JobCore): Extract<Draft['commands'][number], { type: 'merge' }> {
  const included = core.outstanding
    .filter((lease) => lease.update !== null)
    .map((lease) => ({
      lease: lease.id,
      contributor: lease.contributor,
      update: lease.update!.update,
      samples: lease.update!.samples,
    }))
  return { type: 'merge', round: core.round, base: core.base, included }
}

/** The merge is stored: its updates' batches are done, for good. */
export function commitRound(draft: Draft, base: FileRef): void {
  const { core, now } = draft
  const open = core.open!
  const included: CommittedEntry[] = []
  const done: Range[][] = []
  for (const lease of core.outstanding) {
    if (lease.update === null) continue
    const { at: _, norm: __, ...update } = lease.update
    const [trained] = splitAt(lease.ranges, update.steps)
    const ranges = trained.map(([from, to]) => ({ from, to, samples: samplesOf(core.ledger, [[from, to]]) }))
    included.push({ lease: lease.id, contributor: lease.contributor, fence: lease.fence, ranges, ...update })
    done.push(trained)
  }
  core.ledger = commitBatches(core.ledger, ...done)
  const samples = done.reduce((sum, trained) => sum + samplesOf(core.ledger, trained), 0)
  const lossSum = included.reduce((sum, entry) => sum + entry.lossSum, 0)
  const metricSum = included.reduce((sum, entry) => sum + entry.metricSum, 0)
  core.samplesDone += samples
  const millis = now - open.startedAt
  const round: CommittedRound = {
    round: core.round,
    at: now,
    startedAt: open.startedAt,
    millis,
    from: core.base,
    base,
    samples,
    samplesDone: core.samplesDone,
    samplesPerSecond: (samples * 1000) / Math.max(1, millis),
    lossSum,
    metricSum,
    loss: lossSum / samples,
    metric: metricSum / samples,
    learningRate: rateAt(core, core.samplesDone - samples),
    included,
    shares: sharesOf(included),
    excluded: core.excluded,
  }
  Object.assign(core, {
    phase: 'waiting',
    round: core.round + 1,
    base,
    outstanding: [],
    open: null,
    mergeAskedAt: null,
  })
  Object.assign(core, { granted: 0, failures: [], excluded: [], last: round })
  draft.commands.push({ type: 'committed', round })
  if (isComplete(core.ledger)) finishJob(draft, 'done')
}

/** Nothing more happens after this but answers to late updates. */
export function finishJob(draft: Draft, state: FinalState, reason?: string): void {
  const { core } = draft
  dropLeases(draft, outOf(core.outstanding), () => 'The job has ended.')
  core.ledger = giveBack(core.ledger, ...core.outstanding.map((lease) => splitAt(lease.ranges, lease.update!.steps)[0]))
  Object.assign(core, { phase: 'ended', outstanding: [], open: null, openAt: null, mergeAskedAt: null })
  core.final = reason === undefined ? { state } : { state, reason }
  draft.commands.push({ type: 'finished', ...core.final })
}

function sharesOf(entries: readonly CommittedEntry[]): CommittedRound['shares'] {
  const shares = new Map<string, { contributor: string; samples: number; updates: number }>()
  for (const { contributor, samples } of entries) {
    const share = shares.get(contributor) ?? { contributor, samples: 0, updates: 0 }
    shares.set(contributor, { contributor, samples: share.samples + samples, updates: share.updates + 1 })
  }
  return [...shares.values()].sort((a, b) => (a.contributor < b.contributor ? -1 : 1))
}

function rateAt(core: JobCore, samples: number): number {
  const { learningRate, schedule, totalSamples } = core.settings
  return learningRateAt(samples, { peak: learningRate, schedule, totalSamples })
}

/** The speeds of those who are gone are kept for a return, but not of everybody who was ever there. */
function forgetAbsent(core: JobCore): void {
  const absent = core.members.filter((member) => !member.present)
  if (absent.length <= MAX_ABSENT_MEMBERS) return
  const forgotten = new Set(absent.sort((a, b) => a.seenAt - b.seenAt).slice(0, absent.length - MAX_ABSENT_MEMBERS))
  core.members = core.members.filter((member) => !forgotten.has(member))
}
