import type { StoragePeerView } from '@pingo/wire'
import { ago, bytes, NONE, percent, plural } from '../core/format.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Identifier } from './identifier.tsx'
import { StateChip } from './state-chip.tsx'

/** The other fog nodes, the nearest first. */
export function PeersTable({ peers, now }: { peers: readonly StoragePeerView[]; now: number }) {
  const rows = [...peers].sort((a, b) => (a.rttMs ?? Number.MAX_VALUE) - (b.rttMs ?? Number.MAX_VALUE))
  const columns: Column<StoragePeerView>[] = [
    { key: 'url', label: 'Address', heading: true, cell: (row) => <span title={row.id}>{host(row.url)}</span> },
    { key: 'state', label: 'State', cell: (row) => <StateChip state={row.isLive ? row.state : 'silent'} /> },
    { key: 'region', label: 'Region', empty: (row) => row.region === '', cell: (row) => row.region },
    {
      key: 'domain',
      label: 'Domain',
      cell: (row) => (row.domain === row.id ? <span className="muted">itself</span> : row.domain),
    },
    {
      key: 'rtt',
      label: 'Round trip',
      numeric: true,
      empty: (row) => row.rttMs === undefined,
      cell: ({ rttMs = 0 }) => `${rttMs.toFixed(rttMs < 9.95 ? 1 : 0)}\u00a0ms`,
    },
    { key: 'standing', label: 'Standing', cell: (row) => <StateChip state={row.standing} /> },
    {
      key: 'score',
      label: 'Score',
      numeric: true,
      cell: (row) => <span title={plural(row.audits, 'audit')}>{row.audits > 0 ? percent(row.score) : NONE}</span>,
    },
    { key: 'free', label: 'Free', numeric: true, cell: (row) => bytes(row.freeBytes) },
    { key: 'seen', label: 'Last seen', numeric: true, cell: (row) => ago(Math.max(0, now - row.seenAt)) },
    {
      key: 'id',
      label: 'Id',
      numeric: true,
      cell: (row) => <Identifier id={row.id} what={`the id of ${host(row.url)}`} head={0} />,
    },
  ]
  return <DataTable caption="Fog nodes" columns={columns} rows={rows} rowKey={(row) => row.id} page={12} />
}

const host = (url: string): string => url.replace(/^https?:\/\//, '')
