import type { Pause, PauseReason } from '@pingo/wire'
import { stepCores, stepCpu } from './gate-cpu.ts'
import { stepMemory } from './gate-memory.ts'
import {
  AFTER_SLEEP_MS,
  CHANGES_MS,
  type GateState,
  MOST_CHANGES,
  newGate,
  restarted,
  SLEPT_MS,
  STALE_LOAD_MS,
  STALE_MS,
} from './gate-state.ts'
import { clockTime, REASONS } from './reasons.ts'
import type { OwnerSettings } from './settings.ts'
import type { Readings, Verdict } from './verdict.ts'

export { type GateState, newGate }

/** A clock that steps back by less is one that is being set right slowly. */
const CLOCK_SLACK_MS = 1_000

/** Sensors whose word is kept for a while when they fall silent; for `application` silence is a word. */
const KEPT: { [name in keyof Readings]?: number } = {
  othersCores: STALE_LOAD_MS,
  freeMemoryBytes: STALE_LOAD_MS,
  totalMemoryBytes: STALE_MS,
  capacityCores: Number.POSITIVE_INFINITY,
  idleMs: STALE_MS,
  onBattery: STALE_MS,
  batteryShare: STALE_MS,
  temperatureC: STALE_MS,
  metered: STALE_MS,
  monthBytes: Number.POSITIVE_INFINITY,
  isDiskLow: STALE_MS,
}

/**
 * Decides what may be done: a pure step from what was known and what sensors say to what is known and a verdict. Work is paused at once
 * when there is a reason and goes on when there is none, but pause and work follow each other at most six times in any minute; a
 * pause never waits, so it is the end of a pause that does. The owner's own word, and settings that changed, are not made to wait.
 */
export function stepGate(
  before: GateState,
  readings: Readings,
  settings: OwnerSettings,
): { state: GateState; verdict: Verdict } {
  const said = Number.isFinite(readings.at) ? readings.at : (before.at ?? before.startedAt)
  const isSetBack = before.at !== undefined && said < before.at - CLOCK_SLACK_MS
  const at = isSetBack ? said : Math.max(said, before.at ?? said)
  let state = isSetBack ? restarted(before, at) : { ...before }
  const elapsed = before.at === undefined ? 0 : Math.max(0, at - before.at)
  if (elapsed > SLEPT_MS)
    state = { ...state, sleptAt: at, cpu: { ...state.cpu, calmSince: undefined, freeSince: undefined } }
  const kept = keep(state, { ...readings, at })
  const r = kept.readings
  state = { ...state, at, good: kept.good }
  state.cpu = stepCpu(state.cpu, r, settings, elapsed)
  state.memory = stepMemory(state.memory, r, settings)
  state.changes = state.changes.filter((time) => time > at - CHANGES_MS && time <= at)

  const since: GateState['since'] = {}
  let pause: Pause | undefined
  const told = (reason: PauseReason, { until, sentence }: { until?: number | undefined; sentence: string }): void => {
    since[reason] = state.since[reason] ?? at
    pause ??= { reason, since: since[reason], ...(until !== undefined && { until }), sentence }
  }
  for (const [reason, check] of REASONS) {
    const found = check(r, settings, state, state.since[reason] !== undefined)
    if (found) told(reason, found)
  }
  if (settings.when === 'idle' && state.sleptAt !== undefined && at - state.sleptAt < AFTER_SLEEP_MS)
    told('sleeping', {
      until: state.sleptAt + AFTER_SLEEP_MS,
      sentence: 'The machine just woke up; it goes on in a few seconds.',
    })
  state.since = since

  // the owner's word ends with the time that it names
  if (state.hold?.until !== undefined && at >= state.hold.until) state.hold = undefined
  pause ??= settle(state, at)
  const wasPaused = before.pause !== undefined || before.at === undefined
  if (wasPaused !== (pause !== undefined)) state.changes = [...state.changes, at]
  state.pause = pause
  state.cores = stepCores(state.cores, state.cpu, r, settings, pause !== undefined)
  return {
    state,
    verdict: {
      cores: pause ? 0 : state.cores.granted,
      memoryBytes: Math.min(settings.memoryBytes, state.memory.granted ?? settings.memoryBytes),
      ...(pause && { pause }),
    },
  }
}

/** A pause whose reason is gone lasts until work, and the next pause, would be within the number of changes of a minute. */
function settle(state: GateState, at: number): Pause | undefined {
  const last = state.pause
  if (!last || last.reason === 'owner' || last.reason === 'starting') return undefined
  const room = state.changes.length - (MOST_CHANGES - 2)
  if (room <= 0) return undefined
  const until = state.changes[room - 1]! + CHANGES_MS
  if (until <= at) return undefined
  return {
    reason: last.reason,
    since: last.since,
    until,
    sentence: `The reason for the pause came and went several times within a minute; it goes on at ${clockTime(until)} if it stays away.`,
  }
}

/** Nonsense is silence, and what a sensor said last holds for a while when it falls silent. */
function keep(state: GateState, readings: Readings): { readings: Readings; good: GateState['good'] } {
  const { at } = readings
  const good: GateState['good'] = {}
  const out: Record<string, unknown> = { at }
  for (const [name, said] of Object.entries(readings)) if (name !== 'at' && isSense(name, said)) out[name] = said
  for (const [name, keptMs] of Object.entries(KEPT)) {
    const key = name as keyof Readings
    const last = out[name] === undefined ? state.good[key] : { at, value: out[name] }
    if (!last || at - last.at > keptMs) continue
    Object.assign(good, { [name]: last })
    // time without input goes on while nobody looks
    out[name] = name === 'idleMs' ? Number(last.value) + (at - last.at) : last.value
  }
  if (!(Number(out.capacityCores) > 0)) out.capacityCores = 1
  return { readings: out as unknown as Readings, good }
}

function isSense(name: string, said: unknown): boolean {
  if (typeof said !== 'number') return said !== undefined && said !== null
  if (!Number.isFinite(said)) return false
  if (name === 'temperatureC') return said > -100 && said < 200
  if (name === 'capacityCores') return said > 0
  return said >= 0 && !(/share|pressure/i.test(name) && said > 1)
}
