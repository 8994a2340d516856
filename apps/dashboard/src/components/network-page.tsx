import type { DatasetView } from '@pingo/wire'
import { useEffect } from 'react'
import type { NetworkState } from '../core/network-state.ts'
import { ContributorsTable } from './contributors-table.tsx'
import { DatasetsTable } from './datasets-table.tsx'
import { JobsList } from './jobs-list.tsx'
import { Join } from './join.tsx'
import { NetworkStats } from './network-stats.tsx'

/** The overview: the network, its jobs, its machines, its data. */
export function NetworkPage({ state, datasets }: { state: NetworkState; datasets: readonly DatasetView[] }) {
  const loading = state.network === undefined
  useEffect(() => {
    document.title = 'PinGo'
  }, [])
  return (
    <>
      <h1 className="visually-hidden">Network</h1>
      <NetworkStats state={state} />
      <JobsList jobs={state.jobs} loading={loading} />
      <ContributorsTable
        contributors={state.network?.contributors ?? []}
        jobs={state.jobs}
        now={state.serverNow}
        loading={loading}
      />
      {state.network && <Join fog={state.network.fog} />}
      <DatasetsTable datasets={datasets} />
    </>
  )
}
