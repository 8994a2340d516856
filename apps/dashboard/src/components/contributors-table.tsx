import type { ContributorView, JobView } from '@pingo/wire'
import { ago, bytes, compact, cores, plural, rate, whole } from '../core/format.ts'
import { compareNames } from '../core/palette.ts'
import { jobHref } from '../core/route.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Empty } from './empty.tsx'
import { Section } from './section.tsx'
import { StateChip } from './state-chip.tsx'

interface Props {
  contributors: readonly ContributorView[]
  jobs: readonly JobView[]
  /** The fog node's clock, ms. */
  now: number
  loading: boolean
}

/** Who lends what, and does what now. Ordered by name, so that rows stay where they are. */
export function ContributorsTable({ contributors, jobs, now, loading }: Props) {
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
      cell: (row) =>
        row.job === undefined ? (
          <span className="muted">–</span>
        ) : (
          <a className="text-link" href={jobHref(row.job)}>
            {names.get(row.job) ?? row.job}
          </a>
        ),
    },
    { key: 'cores', label: 'Cores', numeric: true, cell: (row) => cores(row.offer.cores) },
    { key: 'memory', label: 'Memory', numeric: true, cell: (row) => bytes(row.offer.memoryBytes) },
    {
      key: 'speed',
      label: 'Speed',
      numeric: true,
      cell: (row) => (row.samplesPerSecond > 0 ? rate(row.samplesPerSecond) : <span className="muted">–</span>),
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
      {loading ? (
        <div className="panel" aria-busy="true">
          <div className="skeleton row-skeleton" />
        </div>
      ) : rows.length === 0 ? (
        <div className="panel">
          <Empty title="No contributor yet">
            <p className="muted">Jobs wait until a machine lends its idle cores. The command below adds one.</p>
          </Empty>
        </div>
      ) : (
        <DataTable caption="Contributors" columns={columns} rows={rows} rowKey={(row) => row.id} />
      )}
    </Section>
  )
}
