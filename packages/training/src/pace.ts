import { MAX_GRACE_PART, MIN_GRACE_MS, TTL_MARGIN_MS, TTL_ROUNDS } from './limits.ts'

/** The middle value; the mean of the two middle ones of an even count; 0 of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Median absolute deviation: a spread that a few stragglers do not move. */
export function deviation(values: readonly number[]): number {
  const middle = median(values)
  return median(values.map((value) => Math.abs(value - middle)))
}

/**
 * How long stragglers are waited for, from recent lateness (arrivals after a round's soft end, ms): `graceMs` after the soft
 * end, median + 4 · MAD; and after the quorum `spreadMs`, 4 · MAD, for rounds that are late as a whole. The upper bound when
 * nothing has been seen yet. At least a round's length divided by the number of leases: while it waits everybody idles, and the
 * work of one that is left out is lost, so waiting pays up to there.
 */
export function graceOf(
  lateness: readonly number[],
  roundMs: number,
  leases: number,
): { graceMs: number; spreadMs: number } {
  const most = Math.max(MIN_GRACE_MS, MAX_GRACE_PART * roundMs)
  const least = Math.min(most, Math.max(MIN_GRACE_MS, roundMs / Math.max(1, leases)))
  const spread = 4 * deviation(lateness)
  const bounded = (ms: number): number => Math.ceil(lateness.length === 0 ? most : Math.min(most, Math.max(least, ms)))
  return { graceMs: bounded(median(lateness) + spread), spreadMs: bounded(spread) }
}

/** Time after a lease's grant, ms, at which its update may come at the latest to be waited for, where all else are in time. */
export function latestUpdateMs({ softMs, ttlMs }: { softMs: number; ttlMs: number }): number {
  const roundMs = Math.max(0, ttlMs - TTL_MARGIN_MS) / TTL_ROUNDS
  return softMs + Math.max(MIN_GRACE_MS, MAX_GRACE_PART * roundMs)
}
