import type { DatasetView, JobView } from '@pingo/wire'
import { compact, dateTime, lossLabel, whole } from '../core/format.ts'
import { Identifier } from './identifier.tsx'
import { StateChip } from './state-chip.tsx'

/** How it trains. */
function Recipe({ job: { training, lossName, batch } }: { job: JobView }) {
  const rows: [string, string | undefined][] = [
    ['Loss', training?.loss ?? lossLabel(lossName)],
    ['Optimiser', training?.optimizer],
    ['Schedule', training?.schedule],
    ['Batch', `${whole(batch)}${training?.accumulation ? `, in ${training.accumulation}` : ''}`],
    ['Adapters', training?.adapters],
    ['Frozen', training?.frozen],
  ]
  return (
    <dl className="facts recipe" aria-label="How it trains">
      {rows.map(
        ([what, words]) =>
          words !== undefined && (
            <div key={what}>
              <dt>{what}</dt> <dd>{words}</dd>
            </div>
          ),
      )}
    </dl>
  )
}

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
      </p>
      <Recipe job={job} />
    </div>
  )
}
