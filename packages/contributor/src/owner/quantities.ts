/** Quantities as owners write them in settings: each `parse…` gives undefined for what it does not know, each `print…` gives what `parse…` takes back exactly. */

const BYTES: [unit: string, bytes: number][] = [
  ['Ti', 2 ** 40],
  ['Gi', 2 ** 30],
  ['Mi', 2 ** 20],
  ['Ki', 2 ** 10],
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
]
const TIMES: [unit: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
]
const NUMBER = String.raw`(\d{1,16}(?:\.\d{1,6})?)`
const SIZE = new RegExp(`^${NUMBER} ?(?:(Ki|Mi|Gi|Ti|k|K|M|G|T)(?:B|bytes)?|B|bytes)?$`)
const RATE = new RegExp(`^${NUMBER} ?(Ki|Mi|Gi|k|K|M|G)?(B|bit|b)(?:/s|ps)$`)
const TIME = new RegExp(`^${NUMBER} ?(ms|s|sec|m|min|h|d)$`)
const PERCENT = new RegExp(`^${NUMBER} ?%$`)
const FACTORS: Record<string, number> = {
  '': 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
}
/** Shares are kept to a ten-thousandth of a percent. */
const SHARE_STEPS = 1e6

/** '2Gi', '20GB', '512 MiB', '4096' in bytes. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text)
  if (!match) return undefined
  const bytes = Math.round(Number(match[1]) * FACTORS[match[2] ?? '']!)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

export const printSize = (bytes: number): string => inShortest(bytes, BYTES)

/** In the unit that makes the shortest exact number; bytes have none. */
function inShortest(n: number, units: [unit: string, size: number][]): string {
  const exact = units.filter(([, size]) => n >= size && n % size === 0).sort((a, b) => b[1] - a[1])[0]
  return exact ? `${n / exact[1]}${exact[0]}` : String(n)
}

/** '2MB/s', '16Mbit/s' in bytes per second. */
export function parseRate(text: string): number | undefined {
  const match = RATE.exec(text)
  if (!match) return undefined
  return Math.round((Number(match[1]) * FACTORS[match[2] ?? '']!) / (match[3] === 'B' ? 1 : 8))
}

export function printRate(bytesPerSecond: number): string {
  const text = inShortest(
    bytesPerSecond,
    BYTES.filter(([unit]) => unit.endsWith('B')),
  )
  return `${text}${text.endsWith('B') ? '' : 'B'}/s`
}

/** '3min', '90s', '1.5h' in ms. */
export function parseTime(text: string): number | undefined {
  const match = TIME.exec(text)
  if (!match) return undefined
  const unit = match[2] === 'm' ? 'min' : match[2] === 'sec' ? 's' : match[2]
  return Math.round(Number(match[1]) * TIMES.find(([name]) => name === unit)![1])
}

export function printTime(ms: number): string {
  const [unit, size] = TIMES.find(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}

/** '25%' as 0.25. */
export function parsePercent(text: string): number | undefined {
  const match = PERCENT.exec(text)
  return match ? Math.round((Number(match[1]) / 100) * SHARE_STEPS) / SHARE_STEPS : undefined
}

export const printPercent = (share: number): string => `${Math.round(share * SHARE_STEPS) / (SHARE_STEPS / 100)}%`
