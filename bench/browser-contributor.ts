import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import type { JobView, Ledger, NetworkView } from '@pingo/wire'
import type { Browser } from 'playwright-core'
import { launchChromium } from '../packages/engine/src/testing/browser/chromium.ts'
import type { Row } from './run.ts'
import { LocalNetwork } from './support/local-network.ts'

export const summary =
  'a browser that contributes beside a native contributor against two native ones: same job, same ledger, quality (--runs)'

const BOUND_MS = 240_000
/** A model of the mixed network may be so much worse on data it has not seen, at most: what chance does to a mean of this many runs. */
const MOST_LOSS_OF_ACCURACY = 0.01
const [CLASSES, FEATURES, TRAIN_ROWS, TEST_ROWS] = [6, 12, 24_000, 5_000]
const COMMAND = join(import.meta.dirname, '..', 'apps', 'cli', 'bin', 'pingo.js')

interface Outcome {
  accuracy: number
  loss: number
  seconds: number
  browserShare: number
  verifies: boolean
  wasOnce: boolean
}

export default async function browserContributor(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({ args, options: { runs: { type: 'string', default: '5' } } })
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs} is not a whole number of 1 or more.`)
  await using native = await LocalNetwork.start(2)
  await using mixed = await LocalNetwork.start(1)
  const browser = await launchChromium()
  try {
    const peer = await lend(browser, mixed)
    const [natives, mixes]: [Outcome[], Outcome[]] = [[], []]
    for (let seed = 1; seed <= runs; seed++) {
      natives.push(await train(native, seed, undefined))
      mixes.push(await train(mixed, seed, peer))
    }
    return rows(natives, mixes)
  } finally {
    await browser.close()
  }
}

function rows(natives: Outcome[], mixes: Outcome[]): Row[] {
  const [withoutIt, withIt] = [
    mean(natives.map(({ accuracy }) => accuracy)),
    mean(mixes.map(({ accuracy }) => accuracy)),
  ]
  const shares = mixes.map(({ browserShare }) => browserShare)
  const spread = (outcomes: Outcome[]) =>
    `${Math.min(...outcomes.map(({ accuracy }) => accuracy)).toFixed(4)} … ${Math.max(...outcomes.map(({ accuracy }) => accuracy)).toFixed(4)}`
  const isSame = mixes.every(({ browserShare, verifies, wasOnce }) => browserShare > 0 && verifies && wasOnce)
  return [
    {
      name: 'browser beside a native contributor: same job, same ledger, every sample once, job verify recounts',
      measured: isSame ? 'yes' : 'no',
      bar: 'yes',
      holds: isSame,
    },
    {
      name: `share of the samples that the browser trained (${shares.map((share) => share.toFixed(3)).join(', ')})`,
      measured: mean(shares),
      bar: 'printed',
      holds: true,
    },
    {
      name: `test accuracy, two native contributors (${spread(natives)}, ${natives.length} runs)`,
      measured: withoutIt,
      bar: 'printed',
      holds: true,
    },
    {
      name: `test accuracy, one native and the browser (${spread(mixes)}, ${mixes.length} runs)`,
      measured: withIt,
      bar: 'printed',
      holds: true,
    },
    {
      name: 'accuracy lost by the browser (difference of the means)',
      measured: withoutIt - withIt,
      bar: `≤ ${MOST_LOSS_OF_ACCURACY}`,
      holds: withoutIt - withIt <= MOST_LOSS_OF_ACCURACY,
    },
    {
      name: 'test loss with the browser less without it (means)',
      measured: mean(mixes.map(({ loss }) => loss)) - mean(natives.map(({ loss }) => loss)),
      bar: 'printed',
      holds: true,
    },
  ]
}

/** Opens the page as anybody would, and lends a whole core. @returns its peer id */
async function lend(browser: Browser, { url }: LocalNetwork): Promise<string> {
  const page = await browser.newPage()
  await page.goto(`${url}/contribute`)
  await page.getByLabel('Intensity').fill('100')
  await page.getByRole('button', { name: 'Start' }).click()
  for (const end = Date.now() + BOUND_MS; Date.now() < end; await sleep(100)) {
    const { contributors } = (await (await fetch(`${url}/v1/network`)).json()) as NetworkView
    const found = contributors.find(({ hardware }) => hardware.platform === 'browser')
    if (found) return found.id
  }
  throw new Error('The browser did not connect.')
}

async function train(net: LocalNetwork, seed: number, peer: string | undefined): Promise<Outcome> {
  const folder = net.folder
  writeBlobs(join(folder, 'train.csv'), TRAIN_ROWS, seed)
  writeBlobs(join(folder, 'test.csv'), TEST_ROWS, 1_000 + seed)
  const file = join(folder, 'job.yaml')
  writeFileSync(
    file,
    `version: 1
name: blobs-${seed}
model: { template: mlp, hidden: [128, 128] }
data: { train: train.csv, test: test.csv }
train: { epochs: 5, batch: 32, seed: ${seed}, round: 1s, lr: 3e-3 }
`,
  )
  const pingo = (...args: string[]) =>
    promisify(execFile)(process.execPath, [COMMAND, ...args, '--fog', net.url, '--token', net.token])
  const get = async <T>(path: string) => (await (await fetch(net.url + path)).json()) as T
  await pingo('train', file, '--detach', '--json')
  const id = (await get<{ jobs: JobView[] }>('/v1/jobs')).jobs[0]!.id
  const job = () => get<JobView>(`/v1/jobs/${id}`)
  for (const end = Date.now() + BOUND_MS; (await job()).state !== 'done'; await sleep(100))
    if (Date.now() > end || (await job()).state === 'failed') throw new Error(`Job ${id} did not end well.`)
  const view = await job()
  const { entries } = await get<Ledger>(`/v1/jobs/${id}/ledger`)
  const mine = entries.filter(({ contributor }) => contributor === peer).reduce((sum, { samples }) => sum + samples, 0)
  return {
    accuracy: view.testMetric ?? Number.NaN,
    loss: view.testLoss ?? Number.NaN,
    seconds: ((view.endedAt ?? 0) - (view.startedAt ?? 0)) / 1000,
    browserShare: mine / view.samplesTotal,
    verifies: await pingo('job', 'verify', id).then(
      () => true,
      () => false,
    ),
    wasOnce: entries.reduce((sum, { samples }) => sum + samples, 0) === view.samplesTotal,
  }
}

/** Overlapping clouds around seeded centres, so that no model is right about all: the centres are the same for every seed. */
function writeBlobs(file: string, count: number, seed: number): void {
  const centre = generator(42)
  const centres = Array.from({ length: CLASSES }, () => Array.from({ length: FEATURES }, () => normal(centre)))
  const random = generator(seed)
  const lines = Array.from({ length: count }, () => {
    const label = Math.floor(random() * CLASSES)
    return [...centres[label]!.map((mean) => (mean + 1.6 * normal(random)).toFixed(4)), `class-${label}`].join(',')
  })
  const header = [...Array.from({ length: FEATURES }, (_, i) => `f${i}`), 'label']
  writeFileSync(file, `${[header.join(','), ...lines].join('\n')}\n`)
}

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Box and Muller. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
