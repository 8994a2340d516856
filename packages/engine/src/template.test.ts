import assert from 'node:assert/strict'
import { it } from 'node:test'
import { buildProgram, optimizerScalars, templates } from '@pingo/graph'
import { OptimizerSchema, sizeOf } from '@pingo/wire'
import type { Tensor } from 'onnxruntime-common'
import { Engine, type TrainBatch } from './index.ts'

const BATCH = 8
const STEPS = 12
const RATE = 0.01
const optimizer = OptimizerSchema.parse({ kind: 'adamw', weightDecay: 0.01, clip: 1 })

/** A CNN, uint8 images, AdamW with clipping: all that a real program has. */
const program = buildProgram(templates.cnn({ shape: [1, 8, 8], classes: 3, channels: [4, 8], dense: 16 }), {
  loss: 'cross_entropy',
  optimizer,
  batch: BATCH,
  inputs: [{ name: 'input', column: 'image', dtype: 'uint8', shape: [1, 8, 8] }],
  logical: { input: { scale: 1 / 255 } },
  target: { name: 'target', column: 'label', dtype: 'int64', shape: [] },
})

/** Images whose brightness tells their class. */
function batchOf(i: number): TrainBatch {
  const target = BigInt64Array.from({ length: BATCH }, (_, k) => BigInt((k + i) % 3))
  const input = Uint8Array.from({ length: BATCH * 64 }, (_, k) => 80 * Number(target[k >> 6]!) + ((k * 37 + i) % 60))
  return { samples: BATCH, tensors: { input, target } }
}

const theta = Float32Array.from(
  program.parameters.flatMap(({ name }) => [...(program.initial.get(name)!.data as Float32Array)]),
)

/** The same steps by ONNX Runtime in this process, as one writes them by hand. */
async function byHand(): Promise<{ theta: Float32Array; losses: number[] }> {
  process.env.ORT_DISABLE_TELEMETRY = '1'
  const ort = await import('onnxruntime-node')
  const session = await ort.InferenceSession.create(program.step, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const tensor = (data: Float32Array, shape: number[]): Tensor => new ort.Tensor('float32', data, shape)
  let kept: Record<string, Tensor> = {}
  for (const { name, shape } of program.parameters)
    kept[name] = tensor(program.initial.get(name)!.data as Float32Array, shape)
  for (const { name, shape } of program.state) kept[name] = tensor(new Float32Array(sizeOf(shape)), shape)
  const scalars = optimizerScalars(optimizer)
  const losses: number[] = []
  for (let i = 0; i < STEPS; i++) {
    const { input, target } = batchOf(i).tensors
    const feeds: Record<string, Tensor> = {
      ...kept,
      input: new ort.Tensor('uint8', input as Uint8Array, [BATCH, 1, 8, 8]),
      target: new ort.Tensor('int64', target as BigInt64Array, [BATCH]),
      sample_weight: tensor(new Float32Array(BATCH).fill(1), [BATCH]),
    }
    for (const [name, value] of Object.entries(scalars.at(i + 1, RATE)))
      feeds[name] = tensor(Float32Array.of(value), [])
    const results = await session.run(feeds)
    kept = Object.fromEntries(Object.keys(kept).map((name) => [name, results[`next.${name}`]!]))
    losses.push((results.loss!.data as Float32Array)[0]!)
  }
  const flat = program.parameters.flatMap(({ name }) => [...(kept[name]!.data as Float32Array)])
  return { theta: Float32Array.from(flat), losses }
}

it('trains a real program to the same bits as a loop by hand, also in two leases, and nearly so as WebAssembly', async () => {
  const wanted = await byHand()
  assert.ok(wanted.losses.at(-1)! < wanted.losses[0]!, 'it learns')
  for (const runtime of ['native', 'wasm'] as const) {
    await using engine = await Engine.start({ runtime })
    const trainer = await engine.openTrainer({ ...program, batch: BATCH, optimizer })
    const losses: number[] = []
    const request = { buffers: new Float32Array(0), learningRate: { from: RATE, to: RATE } }
    const onStep = ({ loss }: { loss: number }): void => {
      losses.push(loss)
    }
    const first = await trainer.train({ ...request, theta, steps: 5, onStep, batch: async (i) => batchOf(i) }).result
    const second = await trainer.train({
      ...request,
      theta: first.theta,
      steps: STEPS - 5,
      onStep,
      batch: async (i) => batchOf(i + 5),
    }).result
    if (runtime === 'native') {
      assert.deepEqual(losses, wanted.losses)
      assert.deepEqual(second.theta, wanted.theta)
    } else {
      const apart = losses.map((loss, i) => Math.abs(loss - wanted.losses[i]!))
      assert.ok(Math.max(...apart) < 1e-3, `losses are ${Math.max(...apart)} apart`)
    }
  }
})
