import type { StorageObjectView } from '@pingo/wire'
import { ago, bytes, duration, whole } from '../core/format.ts'
import { worstStripe } from '../core/storage-state.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Section } from './section.tsx'

interface Props {
  objects: readonly StorageObjectView[]
  /** In care altogether. */
  total: number
  /** The fog node's clock, ms. */
  now: number
}

/** Objects in this node's care, the neediest first. Nothing is shown where there is none. */
export function StoredObjectsTable({ objects, total, now }: Props) {
  if (objects.length === 0) return null
  const columns: Column<StorageObjectView>[] = [
    { key: 'id', label: 'Object', heading: true, cell: (row) => <code>{row.id}</code> },
    { key: 'kind', label: 'Kind', cell: (row) => (row.isPublic ? 'public' : 'private') },
    { key: 'bytes', label: 'Size', numeric: true, cell: (row) => bytes(row.bytes) },
    {
      key: 'code',
      label: 'Kept as',
      cell: ({ code }) => (code.k === 1 ? `${code.m + 1} copies` : `${code.k} + ${code.m} shards`),
    },
    { key: 'stripes', label: 'Stripes', numeric: true, cell: (row) => whole(row.stripes) },
    {
      key: 'worst',
      label: 'Worst stripe',
      numeric: true,
      empty: (row) => worstStripe(row) === undefined,
      cell: (row) => {
        const { left, of } = worstStripe(row)!
        return `${left} of ${of}`
      },
    },
    {
      key: 'checked',
      label: 'Checked',
      numeric: true,
      empty: (row) => row.checkedAt === undefined,
      cell: (row) => ago(Math.max(0, now - (row.checkedAt ?? now))),
    },
    {
      key: 'due',
      label: 'Next look',
      numeric: true,
      cell: (row) => (row.dueAt > now ? duration(row.dueAt - now) : 'now'),
    },
  ]
  const aside = objects.length < total ? `${whole(objects.length)} of ${whole(total)}` : whole(total)
  return (
    <Section title="Objects in care" aside={aside}>
      <DataTable caption="Objects in care" columns={columns} rows={objects} rowKey={(row) => row.id} page={15} />
    </Section>
  )
}
