import type { DatasetView } from '@pingo/wire'
import { bytes, dateTime, whole } from '../core/format.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Identifier } from './identifier.tsx'
import { Section } from './section.tsx'

const COLUMNS: Column<DatasetView>[] = [
  { key: 'name', label: 'Name', heading: true, cell: (row) => row.name },
  { key: 'kind', label: 'Kind', cell: (row) => row.kind },
  { key: 'samples', label: 'Samples', numeric: true, cell: (row) => whole(row.samples) },
  { key: 'bytes', label: 'Size', numeric: true, cell: (row) => bytes(row.bytes) },
  { key: 'added', label: 'Added', numeric: true, cell: (row) => dateTime(row.addedAt) },
  {
    key: 'cid',
    label: 'Content address',
    numeric: true,
    cell: (row) => <Identifier id={row.cid} what={`the address of ${row.name}`} />,
  },
]

/** The data that jobs here train on. Nothing is shown where there is none: jobs bring it. */
export function DatasetsTable({ datasets }: { datasets: readonly DatasetView[] }) {
  if (datasets.length === 0) return null
  return (
    <Section title="Datasets">
      <DataTable caption="Datasets" columns={COLUMNS} rows={datasets} rowKey={(row) => row.cid} page={10} />
    </Section>
  )
}
