import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Engine } from '@pingo/engine'
import { buildProgram, type ProgramOptions } from '@pingo/graph'
import { isPinGoError } from '@pingo/wire'
import { benchmarkBatch, initialOf } from '../packages/engine/src/testing/benchmark-data.ts'
import { type BenchmarkModel, benchmarkModels } from '../packages/engine/src/testing/benchmark-models.ts'
import type { Row } from './run.ts'

export const summary =
  'memory and time of a step in micro-batches and with values computed again (--models gpt,cnn, --steps 8)'

type Name = keyof typeof benchmarkModels
const WARM_UP = 2
/** Shares of what a step needs that are tried as limits, the tightest first. */
const LIMITS = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

export default async function memory(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { models: { type: 'string', default: 'gpt,vit_tiny,cnn' }, steps: { type: 'string', default: '8' } },
  })
  const rows: Row[] = []
  for (const name of values.models.split(',')) {
    if (!Object.hasOwn(benchmarkModels, name))
      throw new Error(`There is no model '${name}'. There are: ${Object.keys(benchmarkModels).join(', ')}.`)
    for (const [plan, options] of plans(benchmarkModels[name as Name]())) {
      const row = await measured(`${name}, ${plan}`, benchmarkModels[name as Name](), options, Number(values.steps))
      console.error(`${row.name}: ${row.measured}`)
      rows.push(row)
    }
  }
  return rows
}

const build = ({ model, loss, optimizer, batch, inputs, target }: BenchmarkModel, how: Partial<ProgramOptions>) => ({
  ...buildProgram(model, { loss, optimizer, batch, inputs, target, ...how }),
  batch,
})

/** Ways to take a step, the last within the least memory that recomputing alone finds. */
function plans(model: BenchmarkModel): [string, Partial<ProgramOptions>][] {
  const found: [string, Partial<ProgramOptions>][] = [
    ['as it is', {}],
    ['2 micro-batches', { accumulate: 2 }],
    ['4 micro-batches', { accumulate: 4 }],
  ]
  const { peakBytes } = build(model, {})
  for (const share of LIMITS) {
    const how = { accumulate: 1, memory: share * peakBytes }
    try {
      build(model, how)
      return [...found, ['recomputing', how]]
    } catch (error) {
      if (!isPinGoError(error, 'GRAPH_MEMORY')) throw error
    }
  }
  return found
}

/** Peak resident memory above the bare import, in a fresh child, and the mean time of a step. */
async function measured(
  name: string,
  model: BenchmarkModel,
  how: Partial<ProgramOptions>,
  steps: number,
): Promise<Row> {
  const program = build(model, how)
  await using engine = await Engine.start()
  const bare = mostResident(engine.pid)
  const trainer = await engine.openTrainer(program)
  const batch = benchmarkBatch(model, 0)
  let [theta, buffers] = [initialOf(program), initialOf(program, 'buffers')]
  let millis = 0
  for (const count of [WARM_UP, steps]) {
    const learningRate = { from: model.learningRate, to: model.learningRate }
    const lease = trainer.train({ theta, buffers, steps: count, learningRate, batch: async () => batch })
    const result = await lease.result
    ;[theta, buffers, millis] = [result.theta, result.buffers, result.millis / count]
  }
  return {
    name: `${name}: ${millis.toFixed(1)} ms a step, ${megabytes(program.peakBytes)} by its shapes; resident above the import`,
    measured: megabytes(mostResident(engine.pid) - bare),
    bar: 'printed',
    holds: true,
  }
}

/** Most resident bytes that a process had so far (Linux; elsewhere not a number). */
function mostResident(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

const megabytes = (bytes: number): string =>
  Number.isFinite(bytes) ? `${(bytes / 1e6).toFixed(0)} MB` : 'unknown here'
