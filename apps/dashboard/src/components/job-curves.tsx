import type { JobView, RoundView } from '@pingo/wire'
import { useMemo, useState } from 'react'
import { isShare, lossLabel, loss as lossText, metricLabel, percent } from '../core/format.ts'
import { isFinal } from '../core/job-state.ts'
import { type Axis, curves } from '../core/series.ts'
import { AxisSwitch } from './axis-switch.tsx'
import { CurveChart } from './curve-chart.tsx'
import { Section } from './section.tsx'

interface Props {
  job: JobView
  rounds: readonly RoundView[]
  theme: 'light' | 'dark'
}

/** Loss and metric over the job, one point a round; both charts share their cursor. A metric that is the loss has no chart of its own. */
export function JobCurves({ job, rounds, theme }: Props) {
  const [axis, setAxis] = useState<Axis>('samples')
  const { metricName } = job
  const startedAt = job.startedAt ?? job.submittedAt
  const loss = useMemo(() => curves(rounds, 'loss', axis, startedAt), [rounds, axis, startedAt])
  const metric = useMemo(() => curves(rounds, 'metric', axis, startedAt), [rounds, axis, startedAt])
  // A job that ended before its first round has no curve, now or later.
  if (rounds.length === 0 && isFinal(job.state)) return null
  const shared = { axis, theme, group: job.id }
  return (
    <Section title="Curves" aside={<AxisSwitch axis={axis} choose={setAxis} />}>
      <div className="charts">
        <CurveChart
          {...shared}
          title={`Loss (${lossLabel(job.lossName)})`}
          data={loss}
          kind="number"
          format={lossText}
        />
        {metricName !== 'loss' && (
          <CurveChart
            {...shared}
            title={metricLabel(metricName)}
            data={metric}
            kind={isShare(metricName) ? 'fraction' : 'number'}
            format={isShare(metricName) ? shareText : lossText}
          />
        )}
      </div>
    </Section>
  )
}

const shareText = (value: number | undefined): string => percent(value, 2)
