import type { Host } from '@pingo/network'
import type { BlockStore } from '@pingo/storage'
import type { Credit, Identity, NetworkView } from '@pingo/wire'
import type { Contributors } from './contributors.ts'
import type { Crew } from './crew.ts'
import type { Database } from './database.ts'
import type { Jobs } from './jobs.ts'
import { VERSION } from './version.ts'

/** Reads the whole state of the network as this fog node sees it. */
export function networkView(o: {
  p2p: Host
  identity: Identity
  blocks: BlockStore
  contributors: Contributors
  jobs: Jobs
  db: Database
  startedAt: number
  crew: Crew
  creditOf: (contributor: string) => Credit | undefined
  jobOf: (lease: string) => string | undefined
}): NetworkView {
  const jobs = o.jobs.all()
  const working = new Map(
    jobs.flatMap((job) => [...job.inFlight.values()].map(({ contributor }) => [contributor, job.row.id])),
  )
  const contributors = o.contributors.views(
    (id) => ({
      job: working.get(id),
      samplesPerSecond: working.has(id) ? (o.crew.speeds.get(id)?.perSecond ?? 0) : 0,
      samples: o.crew.done.get(id) ?? 0,
      credited: o.creditOf(id),
    }),
    o.jobOf,
  )
  const { blocks, bytes } = o.blocks.stats()
  const count = (...states: string[]) => jobs.filter(({ row }) => states.includes(row.state)).length
  return {
    fog: {
      id: o.identity.peerId,
      version: VERSION,
      addresses: o.p2p.addresses(),
      startedAt: o.startedAt,
      rssBytes: process.memoryUsage.rss(),
      blocks,
      blockBytes: bytes,
    },
    contributors,
    cores: contributors.reduce((sum, { offer }) => sum + offer.cores, 0),
    samplesPerSecond: jobs
      .filter(({ row }) => row.state === 'running')
      .reduce((sum, job) => sum + o.jobs.view(job).samplesPerSecond, 0),
    jobs: {
      queued: count('queued'),
      running: count('running', 'finishing'),
      done: count('done'),
      failed: count('failed', 'stopped'),
    },
    samplesTotal: o.db.samplesTotal(),
  }
}
