import { Engine } from '../index.ts'
import { linearProgram } from './programs.ts'

const FEATURES = 64
const BATCH = 32

const request = (steps: number) => ({
  theta: new Float32Array(FEATURES).fill(0.1),
  buffers: new Float32Array(1),
  steps,
  learningRate: () => 1e-3,
  batch: async (i: number) => ({
    samples: BATCH,
    tensors: {
      x: Float32Array.from({ length: FEATURES * BATCH }, (_, k) => Math.sin(i + k)),
      target: Float32Array.from({ length: BATCH }, (_, k) => Math.cos(i * k)),
    },
  }),
})

/** Somebody's honest lease, to run beside what is not: a step each 5 ms, for as long as it takes. */
export async function neighbour() {
  const engine = await Engine.start({ isolation: 'native' })
  const trainer = await engine.openTrainer(linearProgram(FEATURES, BATCH))
  const slow = request(1_000_000)
  const training = trainer.train({
    ...slow,
    batch: async (i) => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return slow.batch(i)
    },
  })
  training.result.catch(() => {})
  return {
    engine,
    /** Stops it; `same`: it came to the bits that as many steps alone come to. */
    async end(): Promise<{ steps: number; same: boolean }> {
      training.stop()
      const { theta, steps } = await training.result
      const alone = await (await engine.openTrainer(linearProgram(FEATURES, BATCH))).train(request(steps)).result
      return { steps, same: Buffer.compare(Buffer.from(theta.buffer), Buffer.from(alone.theta.buffer)) === 0 }
    },
    close: () => engine.close(),
  }
}
