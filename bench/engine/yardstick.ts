import type { Engine, Session } from '@pingo/engine'
import { writeModel } from '@pingo/graph'

const SIZE = 512
const RUNS = 8

/** A session of `runs` products, each of the last one's result and the input, float32 [size, size]. */
function products(engine: Engine, size: number, runs: number): Promise<Session> {
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: [size, size] })
  const nodes = Array.from({ length: runs }, (_, i) => ({
    name: `product${i}`,
    op: 'MatMul',
    domain: '',
    inputs: [i ? `y${i - 1}` : 'x', 'x'],
    outputs: [`y${i}`],
    attributes: {},
  }))
  const graph = { name: 'products', nodes, inputs: [value('x')], outputs: [value(`y${runs - 1}`)] }
  return engine.open(
    writeModel({
      irVersion: 8,
      opset: 18,
      producer: 'pingo',
      metadata: {},
      graph: { ...graph, initializers: new Map() },
    }),
  )
}

const square = (size: number) => ({
  dtype: 'float32' as const,
  shape: [size, size],
  data: new Float32Array(size * size).fill(1 / size),
})

/** This machine's measured peak on one core, GFLOP/s: the fastest of some float32 matrix products of 512 × 512. */
export async function peakOf(engine: Engine): Promise<number> {
  const session = await products(engine, SIZE, RUNS)
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 5; i++) {
    const began = performance.now()
    await session.run({ x: square(SIZE) })
    best = Math.min(best, performance.now() - began)
  }
  await session.close()
  return (RUNS * 2 * SIZE ** 3) / best / 1e6
}

/** One small product, after which the runtime's own code is in memory. */
export async function touch(engine: Engine): Promise<void> {
  const session = await products(engine, 64, 1)
  await session.run({ x: square(64) })
  await session.close()
}
