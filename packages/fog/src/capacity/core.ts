import { ask, begin, type Chance, conclude, hear, isAnswered, longMsOf } from './session.ts'
import type { CapacityCommand, CapacityEvent, Cluster, Member, Peer } from './types.ts'
import { creditsOf, note, REMEMBERED, shownBy, totalOf } from './verdict.ts'

/** How often there are challenges. */
export interface CapacityPace {
  /** Mean time between the sessions of one address block, ms; the time itself is drawn at random, so that nobody can be ready for it. */
  meanGapMs: number
  /** Sessions take at most this part of the time of those who were challenged before. */
  costShare: number
}

export const CAPACITY_PACE: Readonly<CapacityPace> = { meanGapMs: 600_000, costShare: 0.01 }
/** Who joins waits so long for others of its block, which are challenged with it. */
const GATHER_MS = 200
const RETRY_MS = 30_000
/** Sessions that must be right before wrong answers are forgotten. */
const DISTRUSTED_SESSIONS = 10
/** Contributors that were wrong are remembered so many, when they go and come. */
const MAX_DISTRUSTED = 10_000
/** A credit that changes by less is not told. */
const TELLING = 0.02

/** All that is known of what contributors showed; changed in place by {@link stepCapacity} alone. */
export interface CapacityState {
  peers: Map<string, Peer>
  clusters: Map<string, Cluster>
  distrusted: Map<string, number>
  sessions: number
  pace: CapacityPace
}

export const createCapacity = (pace: CapacityPace = CAPACITY_PACE): CapacityState => ({
  pace,
  peers: new Map(),
  clusters: new Map(),
  distrusted: new Map(),
  sessions: 0,
})

/**
 * One step of the capacity proof: contributors join, answer and go; out come challenges to be sent at once, and credits. Neither sockets nor clock: time comes with
 * the events, chance as an argument. All unpaused slices of one address block work at the same moment, so that nobody shows one machine twice.
 */
export function stepCapacity(state: CapacityState, event: CapacityEvent, chance: Chance): CapacityCommand[] {
  const commands: CapacityCommand[] = []
  const { at } = event
  switch (event.type) {
    case 'joined':
      join(state, event)
      break
    case 'left': {
      const peer = state.peers.get(event.peer)
      if (!peer) break
      state.peers.delete(event.peer)
      if (peer.distrust > 0) remember(state, peer)
      const cluster = state.clusters.get(peer.cluster)!
      cluster.session?.members.delete(peer.id)
      if (peersOf(state, peer.cluster).length === 0) state.clusters.delete(peer.cluster)
      else tell(state, peer.cluster, commands)
      break
    }
    case 'state': {
      const peer = state.peers.get(event.peer)
      if (!peer || peer.paused === event.paused) break
      peer.paused = event.paused
      const cluster = state.clusters.get(peer.cluster)!
      if (!event.paused) {
        peer.fresh = true
        cluster.nextAt = Math.min(cluster.nextAt, Math.max(at + GATHER_MS, cluster.restUntil))
      }
      tell(state, peer.cluster, commands)
      break
    }
    case 'answer': {
      const peer = state.peers.get(event.peer)
      const session = peer && state.clusters.get(peer.cluster)!.session
      const member = session?.members.get(event.peer)
      if (session && member && at <= session.deadline) hear(session, member, event)
      break
    }
    case 'checked': {
      const peer = state.peers.get(event.peer)
      if (!peer || event.valid) break
      peer.distrust = DISTRUSTED_SESSIONS
      tell(state, peer.cluster, commands)
    }
  }
  for (const key of state.clusters.keys()) advance(state, key, at, chance, commands)
  return commands
}

/** When the next `tick` is due. */
export function wakeOf(state: CapacityState): number {
  let at = Number.POSITIVE_INFINITY
  for (const { session, nextAt } of state.clusters.values()) at = Math.min(at, session ? session.deadline : nextAt)
  return at
}

function join(state: CapacityState, event: Extract<CapacityEvent, { type: 'joined' }>): void {
  const { peer: id, cluster: key, claim, at } = event
  const before = state.peers.get(id)
  const cluster = state.clusters.get(key) ?? { totals: [], nextAt: at + GATHER_MS, restUntil: at, session: undefined }
  state.clusters.set(key, cluster)
  if (before && before.cluster === key) {
    // a new connection: what it showed stays; its answers to a session of the old one will not come
    cluster.session?.members.delete(id)
    Object.assign(before, {
      claim,
      paused: false,
      fresh: before.fresh || claim.slices.length !== before.claim.slices.length,
    })
    if (!before.fresh) return
  } else {
    if (before) state.clusters.get(before.cluster)?.session?.members.delete(id)
    const distrust = state.distrusted.get(id) ?? 0
    const fresh = {
      id,
      cluster: key,
      claim,
      paused: false,
      shown: [],
      challenges: 0,
      below: 0,
      distant: [],
      silent: 0,
      distrust,
      fresh: true,
    }
    state.peers.set(id, { ...fresh, credit: undefined })
    if (before && peersOf(state, before.cluster).length === 0) state.clusters.delete(before.cluster)
  }
  cluster.nextAt = Math.min(cluster.nextAt, at + GATHER_MS)
}

function remember(state: CapacityState, { id, distrust }: Peer): void {
  state.distrusted.delete(id)
  state.distrusted.set(id, distrust)
  if (state.distrusted.size > MAX_DISTRUSTED) state.distrusted.delete(state.distrusted.keys().next().value!)
}

const peersOf = (state: CapacityState, cluster: string): Peer[] =>
  [...state.peers.values()].filter((peer) => peer.cluster === cluster)

/** Starts a session that is due, or takes the next stage of the one under way. */
function advance(state: CapacityState, key: string, at: number, chance: Chance, commands: CapacityCommand[]): void {
  const cluster = state.clusters.get(key)!
  const send = (peer: string, challenge: Extract<CapacityCommand, { type: 'send' }>['challenge']) =>
    commands.push({ type: 'send', peer, challenge })
  if (!cluster.session) {
    if (at < cluster.nextAt) return
    const able = peersOf(state, key).filter(({ paused }) => !paused)
    const resting = at < cluster.restUntil
    const members = resting ? able.filter(({ fresh }) => fresh) : able
    // those who were challenged lately are left alone; together with who is new they follow as soon as that is due
    cluster.nextAt = resting ? cluster.restUntil : at - state.pace.meanGapMs * Math.log(1 - chance.random())
    if (members.length === 0) return
    cluster.session = begin(++state.sessions, members, !resting, at)
    ask(cluster.session, at, 0, chance, send)
    return
  }
  const { session } = cluster
  if (session.members.size > 0 && !isAnswered(session) && at < session.deadline) return
  const stage = session.members.size === 0 ? undefined : conclude(session)
  if (stage) {
    // until all are ready their leases go on
    if (session.stage === 'prepare') session.startedAt = at
    session.stage = stage
    const isFirst = [...session.members.keys()].some((id) => state.peers.get(id)!.fresh)
    ask(session, at, longMsOf(session, cluster, isFirst), chance, send)
    return
  }
  cluster.session = undefined
  finish(state, key, session.members, commands)
  if (session.withAll) cluster.restUntil = at + (at - session.startedAt) / state.pace.costShare
  cluster.nextAt = Math.max(cluster.nextAt, session.members.size === 0 ? at + RETRY_MS : cluster.restUntil)
}

function finish(state: CapacityState, key: string, members: Map<string, Member>, commands: CapacityCommand[]): void {
  const cluster = state.clusters.get(key)!
  const total = totalOf(members.values())
  if (total > 0) cluster.totals = [...cluster.totals, total].slice(-REMEMBERED)
  const over: [string, number][] = []
  for (const [id, member] of members) {
    const peer = state.peers.get(id)!
    const shown = shownBy(member, peer)
    if (member.claim > 0) peer.claim = { ...peer.claim, flops: member.claim }
    if (shown) note(peer, member, shown)
    else {
      peer.silent += member.paused ? 0.5 : 1
      if (peer.silent >= REMEMBERED) peer.shown = []
    }
    over.push([id, shown?.flops ?? 0])
  }
  const credits = creditsOf(peersOf(state, key), cluster.totals)
  for (const [id, shown] of over) {
    const peer = state.peers.get(id)!
    peer.credit = credits.get(id)
    commands.push({
      type: 'credited',
      peer: id,
      shown,
      credit: peer.credit ?? { cores: 0, flops: 0, challenges: peer.challenges },
    })
  }
  tell(state, key, commands)
}

/** Tells those whose credit is another now. */
function tell(state: CapacityState, key: string, commands: CapacityCommand[]): void {
  const peers = peersOf(state, key)
  const credits = creditsOf(peers, state.clusters.get(key)!.totals)
  for (const peer of peers) {
    const credit = credits.get(peer.id)
    if (!credit) continue
    const before = peer.credit
    const same =
      before && before.flag === credit.flag && Math.abs(before.flops - credit.flops) <= TELLING * before.flops
    if (same) continue
    peer.credit = credit
    commands.push({ type: 'changed', peer: peer.id, credit })
  }
}
