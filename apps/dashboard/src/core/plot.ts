import uPlot from 'uplot'
import type { Axis, Curves } from './series.ts'
import { xTick, type YKind, yRange, yTicks } from './ticks.ts'

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
const TICK_SPACE_Y_PX = 32
/** Steps that read well on a clock: seconds up to days. */
const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]

/** A canvas knows no custom properties: lets the element resolve one. */
function colour(element: HTMLElement, property: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(${property})`
  element.append(probe)
  const resolved = getComputedStyle(probe).color
  probe.remove()
  return resolved
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
          values: (_, splits) => splits.map((value) => xTick(axis, value)),
        },
        { ...line, size: Y_AXIS_SIZE_PX, space: TICK_SPACE_Y_PX, values: (_, splits) => yTicks(kind, splits) },
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
