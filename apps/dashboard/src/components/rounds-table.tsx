import type { JobView, RoundView } from '@pingo/wire'
import { useMemo } from 'react'
import { duration, loss, metric, metricLabel, plural, shortId, speed, whole } from '../core/format.ts'
import { isFinal } from '../core/job-state.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Section } from './section.tsx'
import { StackedBar } from './stacked-bar.tsx'

interface Props {
  job: JobView
  rounds: readonly RoundView[]
  colours: ReadonlyMap<string, number>
}

/** Every committed round, the latest first. */
export function RoundsTable({ job, rounds, colours }: Props) {
  const latestFirst = useMemo(() => [...rounds].reverse(), [rounds])
  const { metricName } = job
  const tested = rounds.some((round) => round.testMetric !== undefined)
  const anyExcluded = rounds.some((round) => round.excluded.length > 0)
  const names = useMemo(() => new Map(job.shares.map((share) => [share.contributor, share.name])), [job.shares])
  const columns: Column<RoundView>[] = [
    {
      key: 'round',
      label: 'Round',
      heading: true,
      cell: (row) => (
        <span title={`Checkpoint ${row.checkpoint}`}>
          <span className="phone-only">Round </span>
          {whole(row.round)}
        </span>
      ),
    },
    { key: 'samples', label: 'Samples', numeric: true, cell: (row) => whole(row.samples) },
    { key: 'time', label: 'Time', numeric: true, cell: (row) => duration(row.millis) },
    { key: 'speed', label: 'Samples/s', numeric: true, cell: (row) => speed(row.samplesPerSecond) },
    { key: 'loss', label: 'Loss', numeric: true, cell: (row) => loss(row.loss) },
  ]
  if (metricName !== 'loss')
    columns.push({
      key: 'metric',
      label: metricLabel(metricName),
      numeric: true,
      cell: (row) => metric(metricName, row.metric),
    })
  if (tested)
    columns.push({
      key: 'test',
      label: 'On test',
      empty: (row) => row.testMetric === undefined,
      numeric: true,
      cell: (row) => metric(metricName, row.testMetric),
    })
  columns.push({
    key: 'shares',
    label: 'Who did what',
    empty: (row) => row.shares.length === 0,
    wide: true,
    cell: (row) => <StackedBar shares={row.shares} colours={colours} />,
  })
  if (anyExcluded)
    columns.push({
      key: 'excluded',
      label: 'Left out',
      empty: (row) => row.excluded.length === 0,
      wide: true,
      cell: (row) => <Excluded row={row} names={names} />,
    })
  return (
    <Section title="Rounds" aside={rounds.length > 0 ? plural(rounds.length, 'round') : undefined}>
      {rounds.length === 0 ? (
        <p className="panel empty muted">{isFinal(job.state) ? 'None was committed.' : 'None committed yet.'}</p>
      ) : (
        <DataTable caption="Rounds" columns={columns} rows={latestFirst} rowKey={(row) => row.round} page={15} />
      )}
    </Section>
  )
}

function Excluded({ row, names }: { row: RoundView; names: ReadonlyMap<string, string> }) {
  return (
    <ul className="excluded">
      {row.excluded.map(({ contributor, reason }) => (
        <li key={`${contributor} ${reason}`} title={contributor}>
          {names.get(contributor) ?? shortId(contributor)}: {reason}
        </li>
      ))}
    </ul>
  )
}
