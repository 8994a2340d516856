import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Engine, type TrainBatch } from '@pingo/engine'
import { buildProgram, templates } from '@pingo/graph'
import { type Hardware, OptimizerSchema } from '@pingo/wire'
import { measureFlops } from './benchmark.ts'
import { readHardware } from './offer.ts'

const MLP = { inputs: 784, hidden: 256, classes: 10, batch: 64, steps: 60 }
const DISK_BYTES = 64 * 2 ** 20
const PIECE = 2 ** 20
/** Engines side by side at most: each takes some 80 MB. */
const MAX_ENGINES = 32

export interface MachineBench {
  hardware: Hardware
  /** Float32 matrix products, FLOP/s: of one thread, and of `threads` engines side by side. */
  threadFlops: number
  threads: number
  allFlops: number
  /** A training step of an MLP 784–256–10 with 64 samples by AdamW on one thread, ms. */
  mlpStepMs: number
  /** Written and synced to the disk of the home, bytes per second. */
  diskBytesPerSecond: number
}

/** A short look at what a machine can do, some seconds. What counts is what leases show. */
export async function benchMachine(o: { home: string; cores: number }): Promise<MachineBench> {
  const threads = Math.max(1, Math.min(MAX_ENGINES, Math.floor(o.cores)))
  const threadFlops = await measureFlops()
  const all = await Promise.all(Array.from({ length: threads }, () => measureFlops()))
  return {
    hardware: readHardware(),
    threadFlops,
    threads,
    allFlops: all.reduce((sum, each) => sum + each, 0),
    mlpStepMs: await mlpStep(),
    diskBytesPerSecond: await diskWrite(o.home),
  }
}

async function mlpStep(): Promise<number> {
  const { inputs, hidden, classes, batch, steps } = MLP
  const optimizer = OptimizerSchema.parse({ kind: 'adamw' })
  const program = buildProgram(templates.mlp({ inputs: [inputs], classes, hidden: [hidden] }), {
    loss: 'cross_entropy',
    optimizer,
    batch,
    inputs: [{ name: 'input', column: 'x', dtype: 'float32', shape: [inputs] }],
    target: { name: 'target', column: 'y', dtype: 'int64', shape: [] },
  })
  const theta = Float32Array.from(
    program.parameters.flatMap(({ name }) => [...(program.initial.get(name)!.data as Float32Array)]),
  )
  const sample: TrainBatch = {
    samples: batch,
    tensors: {
      input: Float32Array.from({ length: batch * inputs }, (_, i) => (i % 17) / 17),
      target: BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % classes)),
    },
  }
  const engine = await Engine.start({ threads: 1, niceness: 10 })
  try {
    const trainer = await engine.openTrainer({ ...program, batch, optimizer })
    const request = { buffers: new Float32Array(0), learningRate: { from: 1e-3, to: 1e-3 }, batch: async () => sample }
    await trainer.train({ ...request, theta, steps: 5 }).result
    const { millis } = await trainer.train({ ...request, theta, steps }).result
    return millis / steps
  } finally {
    await engine.close()
  }
}

async function diskWrite(home: string): Promise<number> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  const path = join(home, `bench.${process.pid}`)
  const piece = Buffer.alloc(PIECE, 0x5a)
  const handle = await open(path, 'wx', 0o600)
  try {
    const start = performance.now()
    for (let at = 0; at < DISK_BYTES; at += PIECE) await handle.write(piece, 0, PIECE, at)
    await handle.sync()
    return DISK_BYTES / ((performance.now() - start) / 1000)
  } finally {
    await handle.close()
    await rm(path, { force: true })
  }
}
