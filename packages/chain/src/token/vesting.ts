/** Months of the schedules count as a twelfth of 365 days, in seconds. */
export const MONTH_SECONDS = (365 * 24 * 3600) / 12

/** A schedule: nothing until `start + cliff`, then linear for `duration` (seconds; `start` since 1970). */
export interface VestingSchedule {
  total: bigint
  start: number
  cliff: number
  duration: number
}

/** The schedule of the institutional and the team's share: a cliff of 12 months, then linear for 36. */
export function longVesting(total: bigint, start: number): VestingSchedule {
  return { total, start, cliff: 12 * MONTH_SECONDS, duration: 36 * MONTH_SECONDS }
}

/** Units that are vested at a time, rounded down. The same arithmetic as `contracts/token/jetton-vesting.tolk`. */
export function vestedAt({ total, start, cliff, duration }: VestingSchedule, now: number): bigint {
  const since = now - start - cliff
  if (since < 0) return 0n
  return since >= duration ? total : (total * BigInt(since)) / BigInt(duration)
}
