import { flopsOfLink } from '@pingo/engine/challenge'
import type { CapacityFlag, Credit } from '@pingo/wire'
import type { Member, Peer, Shown } from './types.ts'

/** Sessions that an estimate rests on. */
export const REMEMBERED = 3
/** Less than this part of the claim is much less; a busy moment, a hot processor and shared cores are not told from a lie by one session. */
const MUCH_LESS = 0.6
/** In so many sessions in a row a claim must fail. */
const FAILURES = 3
/** A claim is founded when it is at most so many times what was shown in the last two sessions: who stays with that is never accused. */
const FOUNDED = 1.1
/** Short rounds may be so much faster than long ones. */
const SHORT_MARGIN = 1.15
/** … and a helper must cost them at least this, ms. */
const LEAST_DETOUR_MS = 20
/** Of the last three sessions, so many with slow short rounds say that the work is done elsewhere. */
const DISTANT_SESSIONS = 2

/** Sum of a claim's cores. */
export const coresOf = ({ claim }: Pick<Peer, 'claim'>): number => claim.slices.reduce((sum, cores) => sum + cores, 0)

/** What a member showed; undefined when it answered nothing. */
export function shownBy(member: Member, peer: Peer): Shown | undefined {
  if (!(member.long > 0)) return undefined
  // slices that paused or failed are not held against it, nor are they credited
  const took = member.slices.reduce((sum, slice) => sum + (peer.claim.slices[slice] ?? 0), 0) / coresOf(peer)
  const short = member.short.length > 0 ? Math.max(...member.short) : Number.POSITIVE_INFINITY
  return { flops: Math.min(member.long, short * SHORT_MARGIN), solo: member.solo, short, claim: member.claim * took }
}

/** Takes a session's result into a peer's record. */
export function note(peer: Peer, member: Member, shown: Shown): void {
  const recent = peer.shown.slice(-2).map(({ flops }) => flops)
  const isFounded = recent.length > 0 && shown.claim <= FOUNDED * Math.max(...recent)
  peer.below = shown.flops < MUCH_LESS * shown.claim && !isFounded ? peer.below + 1 : 0
  peer.shown = [...peer.shown, shown].slice(-REMEMBERED)
  peer.challenges++
  peer.fresh = false
  peer.silent = 0
  peer.distant = [...peer.distant, isDistant(member)].slice(-REMEMBERED)
  if (peer.distrust > 0) peer.distrust--
}

/** True when even the quickest short round took much longer than the long ones explain. */
export const isDistant = ({ short, detours, long }: Member): boolean =>
  short.length > 0 && Math.max(...short) < MUCH_LESS * long && Math.min(...detours) >= LEAST_DETOUR_MS

/** The most that a session's work proves of all together: for each moment, what was done by then over the time until then. */
export function totalOf(members: Iterable<Member>): number {
  const answers = [...members].flatMap(({ longAt }) => longAt).sort((a, b) => a.at - b.at)
  let [work, best] = [0, 0]
  for (const answer of answers) {
    work += answer.work
    best = Math.max(best, work / answer.at)
  }
  return best * 1000
}

/** The middle of the last sessions, of two the better one. What was shown is a lower bound of what can be done, whoever shows it. */
function estimate(peer: Peer): number {
  const sorted = peer.shown.map(({ flops }) => flops).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

/**
 * The credits of the peers of one address block: each what it showed, at most what it claims; all who may work now not more than they showed together. Cores are
 * told in cores of the fastest of them.
 */
export function creditsOf(peers: readonly Peer[], totals: readonly number[]): Map<string, Credit> {
  const core = Math.max(0, ...peers.flatMap(({ shown }) => shown.map(({ solo }) => solo)))
  const wanted = new Map(peers.map((peer) => [peer, wantedBy(peer)]))
  const active = peers.filter(({ paused }) => !paused)
  const sum = active.reduce((all, peer) => all + wanted.get(peer)!, 0)
  const bound = Math.max(0, ...totals)
  const scale = active.length > 1 && sum > bound ? bound / sum : 1
  return new Map(
    peers
      .filter(({ shown, distrust, silent }) => shown.length > 0 || distrust > 0 || silent >= REMEMBERED)
      .map((peer) => {
        const flops = wanted.get(peer)! * scale
        const cores = core > 0 ? Math.min(coresOf(peer), flops / core) : 0
        const flag = flagOf(peer, peers.length)
        const sentence = sentenceOf(peer, cores, flag, active.length)
        return [peer.id, { cores, flops, challenges: peer.challenges, flag, sentence }]
      }),
  )
}

const wantedBy = (peer: Peer): number =>
  peer.distrust > 0 ? 0 : Math.min(estimate(peer), peer.claim.flops || Infinity)

function flagOf(peer: Peer, neighbours: number): CapacityFlag | undefined {
  if (peer.distrust > 0) return 'wrong-answer'
  if (peer.distant.filter(Boolean).length >= DISTANT_SESSIONS) return 'outsourced'
  if (peer.below < FAILURES) return undefined
  const last = peer.shown.at(-1)!
  const one = last.claim / coresOf(peer)
  return neighbours > 1 || last.solo >= MUCH_LESS * one ? 'overclaimed' : 'slow'
}

function sentenceOf(peer: Peer, cores: number, flag: CapacityFlag | undefined, active: number): string | undefined {
  const claimed = coresOf(peer)
  const figures = `${number(cores)} of the ${number(claimed)} cores that it claims`
  switch (flag) {
    case 'wrong-answer':
      return 'Some of its answers to challenges are wrong: nothing is credited until later ones are right.'
    case 'outsourced':
      return 'Short challenges take it much longer than long ones explain: its work is done by a machine far behind it. What the short ones show is credited.'
    case 'slow':
      return 'It is much slower than it claims, in each of the last three challenges. What it showed is credited.'
    case 'overclaimed':
      return `In each of the last three challenges it showed much less than it claims: ${figures} are credited.`
  }
  if (cores >= 0.9 * claimed) return undefined
  return active > 1
    ? `It showed ${figures} while ${active - 1} other${active > 2 ? 's' : ''} of its address block worked at the same moment.`
    : `It showed ${figures}.`
}

const number = (value: number): string => String(Number(value.toPrecision(2)))

/** Work of so many links. */
export const workOf = (products: number, links: number): number => flopsOfLink(products) * links
