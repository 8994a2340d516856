import uPlot from 'uplot'
import { compact } from './format.ts'
import type { Axis, Curves } from './series.ts'

/** 'fraction' is shown in per cent and never reaches beyond 100 %. */
export type YKind = 'number' | 'fraction'

export interface PlotSettings {
  axis: Axis
  kind: YKind
  group: string
  data: Curves
  /** Index of the point under the cursor. */
  onCursor(index: number | undefined): void
}

const AXIS_SIZE_PX = 30
const Y_AXIS_SIZE_PX = 52
const TICK_SPACE_X_PX = 76
const TICK_SPACE_Y_PX = 40
/** Steps that read well on a clock: seconds up to days. */
const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]

/** Seconds as m:ss or h:mm:ss, for an axis. */
export function clockText(seconds: number): string {
  const two = (value: number) => value.toString().padStart(2, '0')
  const whole = Math.round(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** An x value in words. */
export const xText = (axis: Axis, x: number): string => (axis === 'samples' ? `${compact(x)} samples` : clockText(x))

/** A canvas knows no custom properties: lets the element resolve one. */
function colour(element: HTMLElement, property: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(${property})`
  element.append(probe)
  const resolved = getComputedStyle(probe).color
  probe.remove()
  return resolved
}

/** Some room above and below; a fraction stays within 0 … 1. */
function yRange(kind: YKind, min: number | null, max: number | null): uPlot.Range.MinMax {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1]
  const room = max > min ? (max - min) * 0.08 : Math.abs(max) * 0.1 || 0.1
  const low = min >= 0 ? Math.max(0, min - room) : min - room
  return [low, kind === 'fraction' ? Math.min(1, max + room) : max + room]
}

/** As many digits as the distance of two ticks asks for. */
function yText(kind: YKind, splits: number[]): string[] {
  const scale = kind === 'fraction' ? 100 : 1
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0)) * scale
  const digits = step > 0 ? Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9))) : 0
  return splits.map((value) =>
    Math.abs(value) >= 10_000 ? compact(value) : `${(value * scale).toFixed(digits)}${kind === 'fraction' ? ' %' : ''}`,
  )
}

/** Draws the curves into `element`, which must have a size. The caller destroys the plot. */
export function createPlot(element: HTMLElement, { axis, kind, group, data, onCursor }: PlotSettings): uPlot {
  const ink = colour(element, '--ink-3')
  const grid = colour(element, '--line')
  const train = colour(element, '--train')
  const test = colour(element, '--accent')
  const surface = colour(element, '--surface')
  const font = `11px ${getComputedStyle(element).fontFamily}`
  const line = { stroke: ink, font, ticks: { show: false }, grid: { stroke: grid, width: 1 } }
  return new uPlot(
    {
      width: element.clientWidth,
      height: element.clientHeight,
      padding: [8, 12, 0, 0],
      legend: { show: false },
      cursor: {
        sync: { key: group, setSeries: false },
        drag: { x: false, y: false },
        points: { size: 7, width: 2, fill: surface, stroke: (_, series) => (series === 1 ? train : test) },
      },
      scales: { x: { time: false }, y: { range: (_, min, max) => yRange(kind, min, max) } },
      axes: [
        {
          ...line,
          grid: { show: false },
          size: AXIS_SIZE_PX,
          space: TICK_SPACE_X_PX,
          ...(axis === 'time' ? { incrs: TIME_STEPS_S } : {}),
          values: (_, splits) => splits.map((value) => (axis === 'samples' ? compact(value) : clockText(value))),
        },
        { ...line, size: Y_AXIS_SIZE_PX, space: TICK_SPACE_Y_PX, values: (_, splits) => yText(kind, splits) },
      ],
      series: [
        {},
        { label: 'training', stroke: train, width: 1.5, points: { show: pointsShown, size: 4, fill: train } },
        { label: 'test', stroke: test, width: 2, spanGaps: true, points: { show: pointsShown, size: 5, fill: test } },
      ],
      hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? undefined)] },
    },
    [data.x, data.train, data.test],
    element,
  )
}

/** Single points are drawn while a curve has too few of them to be one. */
const MAX_MARKED_POINTS = 12
const pointsShown = (plot: uPlot): boolean => (plot.data[0]?.length ?? 0) <= MAX_MARKED_POINTS
