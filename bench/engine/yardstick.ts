import type { Engine } from '@pingo/engine'
import { writeModel } from '@pingo/graph'

const SIZE = 512
const RUNS = 8

/** This machine's measured peak on one core, GFLOP/s: the fastest of some float32 matrix products of 512 × 512. */
export async function peakOf(engine: Engine): Promise<number> {
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: [SIZE, SIZE] })
  const products = Array.from({ length: RUNS }, (_, i) => ({
    name: `product${i}`,
    op: 'MatMul',
    domain: '',
    inputs: [i ? `y${i - 1}` : 'x', 'x'],
    outputs: [`y${i}`],
    attributes: {},
  }))
  const session = await engine.open(
    writeModel({
      irVersion: 8,
      opset: 18,
      producer: 'pingo',
      metadata: {},
      graph: {
        name: 'peak',
        nodes: products,
        inputs: [value('x')],
        outputs: [value(`y${RUNS - 1}`)],
        initializers: new Map(),
      },
    }),
  )
  const x = { dtype: 'float32' as const, shape: [SIZE, SIZE], data: new Float32Array(SIZE * SIZE).fill(1 / SIZE) }
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 5; i++) {
    const began = performance.now()
    await session.run({ x })
    best = Math.min(best, performance.now() - began)
  }
  await session.close()
  return (RUNS * 2 * SIZE ** 3) / best / 1e6
}
