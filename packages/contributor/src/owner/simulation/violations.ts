import type { OwnerSettings } from '../settings.ts'
import type { Readings, Verdict } from '../verdict.ts'
import { simulate } from './simulate.ts'
import { desktopTrace, seeded } from './traces.ts'

const GIB = 2 ** 30
const CORES = 4
const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** Looks of an hour in which more was granted than the limits of the settings, drawn from a seed as the machine's state is, allow. */
export function violations(seed: number): number {
  const draw = seeded(seed)
  const settings = drawSettings(draw)
  const startAt = Date.UTC(2026, 0, 12) + Math.floor(draw() * 7 * 24 * HOUR)
  let count = 0
  simulate(desktopTrace(seed, CORES, 1), {
    settings,
    capacityCores: CORES,
    startAt,
    random: seeded(seed + 1),
    readings: drawSensors(draw, settings, startAt),
    onVerdict: (verdict, readings) => {
      if (!isWithin(verdict, readings, settings)) count += 1
    },
  })
  return count
}

/** Judged by what was measured and what was set, without any of the gate's own functions. */
export function isWithin({ cores, memoryBytes, pause }: Verdict, r: Readings, s: OwnerSettings): boolean {
  if (cores > s.cores || memoryBytes > s.memoryBytes || cores > 0 === (pause !== undefined)) return false
  if (memoryBytes > (r.ownMemoryBytes ?? 0) + (r.freeMemoryBytes ?? 0)) return false
  if (cores === 0) return true
  const date = new Date(r.at)
  const minute = ((date.getDay() + 6) % 7) * 1_440 + date.getHours() * 60 + date.getMinutes()
  if (s.schedule.length > 0 && !s.schedule.some(({ from, to }) => from <= minute && minute < to)) return false
  if (r.onBattery && (!s.onBattery || r.batteryShare! < s.leastBatteryShare)) return false
  if (s.maxTemperatureC > 0 && r.temperatureC! > s.maxTemperatureC) return false
  if (s.monthlyBytes > 0 && r.monthBytes! >= s.monthlyBytes) return false
  if (s.when === 'idle' && s.inputIdleMs > 0 && r.idleMs! < s.inputIdleMs) return false
  if (r.metered && !s.onMetered) return false
  return r.application === undefined && r.isDiskLow !== true && r.freeMemoryBytes! > 0
}

function drawSettings(draw: () => number): OwnerSettings {
  const one = <T>(...values: T[]): T => values[Math.floor(draw() * values.length)]!
  const spans = Array.from({ length: Math.floor(draw() * 30) }, () => Math.floor(draw() * 10_000))
  return {
    name: 'simulated',
    cores: one(0.25, 1, 2.5, CORES),
    memoryBytes: one(GIB, 4 * GIB, 12 * GIB),
    diskBytes: GIB,
    keepFreeBytes: 0,
    slices: 0,
    when: one<OwnerSettings['when']>('idle', 'idle', 'always'),
    pauseAtShare: one(0.1, 0.25, 0.6),
    inputIdleMs: one(0, 0, 3 * MINUTE),
    schedule: draw() < 0.5 ? [] : spans.map((from) => ({ from, to: Math.min(10_080, from + 20 + (from % 300)) })),
    onBattery: one(true, false),
    leastBatteryShare: one(0, 0.3, 0.8),
    maxTemperatureC: one(0, 70, 85),
    onMetered: one(true, false),
    bytesPerSecond: 0,
    monthlyBytes: one(0, 1e9),
    applications: one([], ['game']),
    isolation: 'auto',
  }
}

/** Sensors whose values go up and down in waves of different lengths, or switch now and then. */
function drawSensors(draw: () => number, s: OwnerSettings, startAt: number): (at: number) => Partial<Readings> {
  const wave = (from: number, to: number): ((at: number) => number) => {
    const length = MINUTE * (0.5 + 20 * draw())
    const phase = draw()
    return (at) => from + (to - from) * (0.5 + 0.5 * Math.sin(2 * Math.PI * ((at - startAt) / length + phase)))
  }
  const often = (share: number): ((at: number) => boolean) => {
    const value = wave(0, 1)
    return (at) => value(at) < share
  }
  const temperature = wave(40, 95)
  const charge = wave(0.1, 1)
  const isPlugged = often(0.7)
  const isMetered = often(0.15)
  const runs = often(0.1)
  const isDiskLow = often(0.02)
  const idle = wave(0, 10 * MINUTE)
  const free = wave(0.2 * GIB, 12 * GIB)
  const month = wave(0, 1.05e9)
  return (at) => ({
    temperatureC: temperature(at),
    batteryShare: charge(at),
    onBattery: !isPlugged(at),
    metered: isMetered(at),
    application: s.applications.length > 0 && runs(at) ? s.applications[0] : undefined,
    isDiskLow: isDiskLow(at),
    idleMs: idle(at),
    totalMemoryBytes: 16 * GIB,
    freeMemoryBytes: free(at),
    ownMemoryBytes: GIB,
    monthBytes: month(at),
  })
}
