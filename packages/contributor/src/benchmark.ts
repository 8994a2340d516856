import { readFile, rename, writeFile } from 'node:fs/promises'
import { Engine } from '@pingo/engine'
import { writeModel } from '@pingo/graph'
import type { Hardware } from '@pingo/wire'
import { z } from 'zod'

const SIZE = 256
const LAYERS = 8
const RUN_MS = 150

const CacheSchema = z.object({ hardware: z.string(), flops: z.number().positive() })

/**
 * Float32 throughput of one thread, FLOP/s: a chain of 256×256 matrix products in the engine. An estimate for planning only;
 * what counts is what leases show. Kept in `file` for as long as the hardware stays the same.
 */
export async function benchmark(file: string, hardware: Hardware): Promise<number> {
  const key = JSON.stringify([hardware.platform, hardware.cpu, hardware.runtime])
  const cached = CacheSchema.safeParse(await readJson(file))
  if (cached.success && cached.data.hardware === key) return cached.data.flops
  const flops = await measureFlops()
  await writeFile(`${file}.${process.pid}`, JSON.stringify({ hardware: key, flops }))
  await rename(`${file}.${process.pid}`, file)
  return flops
}

/** FLOP/s of one thread, measured now. */
export async function measureFlops(): Promise<number> {
  const engine = await Engine.start({ niceness: 10 })
  try {
    const session = await engine.open(chain())
    const feeds = {
      x0: { dtype: 'float32', shape: [SIZE, SIZE], data: new Float32Array(SIZE * SIZE).fill(1 / SIZE) },
    } as const
    await session.run(feeds)
    let [runs, best] = [0, Number.POSITIVE_INFINITY]
    for (const start = performance.now(); performance.now() - start < RUN_MS || runs < 3; runs++) {
      const before = performance.now()
      await session.run(feeds)
      best = Math.min(best, performance.now() - before)
    }
    return (2 * SIZE ** 3 * LAYERS) / (best / 1000)
  } finally {
    await engine.close()
  }
}

function chain(): Uint8Array {
  const names = Array.from({ length: LAYERS + 1 }, (_, i) => `x${i}`)
  const square = { dtype: 'float32' as const, shape: [SIZE, SIZE] }
  return writeModel({
    irVersion: 8,
    opset: 17,
    producer: 'pingo',
    metadata: {},
    graph: {
      name: 'benchmark',
      nodes: Array.from({ length: LAYERS }, (_, i) => ({
        name: `n${i}`,
        op: 'MatMul',
        domain: '',
        inputs: [names[i]!, 'x0'],
        outputs: [names[i + 1]!],
        attributes: {},
      })),
      inputs: [{ name: 'x0', ...square }],
      outputs: [{ name: names.at(-1)!, ...square }],
      initializers: new Map(),
    },
  })
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}
