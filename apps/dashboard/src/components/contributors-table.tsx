import type { ContributorView, JobView } from '@pingo/wire'
import { ago, bytes, compact, cores, plural, speed, whole } from '../core/format.ts'
import type { JoinCommand } from '../core/join.ts'
import { compareNames } from '../core/palette.ts'
import { jobHref } from '../core/route.ts'
import { Command } from './command.tsx'
import { type Column, DataTable } from './data-table.tsx'
import { Empty } from './empty.tsx'
import { Section } from './section.tsx'
import { StateChip } from './state-chip.tsx'

interface Props {
  contributors: readonly ContributorView[]
  jobs: readonly JobView[]
  /** The fog node's clock, ms. */
  now: number
  /** How a first one joins. */
  join: JoinCommand | undefined
}

/** Who lends what, and does what now. Ordered by name, so that rows stay where they are. */
export function ContributorsTable({ contributors, jobs, now, join }: Props) {
  const names = new Map(jobs.map((job) => [job.id, job.name]))
  const rows = [...contributors].sort((a, b) => compareNames(a.name, b.name) || compareNames(a.id, b.id))
  const columns: Column<ContributorView>[] = [
    {
      key: 'name',
      label: 'Name',
      heading: true,
      cell: (row) => <span title={`${row.id}\n${row.hardware.cpu}, ${row.hardware.platform}`}>{row.name}</span>,
    },
    { key: 'state', label: 'State', cell: (row) => <StateChip state={row.state} /> },
    {
      key: 'job',
      label: 'Job',
      empty: (row) => row.job === undefined,
      cell: ({ job = '' }) => (
        <a className="text-link" href={jobHref(job)}>
          {names.get(job) ?? job}
        </a>
      ),
    },
    { key: 'cores', label: 'Cores', numeric: true, cell: (row) => cores(row.offer.cores) },
    { key: 'memory', label: 'Memory', numeric: true, cell: (row) => bytes(row.offer.memoryBytes) },
    {
      key: 'speed',
      label: 'Samples/s',
      numeric: true,
      empty: (row) => !(row.samplesPerSecond > 0),
      cell: (row) => speed(row.samplesPerSecond),
    },
    {
      key: 'samples',
      label: 'Samples',
      numeric: true,
      cell: (row) => <span title={whole(row.samples)}>{compact(row.samples)}</span>,
    },
    { key: 'seen', label: 'Last seen', numeric: true, cell: (row) => ago(now - row.lastSeenAt) },
  ]
  return (
    <Section title="Contributors" aside={rows.length > 0 ? plural(rows.length, 'machine') : undefined}>
      {rows.length === 0 ? (
        <div className="panel">
          <Empty title="No contributor yet">
            <p className="muted">
              Jobs wait until a machine lends its idle cores. Run this on one that can reach this fog node:
            </p>
            {join !== undefined && <Command text={join.text} what="the command that adds a machine" />}
          </Empty>
        </div>
      ) : (
        <DataTable caption="Contributors" columns={columns} rows={rows} rowKey={(row) => row.id} />
      )}
    </Section>
  )
}
