import type { JobView } from '@pingo/wire'
import { dateTime, duration, left, loss, metric, metricLabel, progress, rate, whole } from '../core/format.ts'
import { isFinal } from '../core/job-state.ts'
import { jobHref } from '../core/route.ts'
import { ProgressBar } from './progress-bar.tsx'
import { StateChip } from './state-chip.tsx'

/** What is next for the job, or how it ended. */
function outlook(job: JobView): string {
  if (job.state === 'done' && job.startedAt !== undefined && job.endedAt !== undefined)
    return `took ${duration(job.endedAt - job.startedAt)}`
  if (isFinal(job.state)) return job.endedAt === undefined ? '' : dateTime(job.endedAt)
  if (job.state === 'queued') return 'waiting'
  if (job.state === 'finishing') return 'writing the result'
  return job.etaMs === undefined ? '' : left(job.etaMs)
}

/** One job in the list: the whole row leads to its page. */
export function JobRow({ job }: { job: JobView }) {
  const tested = job.testMetric !== undefined
  return (
    <li>
      <a
        className="job-row"
        href={jobHref(job.id)}
        aria-label={`${job.name}, ${job.state}, ${progress(job.samplesDone, job.samplesTotal)} ${outlook(job)}`}
      >
        <span className="job-name">
          <strong>{job.name}</strong>
          <span className="muted">
            {job.state === 'queued' || job.state === 'failed' || job.state === 'stopped'
              ? (job.reason ?? dateTime(job.submittedAt))
              : dateTime(job.submittedAt)}
          </span>
        </span>
        <StateChip state={job.state} />
        <span className="job-progress">
          <ProgressBar job={job} />
          <span className="job-progress-words">
            <span>{progress(job.samplesDone, job.samplesTotal)}</span>
            <span className="muted">{outlook(job)}</span>
          </span>
        </span>
        <span className="job-figure">
          <span className="figure-label">Loss</span>
          <span>{loss(job.testLoss ?? job.loss)}</span>
        </span>
        <span className="job-figure">
          {job.metricName !== 'loss' && (
            <>
              <span className="figure-label">{metricLabel(job.metricName)}</span>
              <span title={tested ? 'on the test data' : 'on the training data'}>
                {metric(job.metricName, job.testMetric ?? job.metric)}
              </span>
            </>
          )}
        </span>
        <span className="job-figure">
          <span className="figure-label">{isFinal(job.state) ? 'Samples' : 'Speed'}</span>
          <span>{isFinal(job.state) ? whole(job.samplesDone) : rate(job.samplesPerSecond)}</span>
        </span>
      </a>
    </li>
  )
}
