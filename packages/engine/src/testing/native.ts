import { sizeOf } from '@pingo/wire'
import { Engine } from '../index.ts'
import { benchmarkBatch, benchmarkProgram, initialOf } from './benchmark-data.ts'
import type { BenchmarkModel } from './benchmark-models.ts'

export interface NativeRun {
  /** Mean loss of each step. */
  losses: number[]
  /** Milliseconds of each step in the child. */
  millis: number[]
  theta: Float32Array
  /** Views on theta, by parameter. */
  weights: Map<string, Float32Array>
}

/** Trains a benchmark model from its initial weights in an engine of its own, one thread. */
export async function trainNatively(benchmark: BenchmarkModel, steps: number): Promise<NativeRun> {
  const program = benchmarkProgram(benchmark)
  await using engine = await Engine.start()
  const trainer = await engine.openTrainer(program)
  const losses: number[] = []
  const millis: number[] = []
  const { theta } = await trainer.train({
    theta: initialOf(program),
    buffers: initialOf(program, 'buffers'),
    steps,
    learningRate: { from: benchmark.learningRate, to: benchmark.learningRate },
    batch: async (i) => benchmarkBatch(benchmark, i),
    onStep: ({ loss, msPerStep }) => {
      losses.push(loss)
      millis.push(msPerStep)
    },
  }).result
  const weights = new Map<string, Float32Array>()
  let at = 0
  for (const { name, shape } of program.parameters) weights.set(name, theta.subarray(at, (at += sizeOf(shape))))
  return { losses, millis, theta, weights }
}
