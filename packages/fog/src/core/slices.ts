import { EVICT_MS, HEARTBEAT_MS, type Offer, slicesOf as slicesOfOffer } from '@pingo/wire'
import { changeContributor, contributorOf, type Draft, feed, indexOfContributor, jobOfLease } from './draft.ts'
import { peerOf, sliceId } from './slice-id.ts'
import { forecastMoved, survivalIn } from './survival.ts'
import type { FogContributor, FogEvent, FogState } from './types.ts'

/** A slice that is idle so long after it was granted a lease never got it. */
const GRANT_LOST_MS = 2 * HEARTBEAT_MS

/** The slices of a contributor that are known, by index; there are no gaps. */
export function slicesOf(state: Pick<FogState, 'contributors'>, peer: string): FogContributor[] {
  const slices: FogContributor[] = []
  for (;;) {
    const slice = contributorOf(state, sliceId(peer, slices.length))
    if (slice === undefined) return slices
    slices.push(slice)
  }
}

/** A contributor says hello, for the first time or again: its slices go on with the jobs whose leases they have. */
export function join(draft: Draft, event: Extract<FogEvent, { type: 'contributor-joined' }>): void {
  const { contributor: peer, offer, leases } = event
  const { now } = draft
  const holders = holdersOf(draft, peer)
  removeFrom(draft, peer, slicesOfOffer(offer).length)
  for (const fresh of described(draft, peer, offer, event.flops)) {
    const before = contributorOf(draft, fresh.id)
    const job = [...holders].find(([, holder]) => holder.contributor === fresh.id)?.[1].job ?? before?.job ?? null
    put(draft, { ...fresh, joinedAt: before?.joinedAt ?? now, job })
    if (before && before.job !== null && before.job !== job)
      feed(draft, before.job, { type: 'left', at: now, contributor: fresh.id })
    if (job === null) continue
    const mine = leases.filter((lease) => holders.get(lease)?.contributor === fresh.id)
    const survival = draft.jobs[job] && survivalIn(fresh, draft.jobs[job])
    feed(draft, job, { type: 'resumed', at: now, contributor: fresh.id, flops: fresh.flops, leases: mine, survival })
  }
  for (const lease of leases) {
    const job = jobOfLease(lease)
    const isIncluded = draft.jobs[job]?.core.last?.included.some((entry) => entry.lease === lease)
    if (!holders.has(lease) && !isIncluded) revokeVoid(draft, peer, lease)
  }
  draft.wake = Math.min(draft.wake, now + EVICT_MS)
  draft.changed = true
}

/** An owner lends something else: slices come, go, or have less memory than their job needs; what they did so far may still be handed in. */
export function change(draft: Draft, event: Extract<FogEvent, { type: 'contributor-offer' }>): void {
  const { contributor: peer, offer, flops } = event
  const known = slicesOf(draft, peer)
  if (known.length === 0) return
  removeFrom(draft, peer, slicesOfOffer(offer).length)
  for (const fresh of described(draft, peer, offer, flops)) {
    const before = known[fresh.slice]
    if (before === undefined) put(draft, { ...fresh, survival: known[0]!.survival })
    else {
      const { cores, memoryBytes } = fresh
      changeContributor(draft, fresh.id, { cores, memoryBytes, flops: fresh.flops })
      if (before.job !== null && (draft.jobs[before.job]?.memoryBytes ?? 0) > memoryBytes) letGo(draft, before)
    }
  }
  draft.changed = true
}

/** The same for all slices of a contributor; those that it does not speak of are paused. A forecast holds until the next one. */
export function hear(draft: Draft, event: Extract<FogEvent, { type: 'contributor-heartbeat' }>): void {
  const { contributor: peer, slices } = event
  const { now } = draft
  const known = slicesOf(draft, peer)
  if (known.length === 0) {
    draft.commands.push({
      type: 'disconnect',
      contributor: peer,
      reason: 'It was silent for too long: say hello again.',
    })
    return
  }
  const named = new Set(slices.map(({ lease }) => lease))
  for (const before of known) {
    const { id } = before
    const survival = event.survival ?? before.survival
    const { state, lease = null, steps = 0, samples = 0 } = slices[before.slice] ?? { state: 'paused' as const }
    changeContributor(draft, id, { lastSeenAt: now, state, lease, steps, samples, survival })
    if ((state === 'paused') !== (before.state === 'paused')) draft.changed = true
    // nobody waits for one whose owner is at work; it is given a job again when it is idle
    if (state === 'paused') letGo(draft, contributorOf(draft, id)!)
    if (before.job === null || state === 'paused') continue
    const job = draft.jobs[before.job]
    const mine = job?.core.outstanding.find((other) => other.contributor === id)
    if (lease !== null && lease !== mine?.id) revokeVoid(draft, peer, lease)
    const lost = mine !== undefined && mine.update === null && now - mine.grantedAt >= GRANT_LOST_MS
    if (lost && state === 'idle' && lease === null && !named.has(mine.id)) {
      const forecast = job && survivalIn({ survival }, job)
      const { flops } = before
      feed(draft, before.job, { type: 'resumed', at: now, contributor: id, flops, leases: [], survival: forecast })
    } else if (job !== undefined && forecastMoved(before, { survival }, job))
      feed(draft, before.job, { type: 'forecast', at: now, contributor: id, survival: survivalIn({ survival }, job) })
  }
}

/** All slices of a contributor are gone. */
export function remove(draft: Draft, peer: string): void {
  removeFrom(draft, peer, 0)
  draft.changed = true
}

export function evict(draft: Draft, peer: string): void {
  remove(draft, peer)
  draft.commands.push({ type: 'disconnect', contributor: peer, reason: `It was silent for ${EVICT_MS / 1000} s.` })
}

/** Notes that a contributor is there: it sent something. */
export function seen(draft: Draft, peer: string): void {
  for (const { id } of slicesOf(draft, peer)) changeContributor(draft, id, { lastSeenAt: draft.now })
}

/**
 * Which slice an update or a release of a peer comes from: the one that was granted the lease, when the peer is its own; else the peer itself,
 * for whom the job will find no such lease.
 */
export function senderOf(draft: Draft, job: string, lease: string, peer: string): string {
  const core = draft.jobs[job]?.core
  const granted =
    core?.outstanding.find((other) => other.id === lease)?.contributor ??
    core?.last?.included.find((entry) => entry.lease === lease)?.contributor
  return granted !== undefined && peerOf(granted) === peer ? granted : peer
}

/** Leases of running jobs that slices of a contributor were granted, those of slices that are gone too. */
function holdersOf(draft: Draft, peer: string): Map<string, { job: string; contributor: string }> {
  const holders = new Map<string, { job: string; contributor: string }>()
  for (const [job, { core }] of Object.entries(draft.jobs))
    if (core.phase !== 'ended')
      for (const { id, contributor } of core.outstanding)
        if (peerOf(contributor) === peer) holders.set(id, { job, contributor })
  return holders
}

/** The slices of an offer, as they are when nothing is known of them but that. */
function described(draft: Draft, peer: string, offer: Offer, flops: number): FogContributor[] {
  const { now } = draft
  return slicesOfOffer(offer).map(({ cores, memoryBytes }, slice) => ({
    id: sliceId(peer, slice),
    peer,
    slice,
    cores,
    memoryBytes,
    flops: flops * cores,
    joinedAt: now,
    lastSeenAt: now,
    state: 'idle',
    survival: [],
    lease: null,
    steps: 0,
    samples: 0,
    job: null,
  }))
}

function put(draft: Draft, contributor: FogContributor): void {
  const index = indexOfContributor(draft.contributors, contributor.id)
  if (index < 0) draft.contributors.splice(-index - 1, 0, contributor)
  else draft.contributors[index] = contributor
}

/** Takes a slice from its job; an update of what it did is welcome until the round closes. */
function letGo(draft: Draft, { id, job }: FogContributor): void {
  if (job === null) return
  changeContributor(draft, id, { job: null })
  feed(draft, job, { type: 'left', at: draft.now, contributor: id })
}

/** Slices from index `from` on are gone. */
function removeFrom(draft: Draft, peer: string, from: number): void {
  for (const { id, job } of slicesOf(draft, peer).slice(from).reverse()) {
    draft.contributors.splice(indexOfContributor(draft.contributors, id), 1)
    if (job !== null) feed(draft, job, { type: 'left', at: draft.now, contributor: id })
  }
}

function revokeVoid(draft: Draft, contributor: string, lease: string): void {
  draft.commands.push({ type: 'revoke', job: jobOfLease(lease), lease, contributor, reason: 'The lease is void.' })
}
