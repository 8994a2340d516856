import { useEffect, useRef, useState } from 'react'
import type uPlot from 'uplot'
import { createPlot } from '../core/plot.ts'
import type { Axis, Curves } from '../core/series.ts'
import { xText, type YKind } from '../core/ticks.ts'

interface Props {
  title: string
  data: Curves
  axis: Axis
  kind: YKind
  theme: 'light' | 'dark'
  /** Charts of one group show their cursors at the same x. */
  group: string
  format: (value: number | undefined) => string
}

const lastOf = (values: readonly (number | null)[]): number | undefined =>
  values.findLast((value) => value !== null) ?? undefined

/** Train and test curve of one quantity. The legend shows the values under the cursor, else the latest. */
export function CurveChart({ title, data, axis, kind, theme, group, format }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const latest = useRef(data)
  const [cursor, setCursor] = useState<number>()
  latest.current = data

  // Dependencies: canvas colours are read from the theme when the chart is made.
  useEffect(() => {
    const element = place.current
    if (!element) return
    const made = createPlot(element, { axis, kind, group, data: latest.current, onCursor: setCursor })
    plot.current = made
    const observer = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: element.clientHeight }),
    )
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = undefined
    }
  }, [axis, kind, group, theme])

  useEffect(() => {
    plot.current?.setData([data.x, data.train, data.test])
  }, [data])

  const hasTest = data.test.some((value) => value !== null)
  const at = cursor === undefined ? undefined : data.x[cursor]
  const train = cursor === undefined ? lastOf(data.train) : (data.train[cursor] ?? undefined)
  const test = cursor === undefined ? lastOf(data.test) : (data.test[cursor] ?? undefined)
  return (
    <figure className="panel chart" data-empty={data.x.length === 0}>
      <figcaption>
        <span className="chart-title">{title}</span>
        <span className="chart-legend">
          <span className="chart-at muted">{at === undefined ? '' : xText(axis, at)}</span>
          {data.x.length > 0 && (
            <span className="key" data-series="train">
              training <b>{format(train)}</b>
            </span>
          )}
          {hasTest && (
            <span className="key" data-series="test">
              test <b>{format(test)}</b>
            </span>
          )}
        </span>
      </figcaption>
      <div
        className="chart-place"
        ref={place}
        role="img"
        aria-label={`${title} by round: ${data.x.length} points, training ${format(lastOf(data.train))}${hasTest ? `, test ${format(lastOf(data.test))}` : ''} at the end. The rounds table below has every value.`}
      />
      {data.x.length === 0 && (
        <p className="chart-empty muted">The first point comes with the first committed round.</p>
      )}
    </figure>
  )
}
