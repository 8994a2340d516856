import type { DatasetView, JobView, RoundView } from '@pingo/wire'
import { Identifier } from './identifier.tsx'
import { Section } from './section.tsx'

interface Props {
  job: JobView
  rounds: readonly RoundView[]
  datasets: readonly DatasetView[]
}

/** The content addresses of all that the job is made of: the same address is the same bytes, anywhere. */
export function Addresses({ job, rounds, datasets }: Props) {
  const nameOf = (cid: string) => datasets.find((dataset) => dataset.cid === cid)?.name
  const last = rounds.at(-1)
  const addresses: { what: string; cid: string; note?: string | undefined }[] = [
    { what: 'Program', cid: job.program },
    { what: 'Training data', cid: job.train, note: nameOf(job.train) },
  ]
  if (job.test !== undefined) addresses.push({ what: 'Test data', cid: job.test, note: nameOf(job.test) })
  if (job.result)
    addresses.push(
      { what: 'Model', cid: job.result.model.cid },
      { what: 'Checkpoint', cid: job.result.checkpoint.cid },
      { what: 'Model card', cid: job.result.card.cid },
    )
  else if (last) addresses.push({ what: 'Checkpoint', cid: last.checkpoint, note: `round ${last.round}` })
  return (
    <Section title="Content addresses">
      <dl className="panel addresses">
        {addresses.map(({ what, cid, note }) => (
          <div key={what}>
            <dt>
              {what} {note !== undefined && <span className="muted">{note}</span>}
            </dt>
            <dd>
              <Identifier id={cid} what={`the address of ${what.toLowerCase()}`} head={10} tail={8} />
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}
