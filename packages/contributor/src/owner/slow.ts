import { patient, type Run, runProgram } from './sensors/command.ts'
import { inputIdle } from './sensors/input.ts'
import { battery, temperature } from './sensors/power.ts'
import { metered, runningApplication } from './sensors/programs.ts'
import { windowsReadings } from './sensors/windows.ts'
import type { OwnerSettings } from './settings.ts'
import type { Readings } from './verdict.ts'

/** Files of sysfs and names of programs; programs that are asked over D-Bus; PowerShell. */
const FILES_MS = 5_000
const PROGRAMS_MS = 10_000
const WINDOWS_MS = 60_000

export type SlowReadings = Pick<
  Readings,
  'idleMs' | 'onBattery' | 'batteryShare' | 'temperatureC' | 'metered' | 'application'
>

export interface SlowPorts {
  run?: Run
  platform?: NodeJS.Platform
  env?: NodeJS.ProcessEnv
  /** ms since epoch. */
  clock: () => number
  proc?: string
  sys?: string
  dev?: string
  own: () => readonly number[]
}

/**
 * Sensors that cost something, each asked as seldom as it may be and only when the settings need it. What they said last is at hand at
 * any time; input was so much longer ago as time went by since then.
 */
export function slowSensors(p: SlowPorts): (settings: OwnerSettings) => SlowReadings {
  const run = patient(p.run ?? runProgram, p.clock)
  const platform = p.platform ?? process.platform
  const ports = { run, platform, env: p.env ?? process.env, clock: p.clock, proc: p.proc, sys: p.sys, dev: p.dev }
  let said: SlowReadings = {}
  let inputAt = 0
  const due = new Map<string, number>()
  const running = new Set<string>()

  /** Asks when it is time, never twice at once; what a sensor does not say any more is forgotten. */
  const ask = (name: string, everyMs: number, sense: () => Promise<SlowReadings>): void => {
    const now = p.clock()
    const at = due.get(name)
    if (running.has(name) || (at !== undefined && now < at && at - now <= everyMs)) return
    due.set(name, now + everyMs)
    running.add(name)
    void sense()
      .catch((): SlowReadings => ({}))
      .then((readings) => {
        said = { ...said, ...readings }
        running.delete(name)
      })
  }

  return (s) => {
    const asksInput = s.when === 'idle' && s.inputIdleMs > 0
    if (platform === 'win32') {
      if (asksInput || !s.onBattery || s.leastBatteryShare > 0)
        ask('windows', WINDOWS_MS, async () => {
          const told = await windowsReadings(run)
          inputAt = p.clock()
          return { idleMs: undefined, onBattery: undefined, batteryShare: undefined, ...told }
        })
    } else {
      if (asksInput)
        ask('input', FILES_MS, async () => {
          const idleMs = await inputIdle(ports)
          inputAt = p.clock()
          return { idleMs }
        })
      ask('battery', platform === 'linux' ? FILES_MS : PROGRAMS_MS, async () => ({
        onBattery: undefined,
        batteryShare: undefined,
        ...(await battery(ports)),
      }))
      if (platform === 'linux') ask('temperature', FILES_MS, async () => ({ temperatureC: temperature(p.sys) }))
    }
    if (!s.onMetered) ask('metered', PROGRAMS_MS, async () => ({ metered: await metered(ports) }))
    ask('application', FILES_MS, async () => ({
      application: await runningApplication(s.applications, ports, p.own()),
    }))
    return said.idleMs === undefined ? said : { ...said, idleMs: said.idleMs + Math.max(0, p.clock() - inputAt) }
  }
}
