import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readings } from '../verdict.ts'
import type { Run } from './command.ts'

export interface PowerPorts {
  run: Run
  platform: NodeJS.Platform
  /** Root of sysfs. */
  sys?: string
}

type Battery = Pick<Readings, 'onBattery' | 'batteryShare'>

/** Whether the machine runs on its battery, and how full that is; nothing on machines without one. */
export async function battery({ run, platform, sys = '/sys' }: PowerPorts): Promise<Battery> {
  if (platform === 'darwin') return macBattery(await run('pmset', ['-g', 'batt']))
  return platform === 'linux' ? linuxBattery(sys) : {}
}

function linuxBattery(sys: string): Battery {
  const supplies = list(join(sys, 'class/power_supply')).map((folder) => {
    const say = (name: string): string => read(join(folder, name))?.trim() ?? ''
    return {
      type: say('type'),
      scope: say('scope'),
      status: say('status'),
      online: say('online'),
      share: Number(say('capacity') || Number.NaN) / 100,
    }
  })
  // batteries of mice and headsets have the scope 'Device'
  const batteries = supplies.filter(({ type, scope }) => type === 'Battery' && scope !== 'Device')
  if (batteries.length === 0) return {}
  const isPlugged = supplies.some(({ type, online }) => type !== 'Battery' && online === '1')
  const shares = batteries.map(({ share }) => share).filter((share) => share >= 0 && share <= 1)
  return {
    onBattery: !isPlugged && batteries.some(({ status }) => status === 'Discharging'),
    ...(shares.length > 0 && { batteryShare: shares.reduce((a, b) => a + b) / shares.length }),
  }
}

function macBattery(text: string | undefined): Battery {
  const source = /Now drawing from '([^']+)'/.exec(text ?? '')?.[1]
  const share = /\t(\d{1,3})%;/.exec(text ?? '')?.[1]
  if (source === undefined || share === undefined) return {}
  return { onBattery: source === 'Battery Power', batteryShare: Math.min(1, Number(share) / 100) }
}

/** Drivers of the sensors inside processors. */
const CPU_DRIVERS = /^(coretemp|k10temp|zenpower|cpu_thermal|soc_thermal|cpu\d*-thermal)$/
const CPU_ZONES = /x86_pkg_temp|cpu|soc|core/i

/** Temperature of the processor, its hottest part, °C (Linux). */
export function temperature(sys = '/sys'): number | undefined {
  const monitors = list(join(sys, 'class/hwmon'))
    .filter((folder) => CPU_DRIVERS.test(read(join(folder, 'name'))?.trim() ?? ''))
    .flatMap((folder) => list(folder).filter((file) => /\/temp\d+_input$/.test(file)))
  const zones = list(join(sys, 'class/thermal')).filter((folder) => /\/thermal_zone\d+$/.test(folder))
  const ofCpu = zones.filter((folder) => CPU_ZONES.test(read(join(folder, 'type')) ?? ''))
  const files =
    monitors.length > 0 ? monitors : (ofCpu.length > 0 ? ofCpu : zones).map((folder) => join(folder, 'temp'))
  const degrees = files.map((file) => Number(read(file) || Number.NaN) / 1000).filter((c) => c > 0 && c < 150)
  return degrees.length > 0 ? Math.max(...degrees) : undefined
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
      .slice(0, 200)
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
