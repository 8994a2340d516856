import { MAX_LEASE_STEPS } from '@pingo/wire'
import type { JobSettings, Member } from './job-types.ts'
import {
  BLIND_GENEROSITY,
  BLIND_ROUND_PART,
  GENEROSITY,
  LAST_ROUND_MIN_PART,
  LAST_ROUND_SLACK,
  LAST_ROUND_STRETCH,
  LEAST_SURVIVAL,
  MIN_PROBE_MS,
  PROBE_PART,
} from './limits.ts'
import { median } from './pace.ts'

/** What is planned for a contributor: steps leased, and steps expected by the soft end (not an integer). */
export interface Share {
  id: string
  steps: number
  expected: number
}

export interface Plan {
  shares: Share[]
  softMs: number
}

/**
 * Speed of each member in steps per ms: measured; else from the claimed FLOP/s, corrected by how the measured ones compare to
 * their claims; else the others' median; 0 when nothing is known of anybody.
 */
export function speedsOf(members: readonly Member[], settings: JobSettings): Map<string, number> {
  const flopsPerStep = settings.flopsPerSample * settings.batch
  const claim = (member: Member): number => (flopsPerStep > 0 ? member.flops / flopsPerStep / 1000 : 0)
  const measured = members.filter((member) => member.rate > 0)
  const ratios = measured.filter((member) => claim(member) > 0).map((member) => member.rate / claim(member))
  const efficiency = ratios.length > 0 ? median(ratios) : 1
  const speeds = members.map((member) => (member.rate > 0 ? member.rate : claim(member) * efficiency))
  const known = measured.length > 0 ? measured.map((member) => member.rate) : speeds.filter((speed) => speed > 0)
  const usual = median(known)
  return new Map(members.map((member, index) => [member.id, speeds[index]! > 0 ? speeds[index]! : usual]))
}

/**
 * Speeds as they are to be reckoned with: of those who may be gone before the round is over, the part that is to be expected; not below half,
 * so that twice what is expected still lasts until the round's end.
 */
export function expectedSpeeds(members: readonly Member[], settings: JobSettings): Map<string, number> {
  const speeds = speedsOf(members, settings)
  for (const { id, survival = 1 } of members) speeds.set(id, speeds.get(id)! * Math.max(LEAST_SURVIVAL, survival))
  return speeds
}

/** Length of a round of these members: short while nobody's speed is measured, so that the guesses end soon. */
export function roundLength(members: readonly Member[], settings: JobSettings): number {
  const { roundMs } = settings
  if (members.some((member) => member.rate > 0)) return roundMs
  return Math.min(roundMs, Math.max(MIN_PROBE_MS, PROBE_PART * roundMs))
}

/**
 * Divides `free` batches among `ids` for one round: twice what each is expected to do in `lengthMs`, so that all work until the
 * soft end whatever their speed; when that is more than there is, in proportion to speed, so that all end together.
 */
export function planRound(
  ids: readonly string[],
  speeds: ReadonlyMap<string, number>,
  free: number,
  lengthMs: number,
  settings: JobSettings,
): Plan {
  const blind = ids.some((id) => !speeds.get(id))
  const guess = blind ? blindSteps(free, ids.length, settings) : 0
  const expected = ids.map((id) => (blind ? guess : Math.max(1, speeds.get(id)! * lengthMs)))
  const sum = expected.reduce((total, steps) => total + steps, 0)
  const generosity = blind ? BLIND_GENEROSITY : GENEROSITY
  const last = !blind && free <= LAST_ROUND_STRETCH * sum

  let steps = expected.map((count) => Math.min(MAX_LEASE_STEPS, Math.ceil(generosity * count)))
  if (steps.reduce((total, count) => total + count, 0) > free) steps = divide(free, expected, sum)
  const shares = ids
    .map((id, index) => ({ id, steps: steps[index]!, expected: Math.min(steps[index]!, expected[index]!) }))
    .filter((share) => share.steps > 0)
  if (!last) return { shares, softMs: lengthMs }
  const longest = shares.reduce((most, share) => Math.max(most, share.steps / speeds.get(share.id)!), 0)
  const softMs = Math.min(LAST_ROUND_SLACK * lengthMs, LAST_ROUND_SLACK * longest)
  return {
    shares: shares.map((share) => ({ ...share, expected: share.steps })),
    softMs: Math.max(LAST_ROUND_MIN_PART * lengthMs, softMs),
  }
}

/** The share of one who joins with `leftMs` of the round left. */
export function planLate(
  id: string,
  speed: number,
  free: number,
  leftMs: number,
  members: number,
  settings: JobSettings,
): Share {
  const part = leftMs / settings.roundMs
  const expected = speed > 0 ? speed * leftMs : blindSteps(free, members, settings) * part
  const generosity = speed > 0 ? GENEROSITY : BLIND_GENEROSITY
  const steps = Math.min(free, MAX_LEASE_STEPS, Math.max(1, Math.ceil(generosity * expected)))
  return { id, steps, expected: Math.min(steps, Math.max(expected, Number.MIN_VALUE)) }
}

function blindSteps(free: number, members: number, settings: JobSettings): number {
  const batches = Math.ceil(settings.totalSamples / settings.batch)
  return Math.max(1, Math.min(free, batches * BLIND_ROUND_PART) / members)
}

/** `count` things in proportion to `parts`: rounded down, what is left to those who would end first with one more. */
function divide(count: number, parts: readonly number[], sum: number): number[] {
  const shares = parts.map((part) => Math.min(MAX_LEASE_STEPS, Math.floor((count * part) / sum)))
  const left = count - shares.reduce((total, share) => total + share, 0)
  const order = parts.map((_, index) => index)
  order.sort((a, b) => (shares[a]! + 1) / parts[a]! - (shares[b]! + 1) / parts[b]! || a - b)
  for (const index of order.slice(0, Math.max(0, left))) shares[index]!++
  return shares
}
