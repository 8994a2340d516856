import { type GateState, LEAST_CALM_MS, LONGEST_CALM_MS } from './gate-state.ts'
import type { OwnerSettings } from './settings.ts'
import type { Readings } from './verdict.ts'

/** Less than this is noise of counting in steps of 10 ms, cores. */
const LEAST_THRESHOLD_CORES = 0.05
/** So many times the threshold within one look is heavy: there is no waiting for a second one. */
const HEAVY = 2
/** What ends the pause is somewhat below what begins it. */
const CALM = 0.8
const SMOOTH_MS = 500
const LEVEL_UP_MS = 1_000
const LEVEL_DOWN_MS = 5_000
/** Work that lasted less since the last pause makes the next pause longer; work that lasted more makes it as short as at first. */
const SHORT_WORK_MS = 20_000
const LONG_WORK_MS = 120_000
/** Pressure counts when it is not this contributor's own waiting: the machine is not full, and something of the owner's runs. */
const HIGH_PRESSURE = 0.5
const LOW_PRESSURE = 0.2
const FULL_SHARE = 0.85
const PRESSED_MS = 2_000
/** More cores are granted when more was free for so long. */
const RISE_MS = 3_000
/** The smallest part of a core that is granted. */
const LEAST_CORES = 0.05
/** Changes of less than this share of the machine are none. */
const STEP_SHARE = 0.05

type Cpu = GateState['cpu']

const towards = (from: number, to: number, elapsed: number, tau: number): number =>
  from + (to - from) * (1 - Math.exp(-elapsed / tau))

/** What the owner's programs do to the CPU: busy at once, calm after a while that grows when they are bursty. */
export function stepCpu(before: Cpu, r: Readings, s: OwnerSettings, elapsed: number): Cpu {
  const others = r.othersCores
  if (others === undefined) return before
  const threshold = Math.max(LEAST_THRESHOLD_CORES, s.pauseAtShare * r.capacityCores)
  const cpu = { ...before }
  // a look without a past counts in full; a short peak is not remembered as more than it takes to be busy
  const tau = elapsed === 0 ? Number.MIN_VALUE : SMOOTH_MS
  cpu.smooth = Math.min(1.5 * threshold, towards(cpu.smooth, others, Math.max(elapsed, 1), tau))
  // load above the threshold pauses; after it, no more than the threshold is to be forgotten
  const level = Math.min(others, threshold)
  const levelTau = elapsed === 0 ? Number.MIN_VALUE : level > cpu.level ? LEVEL_UP_MS : LEVEL_DOWN_MS
  cpu.level = towards(cpu.level, level, Math.max(elapsed, 1), levelTau)
  const isHeavy = others >= Math.min(HEAVY * threshold, Math.max(threshold, 0.9 * r.capacityCores))
  const isBusy = isHeavy || cpu.smooth >= threshold
  const isCalm = !isHeavy && cpu.smooth < CALM * threshold && !isPressure(r, threshold, LOW_PRESSURE)
  stepPressure(cpu, r, threshold)

  const wasPaused = before.isBusy || before.isPressed
  if (!isCalm) cpu.calmSince = undefined
  else cpu.calmSince ??= r.at
  const isOver = cpu.calmSince !== undefined && r.at - cpu.calmSince >= cpu.calmMs
  if (isBusy) cpu.isBusy = true
  else if (isOver) cpu.isBusy = false
  if (cpu.isPressed && isOver) cpu.isPressed = false

  const isPaused = cpu.isBusy || cpu.isPressed
  if (isPaused && !wasPaused) {
    const worked = cpu.freeSince === undefined ? LONG_WORK_MS : r.at - cpu.freeSince
    if (worked < SHORT_WORK_MS) cpu.calmMs = Math.min(LONGEST_CALM_MS, cpu.calmMs * 2)
    else if (worked >= LONG_WORK_MS) cpu.calmMs = LEAST_CALM_MS
    else cpu.calmMs = Math.max(LEAST_CALM_MS, cpu.calmMs / 2)
    cpu.freeSince = undefined
  }
  if (!isPaused && wasPaused) cpu.freeSince = r.at
  return cpu
}

/**
 * PSI says that something waited for a CPU. That is mostly the contributor's own waiting at the lowest priority, as it should be when it
 * uses what is left; it tells of the owner only when the machine is not full and the owner's programs do run: then they wait for
 * something that the shares do not show (CPUs they are bound to, quotas, many short tasks).
 */
function isPressure(r: Readings, threshold: number, from: number): boolean {
  if (r.pressure === undefined || r.pressure < from || r.othersCores! < threshold / 2) return false
  return (r.ownCores ?? r.capacityCores) + r.othersCores! < FULL_SHARE * r.capacityCores
}

function stepPressure(cpu: Cpu, r: Readings, threshold: number): void {
  if (!isPressure(r, threshold, HIGH_PRESSURE)) cpu.pressedSince = undefined
  else {
    cpu.pressedSince ??= r.at
    if (r.at - cpu.pressedSince >= PRESSED_MS) cpu.isPressed = true
  }
}

/** How many cores: what is lent, less where the owner's programs use more than the lent part leaves them; less at once, more after a while. */
export function stepCores(
  before: GateState['cores'],
  cpu: Cpu,
  r: Readings,
  s: OwnerSettings,
  isPaused: boolean,
): GateState['cores'] {
  const step = STEP_SHARE * r.capacityCores
  const most = Math.min(s.cores, r.capacityCores)
  const free = s.when === 'always' ? r.capacityCores : r.capacityCores - cpu.level
  // a little in the background is not taken off: the lowest priority yields to it anyway
  const target = free >= most - step ? most : Math.max(Math.min(LEAST_CORES, most), free)
  const cores = { ...before, offered: most }
  if (before.offered !== most || isPaused || before.granted === 0) return { granted: target, offered: most }
  if (target < cores.granted - step / 2) return { granted: target, offered: most }
  if (target > cores.granted + step || (target === most && cores.granted < most)) {
    cores.risingSince ??= r.at
    if (r.at - cores.risingSince >= RISE_MS) return { granted: target, offered: most }
  } else cores.risingSince = undefined
  return { ...cores, granted: Math.min(cores.granted, most) }
}
