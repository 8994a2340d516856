import type { JobView } from '@pingo/wire'
import { useState } from 'react'
import { plural, whole } from '../core/format.ts'
import { isFinal } from '../core/job-state.ts'
import { SUBMIT_COMMAND } from '../core/join.ts'
import { Command } from './command.tsx'
import { Empty } from './empty.tsx'
import { JobRow } from './job-row.tsx'
import { Section } from './section.tsx'

const PAGE = 12

/** All jobs, newest first. `loading` while none is known yet. */
export function JobsList({ jobs, loading }: { jobs: readonly JobView[]; loading: boolean }) {
  const [limit, setLimit] = useState(PAGE)
  const active = jobs.filter((job) => !isFinal(job.state)).length
  const aside = loading || jobs.length === 0 ? undefined : `${plural(jobs.length, 'job')}, ${whole(active)} active`
  return (
    <Section title="Jobs" aside={aside}>
      {loading ? (
        <div className="panel" aria-busy="true">
          <div className="skeleton row-skeleton" />
          <div className="skeleton row-skeleton" />
        </div>
      ) : jobs.length === 0 ? (
        <div className="panel">
          <Empty title="No job yet">
            <p className="muted">
              A job is a model, data and settings in one file. Hand it to this fog node from a terminal, then watch it
              here.
            </p>
            <Command text={SUBMIT_COMMAND} what="the command that submits a job" />
          </Empty>
        </div>
      ) : (
        <div className="panel">
          <ul className="job-list">
            {jobs.slice(0, limit).map((job) => (
              <JobRow key={job.id} job={job} />
            ))}
          </ul>
          {jobs.length > limit && (
            <button type="button" className="more" onClick={() => setLimit(limit + 4 * PAGE)}>
              Show more <span className="muted">({whole(jobs.length - limit)} left)</span>
            </button>
          )}
        </div>
      )}
    </Section>
  )
}
