import type { LeaseGrant } from '@pingo/training'
import type { SimulatedUpdate } from './network.ts'
import type { Random } from './random.ts'

/**
 * Something made from a true update by one who has a lease and means harm, or is broken. None may be accepted, but for a true
 * one's other version that comes first.
 */
export function forgery(update: SimulatedUpdate, lease: LeaseGrant, random: Random): SimulatedUpdate {
  const leased = lease.ranges.reduce((sum, [from, to]) => sum + to - from, 0)
  const neighbour = update.fence + random.pick([-2, -1, 1, 2])
  return random.pick<SimulatedUpdate>([
    { ...update, fence: update.fence - 1 },
    { ...update, fence: update.fence + 1 },
    { ...update, round: update.round - 1 },
    { ...update, round: update.round + 1 },
    { ...update, base: `${update.base}x` },
    { ...update, steps: leased + 1 },
    { ...update, steps: 0, samples: 0 },
    { ...update, samples: update.samples + 1 },
    { ...update, samples: update.samples * 2 },
    { ...update, lossSum: update.lossSum + 1 },
    { ...update, lossSum: Number.NaN },
    { ...update, metricSum: Number.POSITIVE_INFINITY },
    { ...update, delta: update.delta.subarray(1) },
    { ...update, lease: `${update.job}.${neighbour}`, fence: neighbour },
  ])
}
