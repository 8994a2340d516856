import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Row } from './run.ts'
import { LocalNetwork } from './support/local-network.ts'

export const summary =
  'memory (RSS) of an idle fog node and an idle contributor, whole process trees, from their second start on'

const SETTLE_MS = 10_000

export default async function idle(): Promise<Row[]> {
  // the first start after an update also compiles the sources, which is kept for all later ones: a second start is measured
  await using first = await LocalNetwork.start(1)
  await first[Symbol.asyncDispose]()
  await using net = await LocalNetwork.start(1)
  await sleep(SETTLE_MS)
  const fog = treeRss(net.fog.child.pid!)
  const contributor = treeRss(net.contributors[0]!.child.pid!)
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

/** Resident bytes of a process and all below it (Linux). */
function treeRss(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const own = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return own + children.reduce((sum, child) => sum + treeRss(Number(child)), 0)
}
