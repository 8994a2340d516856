import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Engine, type Trainer } from '@pingo/engine'
import { buildProgram } from '@pingo/graph'
import { benchmarkBatch, benchmarkProgram, initialOf } from '../packages/engine/src/testing/benchmark-data.ts'
import { type BenchmarkModel, benchmarkModels } from '../packages/engine/src/testing/benchmark-models.ts'
import { findPyTorch, PyTorch } from './engine/pytorch.ts'
import { thousandNodes } from './engine/thousand-nodes.ts'
import { peakOf, touch } from './engine/yardstick.ts'
import type { Row } from './run.ts'

export const summary =
  'training steps and memory of six models on one core against PyTorch (--models mlp,cnn, --pairs 15, --steps 20; --record commits PyTorch’s times)'

type Name = keyof typeof benchmarkModels

/** Each model's bar: time of a step, as a share of PyTorch's. */
const BARS: Record<Name, number> = { mlp: 0.9, cnn: 0.75, gpt: 0.85, resnet18: 1.1, lstm: 1.1, vit_tiny: 1.1 }
const MEMORY_BAR = 0.8
/** How a step is planned, for time and memory alike, where a plan saves memory at (nearly) no cost; settings of jobs, too. */
const PLANS: Partial<Record<Name, { accumulate?: number; memory?: number; label: string }>> = {
  cnn: { accumulate: 2, label: 'in 2 micro-batches' },
  gpt: { accumulate: 1, memory: 42e6, label: 'recomputing a little' },
  resnet18: { memory: 225e6, label: 'recomputing a little' },
  vit_tiny: { accumulate: 1, memory: 210e6, label: 'recomputing a little' },
}
const BUILD_BAR_MS = 1000
/** Steps of one half of a pair take about this long: less than a lease of the network has by default. */
const HALF_MS = 3000
const WARM_UP_MS = 600
const MEMORY_STEPS = 12
const MEMORY_PAIRS = 5

/** One side of a comparison: milliseconds a step, the mean of `steps`. */
interface Side {
  train(steps: number): Promise<number>
}

export default async function engine(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: {
      models: { type: 'string', default: Object.keys(BARS).join(',') },
      pairs: { type: 'string', default: '15' },
      steps: { type: 'string' },
      record: { type: 'boolean', default: false },
    },
  })
  const names = values.models.split(',').map((name) => {
    if (!Object.hasOwn(BARS, name))
      throw new Error(`There is no model '${name}'. There are: ${Object.keys(BARS).join(', ')}.`)
    return name as Name
  })
  const pairs = Number(values.pairs)
  const found = findPyTorch()
  if (values.record) {
    if ('missing' in found) throw new Error(`${found.missing}: there is nothing to record.`)
    return record(found.python, names)
  }
  if ('missing' in found) console.error(`${found.missing}: times are told against the committed reference.`)
  const rows: Row[] = []
  for (const name of names) {
    const model = benchmarkModels[name]()
    const row =
      'python' in found
        ? await against(found.python, name, model, pairs, values.steps ? Number(values.steps) : undefined)
        : await againstCommitted(name, model, pairs)
    rows.push(row)
    console.error(`${row.name}: ${typeof row.measured === 'number' ? row.measured.toFixed(3) : row.measured}`)
    if ('python' in found) rows.push(await memory(found.python, name, model))
  }
  rows.push(await building())
  return rows
}

/** Interleaved pairs of the two, each with so many steps that it takes a while. */
async function against(
  python: string,
  name: Name,
  model: BenchmarkModel,
  pairs: number,
  given: number | undefined,
): Promise<Row> {
  await using ours = await Ours.start(model)
  const theirs = await PyTorch.start(python, name)
  try {
    const first = Math.max(await ours.train(3), await theirs.train(3))
    const steps = given ?? Math.max(2, Math.round(HALF_MS / first))
    const warm = Math.max(2, Math.round(WARM_UP_MS / first))
    await ours.train(warm)
    await theirs.train(warm)
    const sides: [Side, Side] = [ours, theirs]
    const times: [number, number][] = []
    for (let pair = 0; pair < pairs; pair++) {
      // Who goes first changes, so that neither has the machine's better half.
      const order = pair % 2 ? [1, 0] : [0, 1]
      const both: [number, number] = [0, 0]
      for (const side of order) both[side] = await sides[side]!.train(steps)
      times.push(both)
    }
    const [low, median, high] = interval(times.map(([a, b]) => a / b))
    const [mine, reference] = [0, 1].map((side) => interval(times.map((both) => both[side]!))[1])
    return {
      name: `${labelOf(name)}: ${mine!.toFixed(2)} ms a step, PyTorch ${reference!.toFixed(2)}; ratio (median of ${pairs} pairs, 95 % within ${low.toFixed(3)} … ${high.toFixed(3)})`,
      measured: median,
      bar: `≤ ${BARS[name]}`,
      holds: median <= BARS[name],
    }
  } finally {
    theirs.close()
  }
}

const COMMITTED = new URL('./engine/pytorch.json', import.meta.url)
const RECORDED_STEPS = 30

/** Writes PyTorch's times in units of this machine's peak, for machines without PyTorch. */
async function record(python: string, names: Name[]): Promise<Row[]> {
  const gigaflopsTimesMillis: Record<string, number> = {}
  await using engine = await Engine.start()
  for (const name of names) {
    const theirs = await PyTorch.start(python, name)
    try {
      await theirs.train(RECORDED_STEPS)
      const peak = await peakOf(engine)
      gigaflopsTimesMillis[name] = Math.round(peak * (await theirs.train(RECORDED_STEPS)))
    } finally {
      theirs.close()
    }
  }
  writeFileSync(COMMITTED, `${JSON.stringify({ gigaflopsTimesMillis }, null, 2)}\n`)
  return Object.entries(gigaflopsTimesMillis).map(([name, measured]) => ({
    name: `${name}: PyTorch's time of a step times this machine's peak`,
    measured,
    bar: 'printed',
    holds: true,
    unit: 'GFLOP/s · ms',
  }))
}

/** Without PyTorch: its committed time, told in products of the machine's measured peak, against ours told so. */
async function againstCommitted(name: Name, model: BenchmarkModel, pairs: number): Promise<Row> {
  const committed = JSON.parse(readFileSync(COMMITTED, 'utf8'))
  await using ours = await Ours.start(model)
  const steps = Math.max(2, Math.round(HALF_MS / (await ours.train(3))))
  const ratios: number[] = []
  for (let pair = 0; pair < pairs; pair++) {
    const peak = await peakOf(ours.engine)
    ratios.push(((await ours.train(steps)) * peak) / committed.gigaflopsTimesMillis[name])
  }
  const [low, median, high] = interval(ratios)
  return {
    name: `${name}: against PyTorch's committed time in units of this machine's peak (95 % within ${low.toFixed(3)} … ${high.toFixed(3)})`,
    measured: median,
    bar: `≤ ${BARS[name]}`,
    holds: median <= BARS[name],
  }
}

/**
 * Peak resident memory above a process that has computed one product, both fresh, over the same number of steps: the median of some pairs, for pages are
 * large and what lies beside what differs from process to process, on both sides.
 */
async function memory(python: string, name: Name, model: BenchmarkModel): Promise<Row> {
  const pairs: [mine: number, reference: number][] = []
  while (pairs.length < MEMORY_PAIRS) {
    await using ours = await Ours.start(model)
    await ours.train(MEMORY_STEPS)
    const theirs = await PyTorch.start(python, name)
    try {
      await theirs.train(MEMORY_STEPS)
      pairs.push([ours.memory(), await theirs.memory()])
    } finally {
      theirs.close()
    }
  }
  const [low, ratio, high] = interval(pairs.map(([mine, reference]) => mine / reference))
  const [mine, reference] = [0, 1].map((side) => interval(pairs.map((pair) => pair[side]!))[1])
  const known = Number.isFinite(ratio)
  return {
    name: `${labelOf(name)}: peak memory above the import and one product ${megabytes(mine!)}, PyTorch ${megabytes(reference!)}; ratio (median of ${MEMORY_PAIRS} pairs, ${low.toFixed(3)} … ${high.toFixed(3)})`,
    measured: known ? ratio : 'unknown here',
    bar: `≤ ${MEMORY_BAR}`,
    holds: known ? ratio <= MEMORY_BAR : null,
  }
}

/** How long the training graph of a model of a thousand nodes takes to build. */
async function building(): Promise<Row> {
  const { model, options, nodes } = thousandNodes()
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const began = performance.now()
    buildProgram(model, options)
    times.push(performance.now() - began)
  }
  const [, median] = interval(times)
  return {
    name: `building the step and evaluation graphs of a model of ${nodes} nodes`,
    measured: median,
    bar: `≤ ${BUILD_BAR_MS}`,
    holds: median <= BUILD_BAR_MS,
    unit: 'ms',
  }
}

/** The engine with one model in it. */
class Ours implements Side {
  readonly engine: Engine
  readonly #trainer: Trainer
  readonly #model: BenchmarkModel
  readonly #bare: number
  #theta: Float32Array
  #buffers: Float32Array

  static async start(model: BenchmarkModel): Promise<Ours> {
    const engine = await Engine.start()
    await touch(engine)
    const bare = mostResident(engine.pid)
    const program = benchmarkProgram(model, PLANS[model.name as Name])
    const trainer = await engine.openTrainer(program)
    return new Ours(engine, trainer, model, bare, initialOf(program), initialOf(program, 'buffers'))
  }

  private constructor(
    engine: Engine,
    trainer: Trainer,
    model: BenchmarkModel,
    bare: number,
    theta: Float32Array,
    buffers: Float32Array,
  ) {
    this.engine = engine
    this.#trainer = trainer
    this.#model = model
    this.#bare = bare
    this.#theta = theta
    this.#buffers = buffers
  }

  /** Wall time of a lease, with all that goes to and fro between the processes. */
  async train(steps: number): Promise<number> {
    const batch = benchmarkBatch(this.#model, 0)
    const { millis, theta, buffers } = await this.#trainer.train({
      theta: this.#theta,
      buffers: this.#buffers,
      steps,
      learningRate: { from: this.#model.learningRate, to: this.#model.learningRate },
      batch: async () => batch,
    }).result
    this.#theta = theta
    this.#buffers = buffers
    return millis / steps
  }

  memory(): number {
    return mostResident(this.engine.pid) - this.#bare
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.engine.close()
  }
}

/** Most resident bytes that a process had so far (Linux; elsewhere not a number). */
function mostResident(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** The median, and the order statistics around it that hold the true median with 95 % (binomial). */
function interval(values: number[]): [low: number, median: number, high: number] {
  const sorted = values.toSorted((a, b) => a - b)
  const n = sorted.length
  const reach = Math.floor((n - 1.96 * Math.sqrt(n)) / 2)
  const low = Math.max(0, reach)
  const median = n % 2 ? sorted[n >> 1]! : (sorted[n / 2 - 1]! + sorted[n / 2]!) / 2
  return [sorted[low]!, median, sorted[n - 1 - low]!]
}

const labelOf = (name: Name): string => (PLANS[name] ? `${name} (${PLANS[name].label})` : name)

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`
