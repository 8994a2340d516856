import type { DatasetView, JobView } from '@pingo/wire'
import { compact, dateTime, lossLabel, whole } from '../core/format.ts'
import { Identifier } from './identifier.tsx'
import { StateChip } from './state-chip.tsx'

/** Which job this is. */
export function JobHead({ job, dataset }: { job: JobView; dataset: DatasetView | undefined }) {
  return (
    <div className="job-head">
      <div className="job-title">
        <h1 title={job.name}>{job.name}</h1>
        <StateChip state={job.state} />
      </div>
      <p className="facts">
        <Identifier id={job.id} what="job id" head={12} tail={6} />
        <span>submitted {dateTime(job.submittedAt)}</span>
        <span>{compact(job.parameters)} parameters</span>
        {dataset && (
          <span>
            {dataset.name}, {whole(dataset.samples)} samples
          </span>
        )}
        <span>{lossLabel(job.lossName)}</span>
        <span>batch {whole(job.batch)}</span>
      </p>
    </div>
  )
}
