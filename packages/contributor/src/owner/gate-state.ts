import type { Pause, PauseReason } from '@pingo/wire'
import type { Readings } from './verdict.ts'

/** Calm that ends a pause for the CPU, at first; it doubles while pauses follow each other closely. */
export const LEAST_CALM_MS = 3_000
export const LONGEST_CALM_MS = 12_000
/** Pause and work follow each other at most so often in a minute: an owner must never see it flicker. */
export const MOST_CHANGES = 6
export const CHANGES_MS = 60_000
/** Without a reading for so long the machine slept, or its clock was set. */
export const SLEPT_MS = 30_000
/** After sleep: programs wake up, networks come back. */
export const AFTER_SLEEP_MS = 5_000
/** Looks before the first verdict cover so much time. */
export const STARTING_MS = 1_000
/** What a sensor said last still holds for so long when it says nothing or nonsense. */
export const STALE_MS = 60_000
export const STALE_LOAD_MS = 10_000

/** All that the gate remembers between two looks; plain data. */
export interface GateState {
  /** Of the last look, ms since epoch; undefined before the first. */
  at?: number | undefined
  startedAt: number
  /** Readings that made sense, by name, and when. */
  good: { [name in keyof Readings]?: { at: number; value: NonNullable<Readings[name]> } }
  /** The owner's own word. */
  hold?: { since: number; until?: number | undefined } | undefined
  /** Since when each reason holds. */
  since: { [reason in PauseReason]?: number }
  /** Times of the changes between pause and work within the last minute. */
  changes: number[]
  pause?: Pause | undefined
  sleptAt?: number | undefined
  cpu: {
    /** What others use, smoothed over half a second, cores. */
    smooth: number
    /** What others use, as it is taken off: up within a second, down slowly. */
    level: number
    isBusy: boolean
    calmSince?: number | undefined
    calmMs: number
    freeSince?: number | undefined
    pressedSince?: number | undefined
    isPressed: boolean
  }
  /** Cores granted while it works, and since when more could be. */
  cores: { granted: number; offered: number; risingSince?: number | undefined }
  memory: {
    isLow: boolean
    okSince?: number | undefined
    calmMs: number
    lowEndedAt?: number | undefined
    granted?: number | undefined
    risingSince?: number | undefined
  }
}

export const newGate = (at: number): GateState => ({
  startedAt: at,
  good: {},
  since: {},
  changes: [],
  cpu: { smooth: 0, level: 0, isBusy: false, isPressed: false, calmMs: LEAST_CALM_MS },
  cores: { granted: 0, offered: 0 },
  memory: { isLow: false, calmMs: 10_000 },
})

/**
 * The clock was set back: what was remembered with later times is remembered from now on, so that nothing lasts longer than it should.
 * The owner's word names a time on the clock and stays.
 */
export function restarted(state: GateState, at: number): GateState {
  const fresh = newGate(at)
  const now = <T extends object>(times: T): T =>
    Object.fromEntries(Object.entries(times).map(([name, value]) => [name, Math.min(Number(value), at)])) as T
  return {
    ...fresh,
    startedAt: Math.min(state.startedAt, at),
    good: Object.fromEntries(Object.entries(state.good).map(([name, { value }]) => [name, { at, value }])),
    hold: state.hold && { ...state.hold, since: Math.min(state.hold.since, at) },
    since: now(state.since),
    changes: state.changes.map(() => at),
    pause: state.pause && { ...state.pause, since: Math.min(state.pause.since, at) },
    cpu: {
      ...fresh.cpu,
      isBusy: state.cpu.isBusy,
      smooth: state.cpu.smooth,
      level: state.cpu.level,
      calmMs: state.cpu.calmMs,
    },
    cores: { granted: state.cores.granted, offered: state.cores.offered },
    memory: { ...fresh.memory, isLow: state.memory.isLow, granted: state.memory.granted },
  }
}
