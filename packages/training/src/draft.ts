import type { JobCommand, JobCore, LeaseState, Member } from './job-types.ts'
import { MAX_EXCLUSIONS } from './limits.ts'

/** A step under way: a copy of the core that may be written to, and the commands so far. Objects inside lists are replaced, never changed. */
export interface Draft {
  core: JobCore
  commands: JobCommand[]
  now: number
}

export function beginDraft(core: JobCore, at: number): Draft {
  const now = Math.max(core.now, at)
  return {
    core: { ...core, now, members: core.members.slice(), outstanding: core.outstanding.slice() },
    commands: [],
    now,
  }
}

/** Index of the member in the sorted list, or `-(place to insert) - 1`. */
export function indexOfMember(members: readonly { id: string }[], id: string): number {
  let low = 0
  let high = members.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (members[middle]!.id < id) low = middle + 1
    else high = middle
  }
  return members[low]?.id === id ? low : -low - 1
}

export function memberOf(core: JobCore, id: string): Member | undefined {
  return core.members[indexOfMember(core.members, id)]
}

/** Changes a member, who is added when new. */
export function putMember(draft: Draft, id: string, change: Partial<Member>): void {
  const { members } = draft.core
  const index = indexOfMember(members, id)
  if (index >= 0) members[index] = { ...members[index]!, ...change }
  else {
    const fresh: Member = { id, present: false, flops: 0, rate: 0, notBefore: 0, failures: 0, seenAt: draft.now }
    members.splice(-index - 1, 0, { ...fresh, ...change })
  }
}

export function putLease(draft: Draft, lease: LeaseState): void {
  const { outstanding } = draft.core
  const index = outstanding.findIndex((other) => other.id === lease.id)
  if (index >= 0) outstanding[index] = lease
  else outstanding.push(lease)
}

/** Leases without an update. */
export const outOf = (leases: readonly LeaseState[]): LeaseState[] => leases.filter((lease) => lease.update === null)

/** True while the round waits for this lease. */
export const isAwaited = (lease: LeaseState, now: number): boolean =>
  lease.update === null && (lease.held || now < lease.waitUntil)

/** Remembers why leases did not get into the model. */
export function exclude(draft: Draft, leases: readonly LeaseState[], reason: (lease: LeaseState) => string): void {
  const entries = leases.map((lease) => ({ contributor: lease.contributor, lease: lease.id, reason: reason(lease) }))
  draft.core.excluded = [...draft.core.excluded, ...entries].slice(0, MAX_EXCLUSIONS)
}
