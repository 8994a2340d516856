import type { GateState } from './gate-state.ts'
import type { OwnerSettings } from './settings.ts'
import type { Readings } from './verdict.ts'

const MIB = 1 << 20
/** Part of the machine's memory that stays free for the owner's next program, and at most so much of it. */
const MARGIN_SHARE = 0.1
const MOST_MARGIN_BYTES = 2048 * MIB
/** Less cannot be worked with, unless less is lent. */
const LEAST_BYTES = 64 * MIB
/** Allowances go in such steps. */
const STEP_BYTES = 64 * MIB
/** Part of the time in which programs waited for memory, while less than the margin is free. */
const HIGH_PRESSURE = 0.2
const LEAST_CALM_MS = 10_000
const LONGEST_CALM_MS = 300_000
/** Low again so soon after it was over: the next pause is longer. */
const SOON_MS = 120_000
const RISE_MS = 10_000

/** What stays free for the owner's next program, bytes. */
export const marginOf = (totalBytes: number): number => Math.min(MARGIN_SHARE * totalBytes, MOST_MARGIN_BYTES)

/**
 * Memory: what is lent, less when the owner's programs need more than the rest; taken back at once, given again after a while. When less
 * than half of the margin is free there is a pause, until the whole of it and a quarter more is free again.
 */
export function stepMemory(before: GateState['memory'], r: Readings, s: OwnerSettings): GateState['memory'] {
  const free = r.freeMemoryBytes
  if (free === undefined) return before
  const margin = marginOf(r.totalMemoryBytes ?? free)
  const memory = { ...before }
  const room = Math.floor(Math.max(0, (r.ownMemoryBytes ?? 0) + free - margin) / STEP_BYTES) * STEP_BYTES
  const target = Math.min(s.memoryBytes, room)
  const granted = memory.granted === undefined ? target : Math.min(memory.granted, s.memoryBytes)
  if (target <= granted) Object.assign(memory, { granted: target, risingSince: undefined })
  else {
    memory.risingSince ??= r.at
    memory.granted = r.at - memory.risingSince >= RISE_MS ? target : granted
    if (memory.granted === target) memory.risingSince = undefined
  }

  const least = Math.min(LEAST_BYTES, s.memoryBytes)
  const isShort = free < margin / 2 || (free < margin && (r.memoryPressure ?? 0) >= HIGH_PRESSURE) || target < least
  if (isShort) {
    if (!before.isLow) {
      const isSoon = memory.lowEndedAt !== undefined && r.at - memory.lowEndedAt < SOON_MS
      memory.calmMs = isSoon ? Math.min(LONGEST_CALM_MS, memory.calmMs * 2) : LEAST_CALM_MS
    }
    memory.isLow = true
    memory.okSince = undefined
  } else if (before.isLow) {
    if (free < 1.25 * margin) memory.okSince = undefined
    else memory.okSince ??= r.at
    if (memory.okSince !== undefined && r.at - memory.okSince >= memory.calmMs)
      Object.assign(memory, { isLow: false, okSince: undefined, lowEndedAt: r.at })
  }
  return memory
}
