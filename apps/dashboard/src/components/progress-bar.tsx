import type { JobView } from '@pingo/wire'
import { progress } from '../core/format.ts'

/** How far a job is: what is committed, and paler what contributors have trained but not handed in. */
export function ProgressBar({ job }: { job: JobView }) {
  const part = (samples: number) => (job.samplesTotal > 0 ? Math.min(100, (samples / job.samplesTotal) * 100) : 0)
  const done = part(job.samplesDone)
  const flight = part(job.samplesDone + job.samplesInFlight)
  return (
    <div
      className="bar"
      data-state={job.state}
      role="progressbar"
      aria-label={`Progress of ${job.name}`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.floor(done)}
      aria-valuetext={progress(job.samplesDone, job.samplesTotal)}
    >
      <span className="bar-flight" style={{ width: `${flight}%` }} />
      <span className="bar-done" style={{ width: `${done}%` }} />
    </div>
  )
}
