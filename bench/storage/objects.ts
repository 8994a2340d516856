import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Row } from '../run.ts'
import { StorageNetwork } from '../support/storage-network.ts'
import type { Outcome, Work } from './objects-client.ts'

export const summary = 'memory of a client that puts and gets a large object at 16 nodes, also with 6 of them dead'

const MAX_ABOVE_IDLE_MB = 150

/**
 * Puts an object of `--mib` through as many nodes as a stripe has shards, each a process with a disk and sockets of its own, gets it back,
 * kills 6 of them and gets it again. Every put and get is a process of its own: its memory is the client's alone. What is
 * compared is the most that it ever had (maxRSS) with what it had before it began, with everything loaded.
 */
export default async function objects(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      mib: { type: 'string', default: '4096' },
      nodes: { type: 'string', default: '16' },
      public: { type: 'boolean', default: false },
    },
  })
  const bytes = Number(values.mib) * 2 ** 20
  const count = Number(values.nodes)
  await using network = await StorageNetwork.start(count)
  const work = { bytes, token: network.nodes[0]!.token, nodes: count, isPublic: values.public }
  const seeds = network.nodes.map(({ url }) => url)
  const put = await client({ ...work, do: 'put', seeds: seeds.slice(0, 1) })
  tell('put', put, bytes)
  const get = await client({ ...work, do: 'get', seeds: seeds.slice(0, 1), object: put })
  tell('get', get, bytes)
  const rows = [memory('put', put), memory('get', get), exact('get', get, put)]
  const parity = Number(put.code.split('+')[1])
  for (const { child } of network.nodes.slice(count - parity)) {
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  const left = count - parity
  const degraded = await client({ ...work, nodes: left, do: 'get', seeds: seeds.slice(0, 1), object: put })
  const name = `get, ${parity} of ${count} nodes dead`
  tell(name, degraded, bytes)
  return [...rows, memory(name, degraded), exact(name, degraded, put)]
}

export async function client(work: Work): Promise<Outcome> {
  const child = fork(join(import.meta.dirname, 'objects-client.ts'), { execArgv: ['--expose-gc'] })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`The client ended with ${code}.`)
  })
  ended.catch(() => undefined)
  child.send(work)
  const [outcome] = (await Promise.race([once(child, 'message'), ended])) as [Outcome]
  return outcome
}

const tell = (name: string, { seconds, cpu, code, idleMb, peakMb }: Outcome, bytes: number) =>
  process.stderr.write(
    `${name} (${code}): ${(bytes / 1e6 / seconds).toFixed(0)} MB/s, ${((cpu * 2 ** 30) / bytes).toFixed(1)} CPU-s/GiB of the client; ${idleMb.toFixed(0)} MB idle, ${peakMb.toFixed(0)} MB at most\n`,
  )

const memory = (name: string, { idleMb, peakMb }: Outcome): Row => ({
  name: `${name}: RSS above idle`,
  measured: Math.round(peakMb - idleMb),
  bar: `≤ ${MAX_ABOVE_IDLE_MB}`,
  holds: peakMb - idleMb <= MAX_ABOVE_IDLE_MB,
  unit: 'MB',
})

export const exact = (name: string, got: Outcome, put: Outcome): Row => ({
  name: `${name}: bytes`,
  measured: got.digest === put.digest ? 'exact' : 'WRONG',
  bar: 'exact',
  holds: got.digest === put.digest,
})
