import type { JobView, RoundView } from '@pingo/wire'
import {
  calmDuration,
  duration,
  loss,
  metric,
  metricLabel,
  plural,
  rate,
  speed,
  testLabel,
  whole,
} from '../core/format.ts'
import { isFinal } from '../core/job-state.ts'
import { Sparkline } from './sparkline.tsx'
import { Stat } from './stat.tsx'

/** Rounds in the speed's sparkline. */
const SPARK_ROUNDS = 120

/** The job's numbers: on test data first, where there is any. */
export function JobStats({ job, rounds, now }: { job: JobView; rounds: readonly RoundView[]; now: number }) {
  const tested = job.testMetric !== undefined
  const speeds = rounds.slice(-SPARK_ROUNDS).map((round) => round.samplesPerSecond)
  const from = job.startedAt
  const elapsed = from === undefined ? undefined : Math.max(0, (job.endedAt ?? now) - from)
  return (
    <dl className="panel stats" aria-label="Numbers of the job">
      {job.metricName === 'loss' ? (
        <>
          <Stat label="Training loss" value={loss(job.loss)} note="last round" />
          <Stat
            label="Test loss"
            value={loss(job.testLoss)}
            note={job.test === undefined ? 'no test data' : tested ? 'on test data' : 'not measured yet'}
          />
        </>
      ) : (
        <>
          <Stat
            label={tested ? testLabel(job.metricName) : metricLabel(job.metricName)}
            value={metric(job.metricName, job.testMetric ?? job.metric)}
            note={tested ? `training ${metric(job.metricName, job.metric)}` : 'on training data'}
          />
          <Stat
            label={job.testLoss === undefined ? 'Loss' : 'Test loss'}
            value={loss(job.testLoss ?? job.loss)}
            note={job.testLoss === undefined ? 'on training data' : `training ${loss(job.loss)}`}
          />
        </>
      )}
      <Stat
        label={isFinal(job.state) ? 'Speed' : 'Speed now'}
        value={speed(job.samplesPerSecond)}
        unit="samples/s"
        note={speeds.length > 1 ? `last ${plural(speeds.length, 'round')}` : undefined}
      >
        <Sparkline values={speeds} label={`Samples per second by round, last ${rate(speeds.at(-1))}`} />
      </Stat>
      <Stat
        label="Contributors"
        value={whole(isFinal(job.state) ? job.shares.length : job.contributors)}
        note={
          isFinal(job.state)
            ? 'took part'
            : job.shares.length === 0
              ? 'none yet'
              : `${whole(job.shares.length)} took part`
        }
      />
      <Stat
        label={isFinal(job.state) ? 'Training time' : 'Running for'}
        value={calmDuration(elapsed)}
        note={from === undefined ? 'not started' : `in queue ${duration(from - job.submittedAt)}`}
      />
    </dl>
  )
}
