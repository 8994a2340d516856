import { flopsOfLink } from '@pingo/engine/challenge'
import type { Challenge, Cluster, Member, Peer, Session, Stage } from './types.ts'
import { coresOf, isDistant, workOf } from './verdict.ts'

/** Until engines have the graphs open; on a loaded machine a child may take seconds to start. */
const PREPARE_MS = 20_000
const ECHOES = 3
const SOLO_ROUNDS = 2
const SOLO_LINKS = 3
/** Rounds of a random length between these, ms at the speed that the long stage showed: a helper 50 ms away stands out. */
const SHORT_ROUNDS = 5
/** … and so many where the first ones look as if there were a helper: on a bad line one of them is quick. */
const MOST_SHORT_ROUNDS = 20
const SHORT_MS = [12, 25] as const
const LONGEST_SHORT_LINK_MS = 40
/** Answers later than this many times what is expected, and a second, do not count. */
const PATIENCE = 8
/** Slower than this in one core, or not known: the small graphs. More slices than this: large ones, so that who feeds them keeps up. */
const SLOW_FLOPS = 8e9
const MANY_SLICES = 16

export interface Chance {
  /** Uniform in [0, 1). */
  random(): number
  /** 32 bytes that nobody can foresee. */
  seed(): Uint8Array
}

export type Send = (peer: string, challenge: Challenge) => void

export function begin(number: number, peers: readonly Peer[], withAll: boolean, at: number): Session {
  const members = peers.map((peer): [string, Member] => {
    const one = peer.shown.at(-1)?.solo || peer.claim.flops / coresOf(peer)
    const products = one < SLOW_FLOPS ? [4, 16] : peer.claim.slices.length > MANY_SLICES ? [16, 256] : [16, 64]
    return [
      peer.id,
      {
        slices: peer.claim.slices.map((_, index) => index),
        products,
        asked: undefined,
        sentAt: at,
        waiting: new Set(),
        links: 0,
        lastAt: at,
        echoes: [],
        solo: 0,
        long: 0,
        longWork: 0,
        longAt: [],
        short: [],
        detours: [],
        claim: peer.claim.flops,
        paused: false,
      },
    ]
  })
  return {
    number,
    stage: 'prepare',
    withAll,
    turn: 0,
    round: 0,
    startedAt: at,
    deadline: at,
    members: new Map(members),
  }
}

/** Asks all members of a session what its stage asks, at the same moment. `longMs`: length of the long stage. */
export function ask(session: Session, at: number, longMs: number, chance: Chance, send: Send): void {
  session.turn++
  let patience = 1_000
  const alone = [...session.members.keys()][Math.floor(chance.random() * session.members.size)]
  for (const [peer, member] of session.members) {
    member.waiting.clear()
    member.asked = undefined
    member.links = 0
    if (session.stage === 'solo' && peer !== alone) continue
    const work = workFor(session.stage, member, longMs, chance)
    if (!work) continue
    patience = Math.max(patience, session.stage === 'prepare' ? PREPARE_MS : PATIENCE * work.expectedMs + 1_000)
    const { step, slices, products, links, ms } = work
    member.asked = {
      type: 'challenge',
      id: `${session.number}.${session.turn}`,
      step,
      seed: chance.seed(),
      slices,
      products,
      links,
      ms,
    }
    for (const slice of step === 'echo' ? slices.slice(0, 1) : slices) member.waiting.add(slice)
    member.sentAt = at
    member.lastAt = at
    send(peer, member.asked)
  }
  session.deadline = at + patience
}

type Work = Pick<Challenge, 'step' | 'slices' | 'links' | 'ms'> & {
  products: Challenge['products']
  expectedMs: number
}

function workFor(stage: Stage, member: Member, longMs: number, chance: Chance): Work | undefined {
  const [small, big] = member.products as [4, 4]
  const { slices } = member
  if (slices.length === 0) return undefined
  const rtt = rttOf(member)
  switch (stage) {
    case 'prepare':
      return { step: 'prepare', slices, products: [small, big], links: 1, ms: 0, expectedMs: 0 }
    case 'echo':
      return { step: 'echo', slices, products: [small], links: 1, ms: 0, expectedMs: 200 }
    case 'solo': {
      const slice = slices[Math.floor(chance.random() * slices.length)]!
      return { step: 'work', slices: [slice], products: [big], links: SOLO_LINKS, ms: 2_000, expectedMs: 200 + rtt }
    }
    case 'long': {
      const products = member.solo > 0 && millis(big, member.solo) > longMs / 5 ? small : big
      return { step: 'work', slices, products: [products], links: 2_000, ms: longMs, expectedMs: longMs + rtt }
    }
    case 'short': {
      if (!(member.long > 0)) return undefined
      const speed = member.long / slices.length
      const products = millis(big, speed) <= LONGEST_SHORT_LINK_MS ? big : small
      const target = SHORT_MS[0] + (SHORT_MS[1] - SHORT_MS[0]) * chance.random()
      const links = Math.min(100, Math.max(1, Math.round(target / millis(products, speed))))
      return {
        step: 'work',
        slices,
        products: [products],
        links,
        ms: 2_000,
        expectedMs: links * millis(products, speed) + rtt,
      }
    }
  }
}

const millis = (products: number, flops: number): number => (flopsOfLink(products) / flops) * 1000

/** The quickest echo, ms. Who delays echoes looks far away, and gains nothing in the long stage, where no time is deducted. */
export const rttOf = ({ echoes }: Member): number => (echoes.length > 0 ? Math.min(...echoes) : 0)

/** An answer of a member to what it was asked. @returns false when it was not asked */
export function hear(
  session: Session,
  member: Member,
  answer: { at: number; challenge: string; slice: number; state: string; links: number; flops?: number | undefined },
): boolean {
  const { asked } = member
  if (!asked || asked.id !== answer.challenge || !member.waiting.delete(answer.slice)) return false
  if (answer.state !== 'done' && answer.state !== 'ready') {
    // a slice that pauses or fails takes no more part; what it does not show is not held against it
    member.slices = member.slices.filter((slice) => slice !== answer.slice)
    member.paused ||= answer.state === 'paused'
    return true
  }
  member.lastAt = Math.max(member.lastAt, answer.at)
  const links = Math.min(answer.links, asked.links)
  const took = answer.at - member.sentAt
  switch (session.stage) {
    case 'prepare':
      if (answer.flops !== undefined) member.claim = answer.flops
      break
    case 'echo':
      member.echoes.push(took)
      break
    case 'long':
      member.longAt.push({ at: took, work: workOf(asked.products[0]!, links) })
      member.longWork += workOf(asked.products[0]!, links)
      break
    case 'solo':
    case 'short':
      member.links += links
  }
  return true
}

/** Takes up what a stage showed. @returns the stage that follows; undefined when the session is over */
export function conclude(session: Session): Stage | undefined {
  for (const member of session.members.values()) {
    const took = member.lastAt - member.sentAt
    const whole = member.asked !== undefined && member.waiting.size === 0
    const work = member.asked ? workOf(member.asked.products[0]!, member.links) : 0
    const speed = (work / Math.max(0.1, took - rttOf(member))) * 1000
    if (session.stage === 'prepare') for (const slice of member.waiting) member.slices = without(member, slice)
    else if (session.stage === 'solo' && whole) member.solo = Math.max(member.solo, speed)
    else if (session.stage === 'long') member.long = member.longWork > 0 ? (member.longWork / took) * 1000 : 0
    else if (session.stage === 'short' && whole) {
      member.short.push(speed)
      member.detours.push(took - rttOf(member) - (work / member.long) * 1000)
    }
  }
  session.round++
  if (session.stage === 'echo' && session.round < ECHOES) return 'echo'
  if (session.stage === 'solo' && session.round < SOLO_ROUNDS) return 'solo'
  if (session.stage === 'short') {
    const unclear = [...session.members.values()].some(isDistant)
    return session.round < (unclear ? MOST_SHORT_ROUNDS : SHORT_ROUNDS) ? 'short' : undefined
  }
  session.round = 0
  const order: Stage[] = ['prepare', 'echo', 'solo', 'long', 'short']
  return order[order.indexOf(session.stage) + 1]
}

const without = (member: Member, slice: number): number[] => member.slices.filter((other) => other !== slice)

/** Whether all who were asked have answered. */
export const isAnswered = (session: Session): boolean =>
  [...session.members.values()].every(({ waiting }) => waiting.size === 0)

/** Length of the long stage: short on joining, else so long that the way of the messages counts little. */
export function longMsOf(session: Session, cluster: Cluster, isFirst: boolean): number {
  const farthest = Math.max(0, ...[...session.members.values()].map(rttOf))
  return isFirst || cluster.totals.length === 0 ? 250 : Math.min(2_000, Math.max(600, 10 * farthest))
}
