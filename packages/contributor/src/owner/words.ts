import { isPinGoError, PinGoError, type SettingsView } from '@pingo/wire'
import {
  DEFAULT_DISK_BYTES,
  DEFAULT_KEEP_FREE_BYTES,
  LEAST_CORES,
  LEAST_DISK_BYTES,
  LEAST_MEMORY_BYTES,
} from './limits.ts'
import {
  parsePercent,
  parseRate,
  parseSize,
  parseTime,
  printPercent,
  printRate,
  printSize,
  printTime,
} from './quantities.ts'
import { parseSchedule, printSchedule } from './schedule.ts'
import { type OwnerSettings, PAUSE_AT_SHARE } from './settings.ts'

/** What settings are measured against: this machine, looked at once, so that defaults stay what they are while it runs. */
export interface Machine {
  name: string
  /** Cores that this process may use. */
  cores: number
  /** Memory that this process may use, bytes. */
  memoryBytes: number
  /** What of it is free. */
  freeMemoryBytes: number
  /** Free space of the disk that the home is on, with what the contributor keeps there already, bytes. */
  freeDiskBytes: number
}

/** A setting in a file: what JSON holds. */
export type WordValue = string | number | boolean | string[]
/** Settings as an owner writes them, `contributor.json`: those that were said; all else is by default. */
export type Words = { [name in WordName]?: WordValue }

const DEFAULT_MAX_TEMPERATURE_C = 85
/** The owner keeps the rest of the free memory. */
const MEMORY_SHARE = 0.7

interface Word {
  /** What it sets, in the documentation and the help. */
  readonly about: string
  readonly example: string
  /** What a value means; undefined when it means nothing. */
  read(value: WordValue, machine: Machine): Partial<OwnerSettings> | undefined
  print(settings: OwnerSettings): WordValue
  /** What may be written, for who wrote something else. */
  readonly form: string
}

/** Each setting by the word that a file, a command and the API have for it. */
export const WORDS = {
  cpu: {
    about: 'CPU lent in all: part of all cores, or a number of cores',
    example: '40%',
    form: 'a share of all cores such as 40%, or cores such as 1.5',
    read: (value, machine) => {
      const share = typeof value === 'string' ? parsePercent(value) : undefined
      const cores = share === undefined ? number(value) : share * machine.cores
      return cores !== undefined && cores >= LEAST_CORES && cores <= machine.cores ? { cores } : undefined
    },
    print: (s) => s.cores,
  },
  memory: {
    about: 'memory lent in all: a size, or part of all memory',
    example: '2Gi',
    form: 'a size such as 2Gi (256Mi at least), or a share such as 50%',
    read: (value, machine) => {
      const share = typeof value === 'string' ? parsePercent(value) : undefined
      const memoryBytes = share === undefined ? size(value) : Math.floor(share * machine.memoryBytes)
      return memoryBytes !== undefined && memoryBytes >= LEAST_MEMORY_BYTES && memoryBytes <= machine.memoryBytes
        ? { memoryBytes }
        : undefined
    },
    print: (s) => printSize(s.memoryBytes),
  },
  disk: {
    about: 'disk lent for data, never more',
    example: '20GB',
    form: 'a size such as 20GB (64Mi at least)',
    read: (value) => atLeast(size(value), LEAST_DISK_BYTES, (diskBytes) => ({ diskBytes })),
    print: (s) => printSize(s.diskBytes),
  },
  keepFree: {
    about: 'space that stays free on the disk: near it nothing is stored, and what was lent is given back',
    example: '5GB',
    form: 'a size such as 5GB',
    read: (value) => atLeast(size(value), 1, (keepFreeBytes) => ({ keepFreeBytes })),
    print: (s) => printSize(s.keepFreeBytes),
  },
  slices: {
    about: 'jobs side by side at most',
    example: '2',
    form: 'a whole number up to 256, or auto',
    read: (value) => {
      const slices = value === 'auto' ? 0 : number(value)
      return slices !== undefined && Number.isInteger(slices) && slices <= 256 ? { slices } : undefined
    },
    print: (s) => (s.slices === 0 ? 'auto' : s.slices),
  },
  when: {
    about: 'idle: gives way to your programs; always: only the limits count',
    example: 'idle',
    form: 'idle or always',
    read: (value) => (value === 'idle' || value === 'always' ? { when: value } : undefined),
    print: (s) => s.when,
  },
  pauseAt: {
    about: 'pauses while other programs take so much of all cores',
    example: '25%',
    form: 'a share such as 25%',
    read: (value) => {
      const pauseAtShare = typeof value === 'string' ? parsePercent(value) : undefined
      return pauseAtShare !== undefined && pauseAtShare <= 1 ? { pauseAtShare } : undefined
    },
    print: (s) => printPercent(s.pauseAtShare),
  },
  inputIdle: {
    about: 'works only when no key or pointer was touched for so long',
    example: '3min',
    form: 'a time such as 3min, or off',
    read: (value) => {
      const inputIdleMs = isOff(value) ? 0 : typeof value === 'string' ? parseTime(value) : undefined
      return inputIdleMs === undefined ? undefined : { inputIdleMs }
    },
    print: (s) => (s.inputIdleMs === 0 ? 'off' : printTime(s.inputIdleMs)),
  },
  schedule: {
    about: 'when it may work, by the week; a range that ends before it begins goes on into the next day',
    example: 'mon-fri 18:00-08:00, sat-sun',
    form: 'days and times such as mon-fri 18:00-08:00, sat-sun, or always',
    read: (value) => {
      const schedule = typeof value === 'string' ? parseSchedule(value) : undefined
      return schedule && { schedule }
    },
    print: (s) => printSchedule(s.schedule),
  },
  battery: {
    about: 'whether it works on battery; with a share, while the charge is above it',
    example: '50%',
    form: 'yes, no, or the least charge such as 50%',
    read: (value) => {
      const flag = boolean(value)
      if (flag !== undefined) return { onBattery: flag, leastBatteryShare: 0 }
      const leastBatteryShare = typeof value === 'string' ? parsePercent(value) : undefined
      return leastBatteryShare !== undefined && leastBatteryShare <= 1
        ? { onBattery: true, leastBatteryShare }
        : undefined
    },
    print: (s) => (!s.onBattery ? false : s.leastBatteryShare === 0 ? true : printPercent(s.leastBatteryShare)),
  },
  temperature: {
    about: 'pauses while the CPU is hotter, °C',
    example: '80',
    form: 'degrees Celsius such as 80, or off',
    read: (value) => {
      const plain = typeof value === 'string' ? value.replace(/ ?°?C$/, '') : value
      const maxTemperatureC = isOff(value) ? 0 : number(plain)
      return maxTemperatureC !== undefined && maxTemperatureC <= 150 ? { maxTemperatureC } : undefined
    },
    print: (s) => (s.maxTemperatureC === 0 ? 'off' : s.maxTemperatureC),
  },
  metered: {
    about: 'whether it works on networks that are paid by volume',
    example: 'no',
    form: 'yes or no',
    read: (value) => {
      const onMetered = boolean(value)
      return onMetered === undefined ? undefined : { onMetered }
    },
    print: (s) => s.onMetered,
  },
  rate: {
    about: 'network traffic each way at most',
    example: '2MB/s',
    form: 'a rate such as 2MB/s or 16Mbit/s, or off',
    read: (value) => {
      const bytesPerSecond = isOff(value) ? 0 : typeof value === 'string' ? parseRate(value) : undefined
      return bytesPerSecond === undefined ? undefined : { bytesPerSecond }
    },
    print: (s) => (s.bytesPerSecond === 0 ? 'off' : printRate(s.bytesPerSecond)),
  },
  monthly: {
    about: 'network traffic of a month both ways at most',
    example: '50GB',
    form: 'a size such as 50GB, or off',
    read: (value) => {
      const monthlyBytes = isOff(value) ? 0 : size(value)
      return monthlyBytes === undefined ? undefined : { monthlyBytes }
    },
    print: (s) => (s.monthlyBytes === 0 ? 'off' : printSize(s.monthlyBytes)),
  },
  applications: {
    about: 'pauses while a program of such a name runs',
    example: 'zoom,obs',
    form: 'names of programs such as zoom,obs, or none',
    read: (value) => {
      const names = Array.isArray(value) ? value : isOff(value) ? [] : String(value).split(/ *, */)
      const isFit =
        names.length <= 100 && names.every((name) => /^[^,\p{Cc}]{1,100}$/u.test(name) && name === name.trim())
      return isFit ? { applications: names } : undefined
    },
    print: (s) => s.applications,
  },
  isolation: {
    about: 'what jobs run in: native in the best isolation there is, or WebAssembly',
    example: 'auto',
    form: 'auto, native or wasm',
    read: (value) => (value === 'auto' || value === 'native' || value === 'wasm' ? { isolation: value } : undefined),
    print: (s) => s.isolation,
  },
  name: {
    about: 'how the machine is shown',
    example: 'study',
    form: '1 to 100 characters',
    read: (value) => {
      const name = String(value)
      return /^[^\p{Cc}]{1,100}$/u.test(name) && !Array.isArray(value) ? { name } : undefined
    },
    print: (s) => s.name,
  },
} satisfies Record<string, Word>

export type WordName = keyof typeof WORDS
export const WORD_NAMES = Object.keys(WORDS) as WordName[]

/** What older files have for a word of today. */
const OLD_NAMES = new Map<string, WordName>([['cores', 'cpu']])

const number = (value: WordValue): number | undefined => {
  const n = typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' ? Number(value) : -1
  return Number.isFinite(n) && n >= 0 ? n : undefined
}
/** Sizes have a unit or are text: a bare number in a file is more often a slip than bytes. */
const size = (value: WordValue): number | undefined => (typeof value === 'string' ? parseSize(value) : undefined)
const isOff = (value: WordValue): boolean => value === false || value === 'off' || value === 'none' || value === 'no'
const boolean = (value: WordValue): boolean | undefined =>
  value === true || value === 'yes' || value === 'on' || value === 'true'
    ? true
    : isOff(value) || value === 'false'
      ? false
      : undefined
const atLeast = <T>(value: number | undefined, least: number, make: (value: number) => T): T | undefined =>
  value === undefined || value < least ? undefined : make(value)

/**
 * Takes settings as they come from a file or a request: every word known, every value meaning something on this machine. `null` is for
 * words that go back to their default.
 * @throws PinGoError SETTINGS_INVALID
 */
export function readWords(value: unknown, machine: Machine): { [name in WordName]?: WordValue | null } {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('Settings are an object such as {"cpu": "40%", "disk": "20GB"}.')
  const words: { [name in WordName]?: WordValue | null } = {}
  for (const [key, said] of Object.entries(value)) {
    const name = wordName(key)
    if (OLD_NAMES.has(key) && name in value) continue // the word of today goes before that of an older file
    words[name] = said === null ? null : readWord(name, said, machine)
  }
  return words
}

function readWord(name: WordName, value: unknown, machine: Machine): WordValue {
  const isText = Array.isArray(value) && value.every((each) => typeof each === 'string')
  if (isText || ['string', 'number', 'boolean'].includes(typeof value)) {
    if (meaning(name, value as WordValue, machine)) return value as WordValue
  }
  const shown = JSON.stringify(value)?.slice(0, 100) ?? typeof value
  const limits = LIMITS[name]?.(machine)
  throw invalid(`${name} cannot be ${shown}: it is ${WORDS[name].form}${limits ? `; ${limits}` : ''}.`)
}

const meaning = (name: WordName, value: WordValue, machine: Machine): Partial<OwnerSettings> | undefined =>
  (WORDS[name] as Word).read(value, machine)

const LIMITS: { [name in WordName]?: (machine: Machine) => string } = {
  cpu: ({ cores }) => `this machine has ${cores} ${cores === 1 ? 'core' : 'cores'}`,
  memory: ({ memoryBytes }) => `this machine has ${(memoryBytes / 2 ** 30).toFixed(1)} GiB`,
}

/** One setting as a command has it: `cpu=40%`; nothing behind the sign means the default. @throws PinGoError SETTINGS_INVALID */
export function readAssignment(text: string, machine: Machine): [WordName, WordValue | null] {
  const at = text.indexOf('=')
  if (at < 1) throw invalid(`'${text.slice(0, 100)}' is no setting: write WORD=VALUE such as cpu=40%.`)
  const name = wordName(text.slice(0, at))
  const value = text.slice(at + 1).trim()
  return [name, value === '' || value === 'default' ? null : readWord(name, value, machine)]
}

/** @throws PinGoError SETTINGS_INVALID for an unknown word, with the nearest known one */
export function wordName(key: string): WordName {
  const name =
    OLD_NAMES.get(key) ?? WORD_NAMES.find((each) => each.toLowerCase() === key.replace(/[-_]/g, '').toLowerCase())
  if (name) return name
  const nearest = WORD_NAMES.map((each) => ({ each, steps: distance(each.toLowerCase(), key.toLowerCase()) })).sort(
    (a, b) => a.steps - b.steps,
  )[0]!
  throw invalid(
    `There is no setting '${key.slice(0, 100)}'.`,
    nearest.steps <= Math.max(2, nearest.each.length / 3)
      ? `Did you mean ${nearest.each}?`
      : `There are: ${WORD_NAMES.join(', ')}.`,
  )
}

/** Words as an owner's whole settings, what was not said by default. @throws PinGoError SETTINGS_INVALID */
export function resolveSettings(words: Words, machine: Machine): OwnerSettings {
  const settings = defaultSettings(machine)
  for (const name of WORD_NAMES) {
    const value = words[name]
    if (value === undefined) continue
    readWord(name, value, machine)
    Object.assign(settings, meaning(name, value, machine))
  }
  return settings
}

/** A core and 30 % of the free memory stay the owner's. */
export function defaultSettings(machine: Machine): OwnerSettings {
  const free = Math.min(machine.memoryBytes, machine.freeMemoryBytes)
  return {
    name: machine.name,
    cores: machine.cores >= 2 ? machine.cores - 1 : machine.cores / 2,
    memoryBytes: Math.max(LEAST_MEMORY_BYTES, wholeMib(free * MEMORY_SHARE)),
    diskBytes: Math.max(LEAST_DISK_BYTES, Math.min(DEFAULT_DISK_BYTES, wholeMib(machine.freeDiskBytes / 2))),
    keepFreeBytes: DEFAULT_KEEP_FREE_BYTES,
    slices: 0,
    when: 'idle',
    pauseAtShare: PAUSE_AT_SHARE,
    inputIdleMs: 0,
    schedule: [],
    onBattery: false,
    leastBatteryShare: 0,
    maxTemperatureC: DEFAULT_MAX_TEMPERATURE_C,
    onMetered: false,
    bytesPerSecond: 0,
    monthlyBytes: 0,
    applications: [],
    isolation: 'auto',
  }
}

/** Defaults are round, so that they read well. */
const wholeMib = (bytes: number): number => Math.floor(bytes / 2 ** 20) * 2 ** 20

/** Whole settings in words; `resolveSettings` gives them back. */
export const printSettings = (settings: OwnerSettings): Required<Words> =>
  Object.fromEntries(WORD_NAMES.map((name) => [name, (WORDS[name] as Word).print(settings)])) as Required<Words>

/** Settings as the control API tells them. */
export const settingsView = (
  said: Words,
  machine: Machine,
  o: { file: string; trouble?: string | undefined },
): SettingsView => ({
  said: { ...said } as SettingsView['said'],
  settings: printSettings(resolveSettings(said, machine)),
  machine: { cores: machine.cores, memoryBytes: machine.memoryBytes, freeDiskBytes: machine.freeDiskBytes },
  file: o.file,
  ...(o.trouble === undefined ? {} : { trouble: o.trouble }),
})

/** A word's value on one line, as a command takes it. */
export const wordText = (value: WordValue): string =>
  Array.isArray(value) ? value.join(',') || 'none' : value === true ? 'yes' : value === false ? 'no' : String(value)

const invalid = (message: string, hint?: string): PinGoError => new PinGoError('SETTINGS_INVALID', message, { hint })
export const isInvalidSettings = (error: unknown): error is PinGoError => isPinGoError(error, 'SETTINGS_INVALID')

/** Edits between two words (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}
