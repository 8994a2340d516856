/** Numbers as people read them. All functions are total: what is absent or not finite becomes {@link NONE}. */

export const NONE = '–'
/** Keeps a number and its unit on one line. */
const NBSP = '\u00a0'

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const THOUSANDS = ['', 'k', 'M', 'G', 'T', 'P']

const isNumber = (value: number | undefined | null): value is number =>
  value !== undefined && value !== null && Number.isFinite(value)

/** Three significant figures, as in 8.90, 12.4, 987. */
function figures(value: number): string {
  const size = Math.abs(value)
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2)
}

/** Three significant figures at most, no needless zeros: 0.5, 12.4, 987. */
const short = (value: number): string => Number(figures(value)).toString()

function scaled(value: number, steps: readonly string[], base: number, print = short): string {
  let step = 0
  let rest = value
  // 999.6 would print as "1000": it belongs to the next unit.
  while (Math.abs(rest) >= base - 0.5 && step < steps.length - 1) {
    rest /= base
    step++
  }
  const unit = steps[step]
  return unit ? `${print(rest)}${NBSP}${unit}` : short(rest)
}

/** 950 → "950", 12 400 → "12.4 k", 3 100 000 → "3.1 M". */
export function compact(value: number | undefined): string {
  return isNumber(value) ? scaled(value, THOUSANDS, 1000) : NONE
}

/** As {@link compact}, for a number that moves: always three figures, so that its width stays. 8 900 → "8.90 k". */
export function speed(value: number | undefined): string {
  return isNumber(value) ? scaled(value < 99.95 ? value : Math.round(value), THOUSANDS, 1000, figures) : NONE
}

/** A count in full, thousands apart by a narrow space: 60 000. */
export function whole(value: number | undefined): string {
  return isNumber(value)
    ? Math.round(value)
        .toString()
        .replace(/\B(?=(\d{3})+$)/g, '\u202f')
    : NONE
}

/** Bytes in binary units: 1 536 → "1.5 KiB". */
export function bytes(value: number | undefined): string {
  return isNumber(value) ? scaled(value, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'], 1024) : NONE
}

/** 12 400 → "12.4 k samples/s". */
export function rate(value: number | undefined): string {
  return isNumber(value) ? `${speed(value)}${NBSP}samples/s` : NONE
}

/** A length of time, its two largest units: 80 000 ms → "1 min 20 s"; short ones finer: "4.0 s", "420 ms". */
export function duration(ms: number | undefined): string {
  if (!isNumber(ms)) return NONE
  const time = Math.max(0, ms)
  if (time < 999.5) return `${Math.round(time)}${NBSP}ms`
  if (time < 9_950) return `${(time / SECOND_MS).toFixed(1)}${NBSP}s`
  const seconds = Math.round(time / SECOND_MS) * SECOND_MS
  if (seconds < MINUTE_MS) return `${seconds / SECOND_MS}${NBSP}s`
  if (seconds < HOUR_MS) return two(seconds, MINUTE_MS, 'min', SECOND_MS, 's')
  // Rounded to the unit shown, so that 59 min 59.9 s is never followed by "60".
  const minutes = Math.round(time / MINUTE_MS) * MINUTE_MS
  if (minutes < DAY_MS) return two(minutes, HOUR_MS, 'h', MINUTE_MS, 'min')
  return two(Math.round(time / HOUR_MS) * HOUR_MS, DAY_MS, 'd', HOUR_MS, 'h')
}

function two(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.round((ms % large) / small)
  const head = `${Math.floor(ms / large)}${NBSP}${largeUnit}`
  return rest === 0 ? head : `${head}${NBSP}${rest}${NBSP}${smallUnit}`
}

/** As {@link duration}, in whole seconds: for times that run while one looks at them. */
export function calmDuration(ms: number | undefined): string {
  if (!isNumber(ms)) return NONE
  const seconds = Math.round(Math.max(0, ms) / SECOND_MS)
  return seconds < 10 ? `${seconds}${NBSP}s` : duration(seconds * SECOND_MS)
}

/** How long ago: "now", "12 s ago". */
export function ago(ms: number | undefined): string {
  if (!isNumber(ms)) return NONE
  return ms < 3 * SECOND_MS ? 'now' : `${calmDuration(ms)} ago`
}

/** What is left of a job: "1 min 20 s left"; the last second is not counted down. */
export function left(ms: number | undefined): string {
  if (!isNumber(ms)) return NONE
  return ms < SECOND_MS ? 'almost done' : `${calmDuration(ms)} left`
}

/** A fraction as per cent: 0.987 → "98.7 %". `digits` after the point. */
export function percent(fraction: number | undefined, digits = 1): string {
  const value = (fraction ?? Number.NaN) * 100
  return isNumber(value) ? `${value.toFixed(digits)}${NBSP}%` : NONE
}

/** Progress never claims to be whole before it is: 0.9999 → "99.9 %". */
export function progress(done: number, total: number): string {
  const fraction = total > 0 ? Math.min(1, done / total) : 0
  if (fraction === 0) return `0${NBSP}%`
  if (fraction === 1) return `100${NBSP}%`
  return percent(Math.floor(fraction * 1000) / 1000)
}

/** A loss: enough figures to see it move, at any size. */
export function loss(value: number | undefined): string {
  if (!isNumber(value)) return NONE
  const size = Math.abs(value)
  if (size !== 0 && size < 0.0001) return value.toExponential(1).replace('e-', `${NBSP}e−`)
  if (size >= 10_000) return compact(value)
  return size >= 100 ? value.toFixed(1) : size >= 10 ? value.toFixed(2) : value.toFixed(4)
}

/** Whether a metric is a share of right predictions, which is told in per cent. */
export const isShare = (name: string): boolean => name === 'accuracy' || /^top\d+$/.test(name)

/** Shares of right predictions in per cent with two digits; the others as numbers. */
export function metric(name: string, value: number | undefined): string {
  return isShare(name) ? percent(value, 2) : loss(value)
}

const METRIC_LABELS: Record<string, string> = {
  accuracy: 'Accuracy',
  perplexity: 'Perplexity',
  f1: 'F1',
  f1_macro: 'F1 (macro)',
  auc: 'AUC',
  mae: 'MAE',
  r2: 'R²',
  loss: 'Loss',
}

/** What the metric is called on the page, as the field calls it: f1_macro → "F1 (macro)", top5 → "Top-5". */
export const metricLabel = (name: string): string => METRIC_LABELS[name] ?? name.replace(/^top(?=\d+$)/, 'Top-')

/** … and behind another word: "Test accuracy", "Test MAE". */
export const testLabel = (name: string): string =>
  `Test ${metricLabel(name).replace(/^\p{Lu}(?=\p{Ll})/u, (letter) => letter.toLowerCase())}`

/** What the loss is called on the page: cross_entropy → "cross entropy". */
export const lossLabel = (name: string): string =>
  name === 'output' ? "the model's own" : name.replaceAll(/[_-]+/g, ' ')

/** Cores as lent: 0.25, 2, 3.5. */
export function cores(value: number | undefined): string {
  return isNumber(value) ? short(value) : NONE
}

/** The head and the tail of an identifier: peer ids share their head, CIDs too, so the tail is what tells them apart. */
export function shortId(id: string, head = 6, tail = 6): string {
  return id.length <= head + tail + 1 ? id : `${id.slice(0, head)}…${id.slice(-tail)}`
}

/** "1 round", "2 rounds". */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${Number.isInteger(count) ? whole(count) : short(count)}${NBSP}${count === 1 ? one : many}`
}

/** Time of day in the reader's zone, 24 h: 14:03:09. */
export function clock(at: number): string {
  return new Date(at).toTimeString().slice(0, 8)
}

/** Day and time in the reader's zone: 2026-03-09 14:03. */
export function dateTime(at: number): string {
  const date = new Date(at)
  const two = (value: number) => value.toString().padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`
}
