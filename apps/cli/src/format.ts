import type { MetricValues } from '@pingo/wire'

/** Numbers for people: the same form wherever the command prints them. */

const SUFFIXES = ['', ' k', ' M', ' G', ' T']

/** 950, 12.4 k, 3.10 M. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return '–'
  let scaled = value
  let suffix = 0
  while (Math.abs(scaled) >= 999.5 && suffix < SUFFIXES.length - 1) {
    scaled /= 1000
    suffix++
  }
  if (suffix === 0) return Number.isInteger(value) ? String(value) : scaled.toFixed(scaled < 10 ? 1 : 0)
  return `${scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)}${SUFFIXES[suffix]}`
}

/** 1,234,567. */
export const whole = (value: number): string => Math.round(value).toLocaleString('en-US')

/** 512 B, 1.5 MiB. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let scaled = value
  let unit = 0
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1024
    unit++
  }
  return `${unit === 0 ? scaled : scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[unit]}`
}

/** 0.4 s, 12 s, 3 min 20 s, 2 h 05 min, 3 d 4 h. */
export function duration(ms: number): string {
  const seconds = ms / 1000
  if (!Number.isFinite(seconds)) return '–'
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const s = Math.round(seconds)
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`
  const minutes = Math.round(s / 60)
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
  const hours = Math.round(s / 3600)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** A loss or another small number: four significant digits. */
export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2)
  return value.toFixed(size < 10 ? 4 : size < 1000 ? 2 : 0)
}

/** Shares of right predictions in %, the others as numbers. */
export function metric(name: string, value: number | undefined): string {
  if (value === undefined) return '–'
  return name === 'accuracy' || /^top\d+$/.test(name) ? `${(value * 100).toFixed(2)} %` : figure(value)
}

const METRIC_NAMES: Record<string, string> = {
  accuracy: 'accuracy',
  perplexity: 'perplexity',
  f1: 'F1',
  f1_macro: 'F1 (macro)',
  auc: 'AUC',
  mae: 'MAE',
  r2: 'R²',
}

/** A metric as the field calls it: f1_macro → F1 (macro), top5 → top-5. */
export const metricName = (name: string): string => METRIC_NAMES[name] ?? name.replace(/^top(?=\d+$)/, 'top-')

/** Metrics by name as one line: accuracy 98.10 %, F1 (macro) 0.9805. */
export const metrics = (values: MetricValues): string =>
  Object.entries(values)
    .map(([name, value]) => `${metricName(name)} ${metric(name, value)}`)
    .join(', ')

/** A time of day or, for another day, the date and the time; local. */
export function time(at: number, now = Date.now()): string {
  const [a, b] = [new Date(at), new Date(now)]
  const two = (n: number) => String(n).padStart(2, '0')
  const clock = `${two(a.getHours())}:${two(a.getMinutes())}:${two(a.getSeconds())}`
  return a.toDateString() === b.toDateString()
    ? clock
    : `${a.getFullYear()}-${two(a.getMonth() + 1)}-${two(a.getDate())} ${clock}`
}

/** The last part of an id, as it is shown in tables. */
export const shortId = (id: string): string => (id.length > 12 ? `…${id.slice(-8)}` : id)

/** A stranger's text on one line: what would steer a terminal is shown as a sign of its own. */
export const strangers = (text: string, longest = 80): string => {
  const plain = text.replace(/\p{C}/gu, '\u{fffd}')
  return plain.length > longest ? `${plain.slice(0, longest - 1)}…` : plain
}
