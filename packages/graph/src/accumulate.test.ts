import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type BatchInput, isPinGoError, type OptimizerInput, sizeOf, type Tensor } from '@pingo/wire'
import { buildProgram, type Model, optimizerScalars, type ProgramOptions, parseModel, templates } from './index.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { distance, runOnce } from './testing/runtime.ts'

const random = new Random(29)
const draw = (shape: number[], f: () => number, dtype: 'float32' | 'int32' = 'float32') =>
  tensorOf(dtype, shape, Array.from({ length: sizeOf(shape) }, f))
const normals = (...shape: number[]) => draw(shape, () => random.normal())
const ids = (classes: number, ...shape: number[]) => draw(shape, () => Math.floor(random.uniform() * classes), 'int32')
const spec = (name: string, { dtype, shape }: Tensor): BatchInput => ({
  name,
  column: name,
  dtype: dtype as BatchInput['dtype'],
  shape: shape.slice(1),
})

/** A step of SGD with momentum and clipping on a batch of which the last samples may be padding. */
async function step(
  model: Model,
  o: { loss: ProgramOptions['loss']; x: Tensor; target: Tensor; weights: number[]; accumulate?: number },
  optimizer: OptimizerInput = { kind: 'sgd', momentum: 0.9, weightDecay: 0.1, clip: 0.5 },
) {
  const program = buildProgram(model, {
    loss: o.loss,
    optimizer,
    batch: o.x.shape[0]!,
    inputs: [spec('input', o.x)],
    target: spec('target', o.target),
    ...(o.accumulate ? { accumulate: o.accumulate } : {}),
  })
  const scalars = Object.entries(optimizerScalars(program.optimizer).at(1, 0.1))
  const out = await runOnce(program.step, [
    ...program.initial,
    ...program.state.map(({ name, shape }): [string, Tensor] => [name, tensorOf('float32', shape, [])]),
    ...scalars.map(([name, value]): [string, Tensor] => [name, tensorOf('float32', [], [value])]),
    ['input', o.x],
    ['target', o.target],
    ['sample_weight', tensorOf('float32', [o.weights.length], o.weights)],
  ])
  return { program, out }
}

const fixture = (name: string) => parseModel(readFileSync(new URL(`../fixtures/${name}.onnx`, import.meta.url)))
const gpt = templates.gpt({ vocabulary: 11, context: 5, layers: 1, heads: 2, width: 8 })
const tokens = ids(11, 8, 5)
const some = ids(11, 8, 5)
for (const i of [0, 1, 2, 3, 4, 11, 23]) (some.data as Int32Array)[i] = -1
/** A model exported for one sample, with another batch. */
const vitOfOne = fixture('vit_batch_1')

for (const [name, model, loss, x, target] of [
  [
    'a CNN',
    templates.cnn({ shape: [1, 8, 8], classes: 3, channels: [4, 6] }),
    'cross_entropy',
    normals(8, 1, 8, 8),
    ids(3, 8),
  ],
  ['a transformer', gpt, 'cross_entropy', tokens, ids(11, 8, 5)],
  ['ignored positions', gpt, { kind: 'cross_entropy', ignoreIndex: -1 }, tokens, some],
  ['a regression', templates.mlp({ inputs: [4], outputs: 2 }), 'huber', normals(8, 4), normals(8, 2)],
  ['a fixed batch', vitOfOne, 'cross_entropy', normals(8, 3, 8, 8), ids(6, 8)],
] as const)
  for (const accumulate of [2, 4, 8])
    test(`${name}: ${accumulate} micro-batches step as the whole batch does`, async () => {
      const weights = [1, 1, 1, 1, 1, 0, 0, 0]
      const whole = await step(model, { loss, x, target, weights })
      const cut = await step(model, { loss, x, target, weights, accumulate })
      assert.deepEqual(
        { ...cut.program, step: 0, evaluate: 0, flopsPerSample: 0, peakBytes: 0 },
        { ...whole.program, step: 0, evaluate: 0, flopsPerSample: 0, peakBytes: 0 },
      )
      for (const [key, { data }] of whole.out) {
        const d = distance(cut.out.get(key)!.data, data)
        assert.ok(d < 1e-5, `${key}: ${d}`)
      }
    })

test('batch statistics are those of the micro-batches, running ones see all of them, and a note says so', async () => {
  const model = fixture('resnet')
  const [x, target] = [normals(4, 3, 12, 12), ids(5, 4)]
  const sgd: OptimizerInput = { kind: 'sgd' }
  const both = await step(model, { loss: 'cross_entropy', x, target, weights: [1, 1, 1, 1], accumulate: 2 }, sgd)
  assert.match(both.program.notes.join(), /each of the 2 micro-batches/)
  const half = (t: Tensor, i: number): Tensor => {
    const size = t.data.length / 2
    return {
      dtype: t.dtype,
      shape: [2, ...t.shape.slice(1)],
      data: t.data.slice(i * size, (i + 1) * size) as Tensor['data'],
    }
  }
  const parts = await Promise.all(
    [0, 1].map((i) =>
      step(model, { loss: 'cross_entropy', x: half(x, i), target: half(target, i), weights: [1, 1] }, sgd),
    ),
  )
  const { buffers, parameters, initial } = both.program
  assert.ok(buffers.length > 0)
  const name = buffers.find((b) => b.name.includes('mean'))!.name
  const [before, first, second, after] = [
    initial.get(name)!,
    ...parts.map(({ out }) => out.get(`next.${name}`)!),
    both.out.get(`next.${name}`)!,
  ].map((t) => Array.from(t!.data as Float32Array))
  // Each part alone moves r to r·m + s·(1-m); one after the other gives second + m·(first - r), m = 0.9.
  for (const [i, value] of after!.entries())
    assert.ok(Math.abs(value - (second![i]! + 0.9 * (first![i]! - before![i]!))) < 1e-5)
  // Padding repeats real samples of the whole batch: a micro-batch of padding alone moves nothing wildly.
  const short = await step(model, { loss: 'cross_entropy', x, target, weights: [1, 1, 0, 0], accumulate: 2 }, sgd)
  const alone = parts[0]!.out
  for (const { name: w } of parameters)
    assert.ok(distance(short.out.get(`next.${w}`)!.data, alone.get(`next.${w}`)!.data) < 1e-4, w)
})

test('a batch that cannot be cut is refused', () => {
  const model = templates.mlp({ inputs: [4], classes: 3 })
  for (const accumulate of [3, 0, 1.5, 16])
    assert.throws(
      () =>
        buildProgram(model, {
          loss: 'cross_entropy',
          optimizer: { kind: 'sgd' },
          batch: 8,
          inputs: [spec('input', normals(8, 4))],
          target: spec('target', ids(3, 8)),
          accumulate,
        }),
      (error: unknown) => isPinGoError(error, 'GRAPH_BATCH_INVALID'),
    )
})
