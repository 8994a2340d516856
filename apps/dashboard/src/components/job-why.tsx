import type { Explanation, JobView } from '@pingo/wire'

/** Why the job is where it is, and the cheapest change that would move it. Silent about a job that is simply done. */
export function JobWhy({ job, explanation }: { job: JobView; explanation: Explanation | undefined }) {
  if (job.state === 'done') return null
  // An explanation of the state before would contradict the chip above it.
  const current = explanation?.state === job.state ? explanation : undefined
  const sentence = current?.sentence ?? job.reason
  if (sentence === undefined) return null
  const kind = job.state === 'failed' ? 'bad' : job.state === 'queued' || job.state === 'stopped' ? 'warn' : 'calm'
  const title = job.state === 'queued' ? 'Why it waits' : job.state === 'failed' ? 'Why it failed' : undefined
  return (
    <aside className="why" data-kind={kind} aria-label="Why the job is where it is">
      <p>
        {title !== undefined && <strong>{title}. </strong>}
        {sentence}
      </p>
      {current !== undefined && current.constraints.length > 0 && (
        <ul>
          {current.constraints.map((constraint) => (
            <li key={`${constraint.what} ${constraint.change}`}>
              {constraint.what} <span className="muted">→ {constraint.change}</span>
            </li>
          ))}
        </ul>
      )}
    </aside>
  )
}
