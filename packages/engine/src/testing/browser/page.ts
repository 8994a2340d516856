/** The page that tests and benches drive: hands them the engine, and the models that the Node side trains too. */
import { BrowserEngine } from '../../browser/index.ts'
import { benchmarkBatch, benchmarkProgram, initialOf } from '../benchmark-data.ts'
import { benchmarkModels } from '../benchmark-models.ts'
import { unary } from '../onnx.ts'
import { linearProgram } from '../programs.ts'

export interface Run {
  losses: number[]
  /** Milliseconds of each step in the worker. */
  millis: number[]
  theta: number[]
  threads: number
}

/** Trains a benchmark model from its initial weights. */
async function train(
  name: keyof typeof benchmarkModels,
  steps: number,
  options: { threads?: number; wasmPaths?: string } = {},
): Promise<Run> {
  const benchmark = benchmarkModels[name]()
  const program = benchmarkProgram(benchmark)
  const batches = Array.from({ length: steps }, (_, i) => benchmarkBatch(benchmark, i))
  const engine = await BrowserEngine.start({ wasmPaths: '/ort/', ...options })
  try {
    const trainer = await engine.openTrainer(program)
    const losses: number[] = []
    const millis: number[] = []
    const { theta } = await trainer.train({
      theta: initialOf(program),
      buffers: initialOf(program, 'buffers'),
      steps,
      learningRate: { from: benchmark.learningRate, to: benchmark.learningRate },
      batch: async (i) => batches[i]!,
      onStep: ({ loss, msPerStep }) => {
        losses.push(loss)
        millis.push(msPerStep)
      },
    }).result
    return { losses, millis, theta: [...theta], threads: engine.info.threads }
  } finally {
    await engine.close()
  }
}

const shown = { BrowserEngine, train, linearProgram, unary }

declare global {
  /** What the page shows to the tests. */
  var pingo: typeof shown
}
globalThis.pingo = shown
