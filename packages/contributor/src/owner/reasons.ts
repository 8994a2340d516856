import type { PauseReason } from '@pingo/wire'
import { type GateState, LEAST_CALM_MS, STARTING_MS } from './gate-state.ts'
import { isOpen, nextOpening } from './opening.ts'
import type { OwnerSettings } from './settings.ts'
import type { Readings } from './verdict.ts'

/** Why it pauses, and what ends it. */
export interface Reason {
  /** When it ends or is looked at again, ms since epoch, where that is known. */
  until?: number | undefined
  sentence: string
}

type Check = (r: Readings, s: OwnerSettings, state: GateState, isOn: boolean) => Reason | undefined

/** A battery or a temperature must be so much better before work goes on: no going to and fro around a limit. */
const BATTERY_RECOVERED = 0.03
const COOLED_C = 5

/**
 * The reasons of the gate, the first that holds is the one that is told: first the owner's own word, then what lasts long or costs
 * money, then dangers to the machine, then courtesy.
 */
export const REASONS: readonly (readonly [PauseReason, Check])[] = [
  [
    'owner',
    (r, _, { hold }) =>
      hold && (hold.until === undefined || r.at < hold.until)
        ? {
            until: hold.until,
            sentence:
              hold.until === undefined
                ? 'You paused it; it goes on when you resume it.'
                : `You paused it; it goes on at ${clockTime(hold.until)}.`,
          }
        : undefined,
  ],
  [
    'schedule',
    (r, s) => {
      if (isOpen(s.schedule, r.at)) return undefined
      const until = nextOpening(s.schedule, r.at)
      return {
        until,
        sentence:
          until === undefined
            ? 'Your schedule never lets it work; it goes on when you change it.'
            : `Your schedule lets it work again on ${dayTime(until)}.`,
      }
    },
  ],
  [
    'data-cap',
    (r, s) => {
      if (s.monthlyBytes === 0 || r.monthBytes === undefined || r.monthBytes < s.monthlyBytes) return undefined
      const until = nextMonth(r.at)
      return {
        until,
        sentence: `It has moved the ${size(s.monthlyBytes)} that you allow in a month; it goes on on ${dayTime(until)}.`,
      }
    },
  ],
  [
    'battery',
    (r, s, _, isOn) => {
      if (r.onBattery !== true) return undefined
      if (!s.onBattery) return { sentence: 'The machine runs on its battery; it goes on when it is plugged in.' }
      const least = s.leastBatteryShare + (isOn ? BATTERY_RECOVERED : 0)
      if (s.leastBatteryShare === 0 || r.batteryShare === undefined || r.batteryShare >= Math.min(1, least))
        return undefined
      return {
        sentence: `The battery is at ${percent(r.batteryShare)}; it goes on above ${percent(Math.min(1, s.leastBatteryShare + BATTERY_RECOVERED))} or when it is plugged in.`,
      }
    },
  ],
  [
    'metered',
    (r, s) =>
      r.metered === true && !s.onMetered
        ? { sentence: 'The network is one that is paid by volume; it goes on when the machine is on another.' }
        : undefined,
  ],
  [
    'temperature',
    (r, s, _, isOn) =>
      s.maxTemperatureC > 0 &&
      r.temperatureC !== undefined &&
      r.temperatureC > s.maxTemperatureC - (isOn ? COOLED_C : 0)
        ? {
            sentence: `The machine is at ${Math.round(r.temperatureC)} °C; it goes on below ${s.maxTemperatureC - COOLED_C} °C.`,
          }
        : undefined,
  ],
  [
    'disk-low',
    (r) =>
      r.isDiskLow === true
        ? { sentence: 'The disk is nearly full; it goes on when you have freed some space.' }
        : undefined,
  ],
  [
    'memory-low',
    (r, _, { memory }) =>
      memory.isLow
        ? {
            until: memory.okSince === undefined ? undefined : memory.okSince + memory.calmMs,
            sentence: `Memory is short${r.freeMemoryBytes === undefined ? '' : ` (${size(r.freeMemoryBytes)} free)`}; it goes on when your programs have enough of it again.`,
          }
        : undefined,
  ],
  [
    'application',
    (r) =>
      r.application !== undefined
        ? { sentence: `${r.application} runs; it goes on when you have closed it.` }
        : undefined,
  ],
  [
    'user-active',
    (r, s) => {
      if (s.when === 'always' || s.inputIdleMs === 0 || r.idleMs === undefined || r.idleMs >= s.inputIdleMs)
        return undefined
      return {
        until: Math.ceil((r.at + s.inputIdleMs - r.idleMs) / 1000) * 1000,
        sentence: `You are at the machine; it goes on when there was no input for ${duration(s.inputIdleMs)}.`,
      }
    },
  ],
  [
    'cpu-busy',
    (r, s, { cpu, since }) => {
      if (s.when === 'always' || !cpu.isBusy) return undefined
      const used = r.othersCores === undefined ? '' : ` ${percent(r.othersCores / r.capacityCores)} of the CPU`
      const calm = `${Math.round(cpu.calmMs / 1000)} s after they are below ${percent(s.pauseAtShare)}`
      return cpu.calmSince === undefined
        ? { sentence: `Your programs use${used || ' the CPU'}; it goes on ${calm}.` }
        : {
            until: cpu.calmSince + cpu.calmMs,
            sentence:
              cpu.calmMs > LEAST_CALM_MS && since['cpu-busy'] !== undefined
                ? `Your programs are busy now and then; it goes on ${calm}.`
                : `Your programs used the CPU until just now; it goes on ${calm}.`,
          }
    },
  ],
  [
    'pressure',
    (_, s, { cpu }) =>
      s.when !== 'always' && cpu.isPressed
        ? {
            until: cpu.calmSince === undefined ? undefined : cpu.calmSince + cpu.calmMs,
            sentence: 'Your programs wait for the CPU; it goes on when they do not any more.',
          }
        : undefined,
  ],
  [
    'starting',
    (r, s, { startedAt }) => {
      if (s.when === 'always') return undefined
      if (r.othersCores === undefined && r.at - startedAt >= 10 * STARTING_MS)
        return {
          sentence:
            'What your programs use of the CPU cannot be read on this machine; set when=always to lend it regardless of them.',
        }
      return r.othersCores === undefined || r.at - startedAt < STARTING_MS
        ? { until: startedAt + STARTING_MS, sentence: 'It looks at what your programs do; it goes on in a second.' }
        : undefined
    },
  ],
]

const percent = (share: number): string => `${Math.round(100 * share)} %`

export const clockTime = (at: number): string => {
  const date = new Date(at)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const dayTime = (at: number): string => {
  const date = new Date(at)
  return `${DAYS[date.getDay()]} ${date.getDate()}.${date.getMonth() + 1}. at ${clockTime(at)}`
}

/** Months of the data cap are those of UTC. */
export function nextMonth(at: number): number {
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}

function size(bytes: number): string {
  const gib = bytes / 2 ** 30
  return gib >= 1 ? `${Number(gib.toPrecision(3))} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`
}

const duration = (ms: number): string =>
  ms >= 120_000 ? `${Math.round(ms / 60_000)} minutes` : `${Math.max(1, Math.round(ms / 1000))} s`
