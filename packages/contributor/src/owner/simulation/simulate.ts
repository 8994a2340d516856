import { type GateState, newGate, stepGate } from '../gate.ts'
import type { OwnerSettings } from '../settings.ts'
import type { Readings, Verdict } from '../verdict.ts'
import type { Stretch } from './traces.ts'

const LOOK_MS = 200
const MINUTE_MS = 60_000
/** Load that lasts so long asks for a reaction. */
const LASTING_MS = 1_500
/** The kernel counts CPU time in such steps. */
const TICK_MS = 10

export interface Machine {
  settings: OwnerSettings
  capacityCores: number
  startAt: number
  /** What else sensors say at a moment. */
  readings?: (at: number) => Partial<Readings>
  /** Numbers in [0, 1): errors of measurement. */
  random: () => number
  onVerdict?: (verdict: Verdict, readings: Readings) => void
}

export interface Outcome {
  ms: number
  /** Changes between pause and work in the busiest minute, any minute. */
  mostChanges: number
  changes: number
  /** Core time that was idle for a minute or longer, and the part of it that was granted; the same of all time below the threshold. */
  idleMs: number
  idleGrantedMs: number
  belowMs: number
  belowGrantedMs: number
  /** From the beginning of lasting heavy load to the pause, ms. */
  reactions: number[]
}

/**
 * Runs the gate over a trace on a machine that is made up: the contributor at the lowest priority gets what the owner's programs leave,
 * looks come five times a second, and what they measure is counted in the kernel's steps.
 */
export function simulate(trace: readonly Stretch[], o: Machine): Outcome {
  const { settings, capacityCores } = o
  const threshold = settings.pauseAtShare * capacityCores
  const calm = calmStretches(trace, threshold)
  const outcome: Outcome = {
    ms: 0,
    mostChanges: 0,
    changes: 0,
    idleMs: 0,
    idleGrantedMs: 0,
    belowMs: 0,
    belowGrantedMs: 0,
    reactions: [],
  }
  let state: GateState = newGate(o.startAt)
  let verdict: Verdict = { cores: 0, memoryBytes: 0 }
  let wasWorking: boolean | undefined
  let recent: number[] = []
  let pending: number | undefined
  let wanted = 0
  let own = 0
  let untilLook = LOOK_MS

  const look = (at: number): void => {
    const noise = (): number => ((o.random() - 0.5) * 2 * TICK_MS) / LOOK_MS
    const readings: Readings = {
      at,
      capacityCores,
      othersCores: Math.max(0, wanted / LOOK_MS + noise()),
      ownCores: Math.max(0, own / LOOK_MS + noise()),
      ...o.readings?.(at),
    }
    ;({ state, verdict } = stepGate(state, readings, settings))
    o.onVerdict?.(verdict, readings)
    wanted = own = 0
    const isWorking = verdict.cores > 0
    if (wasWorking !== undefined && isWorking !== wasWorking) {
      outcome.changes += 1
      recent = [...recent.filter((time) => time > at - MINUTE_MS), at]
      outcome.mostChanges = Math.max(outcome.mostChanges, recent.length)
    }
    wasWorking = isWorking
    if (!isWorking && pending !== undefined) {
      outcome.reactions.push(at - pending)
      pending = undefined
    }
  }

  let at = o.startAt
  trace.forEach(({ ms, cores }, index) => {
    const isHeavy = cores >= 2 * threshold
    if (!isHeavy) pending = undefined
    else if (ms >= LASTING_MS && verdict.cores > 0) pending ??= at
    for (let left = ms; left > 0; ) {
      const step = Math.min(left, untilLook)
      const free = capacityCores - cores
      if (cores < threshold) {
        const most = Math.min(settings.cores, free) * step
        const got = Math.min(verdict.cores, free) * step
        outcome.belowMs += most
        outcome.belowGrantedMs += got
        if (calm[index]! >= MINUTE_MS) {
          outcome.idleMs += most
          outcome.idleGrantedMs += got
        }
      }
      wanted += cores * step
      own += Math.min(verdict.cores, free) * step
      at += step
      left -= step
      untilLook -= step
      if (untilLook === 0) {
        look(at)
        untilLook = LOOK_MS
      }
    }
  })
  outcome.ms = at - o.startAt
  return outcome
}

/** For each stretch the time for which the owner stays below the threshold around it, ms. */
function calmStretches(trace: readonly Stretch[], threshold: number): number[] {
  const calm = trace.map(() => 0)
  for (let from = 0; from < trace.length; ) {
    let to = from
    let ms = 0
    while (to < trace.length && trace[to]!.cores < threshold) ms += trace[to++]!.ms
    calm.fill(ms, from, to)
    from = to + 1
  }
  return calm
}
