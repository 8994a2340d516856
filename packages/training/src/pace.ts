import { MAX_GRACE_PART, MIN_GRACE_MS } from './limits.ts'

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
 * How long after a round's soft end the stragglers are waited for: median + 4 · MAD of recent lateness, within fixed bounds.
 * The upper bound when nothing has been seen yet.
 */
export function graceMs(lateness: readonly number[], roundMs: number): number {
  const most = Math.max(MIN_GRACE_MS, MAX_GRACE_PART * roundMs)
  if (lateness.length === 0) return most
  return Math.min(most, Math.max(MIN_GRACE_MS, median(lateness) + 4 * deviation(lateness)))
}
