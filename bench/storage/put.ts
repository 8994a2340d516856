import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Row } from '../run.ts'
import { StorageNetwork, type StorageProcess } from '../support/storage-network.ts'
import { client, exact } from './objects.ts'
import type { Outcome } from './objects-client.ts'

export const summary =
  'put (encrypt, encode 10+6, place on 16 nodes) and get with 6 of them dead, end to end: MB/s, CPU-s/GiB of client and nodes (--mib N)'

const NODES = 16
const DEAD = 6
/** Of Linux' /proc, which counts in hundredths of a second. */
const TICKS_PER_SECOND = 100

/** Encode and encrypt alone, per core, are judged by `storage-encode`; here all is on one machine, nodes and their disks among it. */
export default async function storagePut(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({ args, options: { mib: { type: 'string', default: '512' } } })
  const bytes = Number(values.mib) * 2 ** 20
  await using network = await StorageNetwork.start(NODES)
  const work = {
    bytes,
    token: network.nodes[0]!.token,
    isPublic: false,
    seeds: network.nodes.slice(0, 1).map(({ url }) => url),
  }
  const measured = async (name: string, run: () => Promise<Outcome>) => {
    const before = await cpuOf(network.live)
    const outcome = await run()
    const after = await cpuOf(network.live)
    const nodes = before === undefined || after === undefined ? undefined : after - before
    const perGib = (seconds: number) => Number(((seconds * 2 ** 30) / bytes).toFixed(1))
    const rows: Row[] = [
      {
        name: `${name}: end to end`,
        measured: Math.round(bytes / 1e6 / outcome.seconds),
        bar: 'printed',
        holds: true,
        unit: 'MB/s',
      },
      {
        name: `${name}: CPU of the client`,
        measured: perGib(outcome.cpu),
        bar: 'printed',
        holds: true,
        unit: 'CPU-s/GiB',
      },
      {
        name: `${name}: CPU of all nodes`,
        measured: nodes === undefined ? 'not known here' : perGib(nodes),
        bar: 'printed',
        holds: nodes === undefined ? null : true,
        unit: 'CPU-s/GiB',
      },
    ]
    return { outcome, rows }
  }
  const put = await measured(`put, ${NODES} nodes`, () => client({ ...work, nodes: NODES, do: 'put' }))
  const object = put.outcome
  await Promise.all(network.nodes.slice(NODES - DEAD).map((node) => node.kill()))
  const name = `get, ${DEAD} of ${NODES} dead`
  const get = await measured(name, () => client({ ...work, nodes: NODES - DEAD, do: 'get', object }))
  const code: Row = { name: 'code', measured: object.code, bar: '10+6', holds: object.code === '10+6' }
  return [code, ...put.rows, ...get.rows, exact(name, get.outcome, put.outcome)]
}

/** User and system time of processes so far, s; undefined where there is no /proc. */
async function cpuOf(nodes: readonly StorageProcess[]): Promise<number | undefined> {
  let ticks = 0
  for (const { child } of nodes) {
    const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8').catch(() => undefined)
    if (stat === undefined) return undefined
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13) as [string, string]
    ticks += Number(user) + Number(system)
  }
  return ticks / TICKS_PER_SECOND
}
