import type { JobView } from '@pingo/wire'
import { compact, duration, left, plural, progress, whole } from '../core/format.ts'
import { ProgressBar } from './progress-bar.tsx'

/** How far it is and how long it takes. */
export function JobProgress({ job }: { job: JobView }) {
  return (
    <div className="panel job-bar">
      <div className="job-bar-line">
        <span className="job-bar-percent">{progress(job.samplesDone, job.samplesTotal)}</span>
        <span className="job-bar-outlook">{outlook(job)}</span>
      </div>
      <ProgressBar job={job} />
      <div className="job-bar-line muted">
        <span>
          {whole(job.samplesDone)} of {whole(job.samplesTotal)} samples
          {job.samplesInFlight > 0 && <>, {compact(job.samplesInFlight)} more in flight</>}
        </span>
        <span>
          {epochs(job)} · {plural(job.rounds, 'round')}
        </span>
      </div>
    </div>
  )
}

function outlook(job: JobView): string {
  switch (job.state) {
    case 'queued':
      return 'Waiting'
    case 'running':
      return job.etaMs === undefined ? 'Measuring the speed' : left(job.etaMs)
    case 'finishing':
      return 'Writing the result'
    case 'done':
    case 'failed':
    case 'stopped': {
      const end = job.state === 'done' ? 'Done' : job.state === 'failed' ? 'Failed' : 'Stopped'
      const from = job.startedAt ?? job.submittedAt
      return job.endedAt === undefined ? end : `${end} after ${duration(job.endedAt - from)}`
    }
  }
}

function epochs(job: JobView): string {
  if (job.state === 'done') return plural(Number(job.epochs.toFixed(2)), 'epoch')
  const done = job.samplesTotal > 0 ? (job.samplesDone / job.samplesTotal) * job.epochs : 0
  const total = Number(job.epochs.toFixed(2))
  return `epoch ${Math.min(total, Math.floor(done * 10) / 10).toFixed(1)} of ${total}`
}
