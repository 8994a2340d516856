import type { JobCore, LeaseState, UpdateReport } from './job-types.ts'
import { samplesOf } from './ledger.ts'
import { splitAt } from './ranges.ts'

export interface Refusal {
  code: string
  message: string
}

/**
 * Holds an update against the lease that it claims: `known` when this very update is in already (an answer got lost), a
 * refusal, or the lease that it may be entered in. Late, doubled, forged and wrongly counted updates all end here.
 */
export function checkUpdate(
  core: JobCore,
  report: UpdateReport,
): { known: true } | { refusal: Refusal } | { lease: LeaseState } {
  const lease = core.outstanding.find((other) => other.id === report.lease)
  if (lease === undefined) return wasIncluded(core, report) ? { known: true } : refuse(...whyUnknown(core, report))
  if (lease.contributor !== report.contributor)
    return refuse('LEASE_UNKNOWN', `Lease ${report.lease} was granted to another contributor.`)
  if (lease.fence !== report.fence)
    return refuse('FENCE_STALE', `The update has the fence ${report.fence}, its lease has ${lease.fence}.`)
  if (core.round !== report.round)
    return refuse('ROUND_STALE', `The update is for round ${report.round}, its lease for round ${core.round}.`)
  if (core.base.cid !== report.base)
    return refuse(
      'BASE_MISMATCH',
      'The update started from another checkpoint than its lease says: fetch the base again.',
    )
  if (lease.update !== null)
    return lease.update.update === report.update
      ? { known: true }
      : refuse('UPDATE_DUPLICATE', `Lease ${report.lease} has an update already: it takes one.`)
  if (!Number.isSafeInteger(report.steps) || report.steps < 1 || report.steps > lease.steps)
    return refuse('STEPS_INVALID', `The update claims ${report.steps} steps of a lease of ${lease.steps}.`)
  const samples = samplesOf(core.ledger, splitAt(lease.ranges, report.steps)[0])
  if (report.samples !== samples)
    return refuse(
      'SAMPLES_INVALID',
      `The update claims ${report.samples} samples, its ${report.steps} steps hold ${samples}.`,
    )
  const numbers = [report.lossSum, report.metricSum, report.millis, report.norm]
  if (!numbers.every(Number.isFinite) || report.norm < 0 || report.millis < 0)
    return refuse('UPDATE_NONFINITE', 'The update holds numbers that are not finite: training diverged.')
  return { lease }
}

/** True for an update of the last commit: its sender never got the answer. */
function wasIncluded(core: JobCore, report: UpdateReport): boolean {
  const entry = core.last?.included.find((other) => other.lease === report.lease)
  return entry !== undefined && entry.contributor === report.contributor && entry.update === report.update
}

function whyUnknown(core: JobCore, report: UpdateReport): [string, string] {
  if (core.phase === 'ended') return ['LEASE_UNKNOWN', 'The job has ended: the update is not needed any more.']
  if (report.round !== core.round)
    return ['ROUND_STALE', `Round ${report.round} is over (now: ${core.round}): the work will be leased again.`]
  if (report.fence < core.fence)
    return ['FENCE_STALE', `Lease ${report.lease} is void: it expired, was given back, or its round closed.`]
  return ['LEASE_UNKNOWN', `There is no lease ${report.lease}.`]
}

const refuse = (code: string, message: string): { refusal: Refusal } => ({ refusal: { code, message } })
