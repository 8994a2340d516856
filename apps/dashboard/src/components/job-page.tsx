import type { DatasetView } from '@pingo/wire'
import { useEffect, useMemo } from 'react'
import { progress } from '../core/format.ts'
import type { NetworkState } from '../core/network-state.ts'
import { assignColours } from '../core/palette.ts'
import { networkHref } from '../core/route.ts'
import { useJob } from '../hooks/use-job.ts'
import { Addresses } from './addresses.tsx'
import { Empty } from './empty.tsx'
import { JobCurves } from './job-curves.tsx'
import { JobHead } from './job-head.tsx'
import { JobLog } from './job-log.tsx'
import { JobProgress } from './job-progress.tsx'
import { JobStats } from './job-stats.tsx'
import { JobWhy } from './job-why.tsx'
import { Result } from './result.tsx'
import { RoundsTable } from './rounds-table.tsx'
import { Shares } from './shares.tsx'

interface Props {
  id: string
  network: NetworkState
  datasets: readonly DatasetView[]
  theme: 'light' | 'dark'
}

/** One job, live. Give it a `key` of the id: another job is another page. */
export function JobPage({ id, network, datasets, theme }: Props) {
  const polled = network.jobs.find((job) => job.id === id)
  const state = useJob(id, polled, network.epoch)
  const { job, rounds } = state
  const colours = useMemo(() => assignColours(job?.shares ?? []), [job?.shares])
  const title =
    job === undefined
      ? 'PinGo'
      : `${job.state === 'running' ? progress(job.samplesDone, job.samplesTotal) : job.state} · ${job.name} · PinGo`
  useEffect(() => {
    document.title = title
  }, [title])

  return (
    <>
      <nav className="crumb" aria-label="Way back">
        <a className="text-link" href={networkHref}>
          <span aria-hidden="true">←</span> Network
        </a>
      </nav>
      {state.phase === 'missing' ? (
        <div className="panel">
          <Empty title="This fog node has no such job">
            <p className="muted">It may belong to another fog node, or its address was shortened on the way here.</p>
          </Empty>
        </div>
      ) : job === undefined ? (
        <Waiting error={state.error} />
      ) : (
        <>
          <JobHead job={job} dataset={datasets.find((dataset) => dataset.cid === job.train)} />
          <JobProgress job={job} />
          <JobWhy job={job} explanation={state.explanation} />
          {job.result && <Result job={job} result={job.result} />}
          <JobStats job={job} rounds={rounds} now={network.serverNow} />
          <JobCurves job={job} rounds={rounds} theme={theme} />
          <Shares shares={job.shares} colours={colours} contributors={network.network?.contributors ?? []} />
          <RoundsTable job={job} rounds={rounds} colours={colours} />
          <JobLog lines={state.logs} />
          <Addresses job={job} rounds={rounds} datasets={datasets} />
        </>
      )}
    </>
  )
}

function Waiting({ error }: { error: string | undefined }) {
  if (error !== undefined)
    return (
      <div className="panel">
        <Empty title="The job could not be read">
          <p className="muted">{error} Trying again by itself.</p>
        </Empty>
      </div>
    )
  return (
    <div aria-busy="true">
      <div className="skeleton title-skeleton" />
      <div className="panel">
        <div className="skeleton row-skeleton" />
        <div className="skeleton row-skeleton" />
      </div>
    </div>
  )
}
