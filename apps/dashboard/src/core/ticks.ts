import { compact } from './format.ts'
import type { Axis } from './series.ts'

/** 'fraction' is shown in per cent and never reaches beyond 100 %. */
export type YKind = 'number' | 'fraction'

const MAX_DIGITS = 8
/** From here on an axis counts in thousands and millions. */
const COMPACT_FROM = 10_000

/** Seconds as m:ss or h:mm:ss. */
export function clockText(seconds: number): string {
  const two = (value: number) => value.toString().padStart(2, '0')
  const whole = Math.round(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** An x value on its axis. */
export const xTick = (axis: Axis, x: number): string => (axis === 'samples' ? compact(x) : clockText(x))

/** An x value in words. */
export const xText = (axis: Axis, x: number): string => (axis === 'samples' ? `${compact(x)} samples` : clockText(x))

/** The span of a y axis: some room above and below the values; a fraction stays within 0 … 1. */
export function yRange(kind: YKind, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1]
  const room = max > min ? (max - min) * 0.08 : Math.abs(max) * 0.1 || 0.1
  const low = min >= 0 ? Math.max(0, min - room) : min - room
  return [low, kind === 'fraction' ? Math.max(low + Number.EPSILON, Math.min(1, max + room)) : max + room]
}

/** Labels of evenly spaced y values, with as many digits as tell two of them apart exactly. */
export function yTicks(kind: YKind, values: readonly number[]): string[] {
  const scale = kind === 'fraction' ? 100 : 1
  const digits = digitsOf(Math.abs((values[1] ?? 1) - (values[0] ?? 0)) * scale)
  return values.map((value) =>
    Math.abs(value) >= COMPACT_FROM
      ? compact(value)
      : `${(value * scale).toFixed(digits)}${kind === 'fraction' ? '\u00a0%' : ''}`,
  )
}

/** Digits after the point that print `step` exactly: 0.25 has 2. */
function digitsOf(step: number): number {
  for (let digits = 0; digits < MAX_DIGITS; digits++) {
    const scaled = step * 10 ** digits
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * Math.max(1, scaled) && Math.round(scaled) > 0) return digits
  }
  return MAX_DIGITS
}
