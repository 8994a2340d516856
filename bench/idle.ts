import { setTimeout as sleep } from 'node:timers/promises'
import type { Row } from './run.ts'
import { LocalNetwork } from './support/local-network.ts'
import { rssOf } from './support/process-tree.ts'

export const summary =
  'memory (RSS) of an idle fog node and an idle contributor, whole process trees, from their second start on'

const SETTLE_MS = 10_000

export default async function idle(): Promise<Row[]> {
  // the first start after an update also compiles the sources, which is kept for all later ones: a second start is measured
  await using first = await LocalNetwork.start(1)
  await first[Symbol.asyncDispose]()
  await using net = await LocalNetwork.start(1)
  await sleep(SETTLE_MS)
  const fog = rssOf(net.fog.child.pid!)
  const contributor = rssOf(net.contributors[0]!.child.pid!)
  return [
    { name: 'idle fog node, RSS of its process tree (MB)', measured: mb(fog), bar: 'printed', holds: true },
    {
      name: 'idle contributor before a job, RSS of its process tree (MB)',
      measured: mb(contributor),
      bar: '≤ 150',
      holds: contributor <= 150e6,
    },
  ]
}

const mb = (bytes: number): number => Math.round(bytes / 1e5) / 10
