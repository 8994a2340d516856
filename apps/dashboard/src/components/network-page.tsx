import type { DatasetView } from '@pingo/wire'
import { useEffect } from 'react'
import { joinCommand } from '../core/join.ts'
import type { NetworkState } from '../core/network-state.ts'
import { ContributorsTable } from './contributors-table.tsx'
import { DatasetsTable } from './datasets-table.tsx'
import { JobsList } from './jobs-list.tsx'
import { Join } from './join.tsx'
import { NetworkStats } from './network-stats.tsx'

/** The overview: the network, its jobs, its machines, its data. */
export function NetworkPage({ state, datasets }: { state: NetworkState; datasets: readonly DatasetView[] }) {
  const loading = state.network === undefined
  const { fog, contributors = [] } = state.network ?? {}
  const join = fog && joinCommand(fog.addresses, fog.id)
  useEffect(() => {
    document.title = 'PinGo'
  }, [])
  return (
    <>
      <h1 className="visually-hidden">Network</h1>
      <NetworkStats state={state} />
      <JobsList jobs={state.jobs} loading={loading} />
      {/* Not before the jobs are known: what stands below a list that is still to come would be pushed down by it. */}
      {!loading && (
        <ContributorsTable contributors={contributors} jobs={state.jobs} now={state.serverNow} join={join} />
      )}
      {join && contributors.length > 0 && <Join join={join} />}
      {!loading && <DatasetsTable datasets={datasets} />}
    </>
  )
}
