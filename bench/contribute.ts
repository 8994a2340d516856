import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Habit, OwnerProgram } from './contribute/owner.ts'
import { Stage } from './contribute/stage.ts'
import { runLocal } from './local.ts'
import { trainOnce } from './network.ts'
import type { Row } from './run.ts'
import { LocalNetwork } from './support/local-network.ts'
import { cpuMsOf, rssOf } from './support/process-tree.ts'

/**
 * What a contributor costs its owner, and what it gives: how fast it makes way, how much it slows the owner's programs, what it does with an idle
 * machine, whether it keeps to its share, its start, its memory, and what is lost at an end. With and without a contributor alternate in one run.
 */
export const summary =
  'the contributor and its owner: making way, slowdown, harvest, shares, first lease, memory, work lost (--only, --seconds, --trials, --pairs)'

const CORES = availableParallelism()
const BATCH = 64
/** What is still used after the owner has begun counts as gone below this part of the lent cores. */
const GONE_SHARE = 0.1
const SAMPLE_MS = 50
const WINDOW_MS = 500
/** So long is watched after the owner began, and rested between trials. */
const WATCH_MS = 3_000
const REST_MS = 3_000
/** After so long a long lease has been kept once at least, and not at this very moment. */
const KEPT_MS = 15_000

interface Flags {
  seconds: number
  trials: number
  pairs: number
  epochs: number
}

const PARTS: Record<string, (flags: Flags) => Promise<Row[]>> = {
  yield: makingWay,
  slowdown,
  harvest,
  share,
  start: firstLease,
  memory,
  lost: workLost,
  killed: workKilled,
}

export default async function contribute(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string', default: Object.keys(PARTS).join(',') },
      seconds: { type: 'string', default: '60' },
      trials: { type: 'string', default: '20' },
      pairs: { type: 'string', default: '3' },
      epochs: { type: 'string', default: '2' },
    },
  })
  const flags = Object.fromEntries(
    (['seconds', 'trials', 'pairs', 'epochs'] as const).map((name) => [name, positive(name, values[name])]),
  ) as unknown as Flags
  const parts = values.only.split(',').map((name) => {
    const part = PARTS[name]
    if (!part) throw new Error(`There is no part '${name}'. There are: ${Object.keys(PARTS).join(', ')}.`)
    return { name, part }
  })
  const rows: Row[] = []
  for (const { name, part } of parts) {
    rows.push(...(await part(flags)))
    process.stderr.write(`${name} done\n`)
  }
  return rows
}

/** The owner starts a program on all cores: when is the contributor's CPU use gone? And what of its work is lost? */
async function makingWay({ trials }: Flags): Promise<Row[]> {
  await using stage = await Stage.set()
  const contributor = await stage.net.contribute('lent', ['--cores', String(CORES)])
  const pid = contributor.child.pid!
  const gone: number[] = []
  const lost: number[] = []
  for (let trial = 0; trial < trials; trial++) {
    await stage.working()
    using owner = await OwnerProgram.start({ busy: WATCH_MS, every: WATCH_MS, total: WATCH_MS })
    const before = await stage.view()
    const began = performance.now()
    owner.begin()
    const samples = [{ at: began, cpu: cpuMsOf(pid) }]
    while (samples.at(-1)!.at - began < WATCH_MS - SAMPLE_MS) {
      await sleep(SAMPLE_MS)
      samples.push({ at: performance.now(), cpu: cpuMsOf(pid) })
    }
    const last = lastOver(samples, GONE_SHARE * CORES) - began
    await owner.done()
    gone.push(last)
    await sleep(REST_MS)
    const after = await stage.view()
    const missing = before.samplesDone + before.samplesInFlight - after.samplesDone - after.samplesInFlight
    lost.push(Math.max(0, missing) / BATCH)
    process.stderr.write(`trial ${trial + 1}: gone after ${last.toFixed(0)} ms, ${lost.at(-1)} steps lost\n`)
  }
  const p95 = quantile(gone, 0.95)
  return [
    {
      name: `owner starts a program on all ${CORES} cores: the contributor's CPU use is below ${100 * GONE_SHARE} % after, p95 of ${trials} (median ${quantile(gone, 0.5).toFixed(0)})`,
      measured: Math.round(p95),
      bar: '≤ 1000',
      holds: trials < 20 ? null : p95 <= 1_000,
      unit: 'ms',
    },
    {
      name: `steps that a pause of ${WATCH_MS / 1000} s cost, of those reported before, most of ${trials} trials`,
      measured: Math.max(...lost),
      bar: `≤ ${CORES} (one a slice)`,
      holds: Math.max(...lost) <= CORES,
    },
  ]
}

/**
 * When the use of the CPU was last above a limit: the end of the last sample that begins a window of half a second in which it was. The kernel counts in
 * steps of 10 ms, so that single samples say little.
 */
function lastOver(samples: readonly { at: number; cpu: number }[], cores: number): number {
  let last = samples[0]!.at
  for (const [i, { at, cpu }] of samples.entries()) {
    const end = samples.find((other) => other.at >= at + WINDOW_MS)
    if (end && (end.cpu - cpu) / (end.at - at) > cores) last = samples[i + 1]!.at
  }
  return last
}

/** What the owner's program gets done with a contributor at work, against the same without one; pairs in one run. */
async function slowdown({ seconds, pairs }: Flags): Promise<Row[]> {
  await using stage = await Stage.set()
  const total = seconds * 1000
  const habits: [string, number, Habit][] = [
    [`a steady ${seconds} s`, 0.03, { busy: total, every: total, total }],
    [`2 s bursts every 10 s, for ${seconds} s`, 0.1, { busy: 2_000, every: 10_000, total }],
  ]
  const rows: Row[] = []
  for (const [what, bar, habit] of habits) {
    const losses: number[] = []
    for (let pair = 0; pair < pairs; pair++) {
      // the fog node and its job are there both times: only the contributor is not
      const alone = await ownersWork(habit)
      const contributor = await stage.net.contribute('lent', ['--cores', String(CORES)])
      await stage.working()
      const beside = await ownersWork(habit)
      await stage.net.leave(contributor)
      losses.push(1 - beside / alone)
      process.stderr.write(`${what}, pair ${pair + 1}: slowed by ${(100 * losses.at(-1)!).toFixed(1)} %\n`)
    }
    const median = quantile(losses, 0.5)
    rows.push({
      name: `owner's program on all ${CORES} cores over ${what}: slowed by (median of ${pairs}: ${losses.map((loss) => `${(100 * loss).toFixed(1)} %`).join(', ')})`,
      measured: 100 * median,
      bar: `≤ ${100 * bar}`,
      holds: seconds < 60 ? null : median <= bar,
      unit: '%',
    })
  }
  return rows
}

async function ownersWork(habit: Habit): Promise<number> {
  using owner = await OwnerProgram.start(habit)
  owner.begin()
  return await owner.done()
}

/** An idle machine, all of it lent, against as many independent local runs started together. */
async function harvest({ pairs, epochs }: Flags): Promise<Row[]> {
  const ratios: number[] = []
  for (let pair = 0; pair < pairs; pair++) {
    const local = await runLocal({ epochs, processes: CORES })
    const reference = local.reduce((sum, { samplesPerSecond }) => sum + samplesPerSecond, 0)
    await using net = await LocalNetwork.start(1, ['--cores', String(CORES), '--always'])
    const { samplesPerSecond } = await trainOnce(net, CORES, epochs)
    ratios.push(samplesPerSecond / reference)
    process.stderr.write(`pair ${pair + 1}: ${samplesPerSecond.toFixed(0)} of ${reference.toFixed(0)} samples/s\n`)
  }
  const median = quantile(ratios, 0.5)
  return [
    {
      name: `idle machine, ${CORES} cores lent by one contributor ÷ ${CORES} independent runs, samples/s (median of ${ratios.map((ratio) => ratio.toFixed(3)).join(', ')})`,
      measured: median,
      bar: '≥ 0.95',
      holds: median >= 0.95,
    },
  ]
}

/** A quarter of one core is lent: what the whole tree uses over windows of 30 s. */
async function share({ seconds, pairs }: Flags): Promise<Row[]> {
  await using stage = await Stage.set()
  const { child } = await stage.net.contribute('lent', ['--cores', '0.25', '--always'])
  await stage.committed()
  const window = Math.min(seconds, 30) * 1000
  await sleep(window / 2)
  const parts: number[] = []
  for (let i = 0; i < Math.max(2, pairs); i++) {
    const [cpu, began] = [cpuMsOf(child.pid!), performance.now()]
    await sleep(window)
    parts.push((cpuMsOf(child.pid!) - cpu) / (performance.now() - began))
  }
  const [least, most] = [Math.min(...parts), Math.max(...parts)]
  return [
    {
      name: `25 % of one core lent: used by the whole tree over windows of ${window / 1000} s (${parts.map((part) => `${(100 * part).toFixed(1)} %`).join(', ')}), the farthest from the middle of the bar`,
      measured: 100 * (Math.abs(least - 0.23) > Math.abs(most - 0.23) ? least : most),
      bar: '20 … 26',
      holds: window < 30_000 ? null : least >= 0.2 && most <= 0.26,
      unit: '%',
    },
  ]
}

/** From `pingo contribute` to samples of its first lease in a committed round of a job that waits. */
async function firstLease({ pairs }: Flags): Promise<Row[]> {
  const all: number[] = []
  for (let i = 0; i < Math.max(3, pairs); i++) {
    await using stage = await Stage.set()
    const began = performance.now()
    await stage.net.contribute('lent', ['--cores', '1', '--always'])
    all.push((await stage.committed()) - began)
  }
  const worst = Math.max(...all)
  return [
    {
      name: `from \`pingo contribute\` with an empty folder to its first lease in a committed round, slowest of ${all.length} (median ${(quantile(all, 0.5) / 1000).toFixed(1)})`,
      measured: worst / 1000,
      bar: '≤ 10',
      holds: worst <= 10_000,
      unit: 's',
    },
  ]
}

/** Resident memory of the whole tree: nothing to do, and one lease of an MLP. */
async function memory(): Promise<Row[]> {
  // the first start after an update compiles the sources: a second start is measured
  await using first = await LocalNetwork.start(1)
  await first[Symbol.asyncDispose]()
  await using net = await LocalNetwork.start(1)
  await sleep(10_000)
  const idle = rssOf(net.contributors[0]!.child.pid!)
  await net[Symbol.asyncDispose]()
  await using stage = await Stage.set('mlp')
  const { child } = await stage.net.contribute('lent', ['--cores', '1', '--always'])
  await stage.committed()
  let most = 0
  for (let i = 0; i < 40; i++) {
    await sleep(250)
    most = Math.max(most, rssOf(child.pid!))
  }
  return [
    {
      name: 'RSS of the process tree with no job',
      measured: megabytes(idle),
      bar: '≤ 150',
      holds: idle <= 150e6,
      unit: 'MB',
    },
    {
      name: 'RSS of the process tree with one MLP lease, most within 10 s',
      measured: megabytes(most),
      bar: '≤ 300',
      holds: most <= 300e6,
      unit: 'MB',
    },
  ]
}

/** SIGTERM in the middle of a lease: what was reported before is in the model afterwards, and it is gone soon. */
async function workLost({ pairs }: Flags): Promise<Row[]> {
  await using stage = await Stage.set()
  const lost: number[] = []
  const gone: number[] = []
  for (let i = 0; i < Math.max(3, pairs); i++) {
    const contributor = await stage.net.contribute('lent', ['--cores', '1', '--always'])
    await stage.working()
    let before = await stage.view()
    for (; before.samplesInFlight === 0; before = await stage.view()) await sleep(SAMPLE_MS)
    gone.push(await stage.net.leave(contributor))
    let after = await stage.view()
    for (let waited = 0; waited < 20_000; waited += SAMPLE_MS, after = await stage.view()) {
      if (after.samplesDone >= before.samplesDone + before.samplesInFlight) break
      await sleep(SAMPLE_MS)
    }
    lost.push(Math.max(0, before.samplesDone + before.samplesInFlight - after.samplesDone) / BATCH)
  }
  return [
    {
      name: `steps lost at SIGTERM, of those reported before, most of ${lost.length}`,
      measured: Math.max(...lost),
      bar: '≤ 1',
      holds: Math.max(...lost) <= 1,
    },
    {
      name: `from SIGTERM to the end of the process, slowest of ${gone.length}`,
      measured: Math.max(...gone) / 1000,
      bar: 'printed',
      holds: true,
      unit: 's',
    },
  ]
}

/** Length of rounds in which a killed process would lose much,. */
const LONG_ROUND = '60s'
/** Between two looks at a lease's progress, ms. */
const SPEED_MS = 3_000

/** kill -9 in the middle of a long lease, and a start soon after: how much of the work is not in the model. */
async function workKilled(): Promise<Row[]> {
  await using stage = await Stage.set('mlp', LONG_ROUND)
  const args = ['--cores', '1', '--always']
  const contributor = await stage.net.contribute('lent', args)
  await stage.committed()
  await stage.working()
  await sleep(KEPT_MS)
  const slower = await stage.view()
  await sleep(SPEED_MS)
  const before = await stage.view()
  const perSecond = (before.samplesInFlight - slower.samplesInFlight) / (SPEED_MS / 1000)
  await stage.net.kill(contributor)
  await stage.net.contribute('lent', args)
  await stage.committed(before.samplesDone + 1)
  const lost = before.samplesInFlight - ((await stage.view()).samplesDone - before.samplesDone)
  return [
    {
      name: `work lost at kill -9 in the middle of a round of ${LONG_ROUND}, seconds of it`,
      measured: Math.max(0, lost / perSecond),
      bar: '≤ 10',
      holds: perSecond > 0 ? lost / perSecond <= 10 : null,
      unit: 's',
    },
  ]
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  // the median of an even number lies between the two in the middle
  if (q === 0.5 && sorted.length % 2 === 0) return (sorted[sorted.length / 2 - 1]! + sorted[sorted.length / 2]!) / 2
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]!
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} ${text} is not a number above 0.`)
  return value
}
