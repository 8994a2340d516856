import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isPinGoError, type LossInput, readSafetensors, type Tensor } from '@pingo/wire'
import { type BatchGradientOptions, buildBatchGradients, type Model, parseModel, withWeights } from './index.ts'
import { float, int } from './model.ts'
import { tensorOf } from './tensors.ts'
import { distance, runOnce } from './testing/runtime.ts'

const TOLERANCE = 1e-4
const folder = new URL('../fixtures/batches/', import.meta.url)
const read = (name: string) => ({
  model: parseModel(readFileSync(new URL(`${name}.onnx`, folder))),
  ...readSafetensors(readFileSync(new URL(`${name}.safetensors`, folder))),
})
const specOf = (name: string, { dtype, shape }: Tensor) => ({ name, dtype, shape: [...shape] })

async function gradientsOf(
  model: Model,
  tensors: ReadonlyMap<string, Tensor>,
  more: Partial<BatchGradientOptions> = {},
) {
  const names = [...tensors.keys()].filter((name) => name !== 'target' && !name.startsWith('expect.'))
  const target = tensors.get('target')
  const built = buildBatchGradients(model, {
    loss: 'cross_entropy',
    inputs: names.map((name) => ({ name, ...tensors.get(name)! })),
    ...(target ? { target: specOf('target', target) } : {}),
    ...more,
  })
  const weights = tensorOf('float32', [built.samples], new Array(built.samples).fill(1))
  const feeds = [...built.feeds].map(([input, name]): [string, Tensor] => [input, tensors.get(name)!])
  const all: [string, Tensor][] = [...built.initial, ...feeds, ['sample_weight', weights]]
  return { built, results: await runOnce(built.graph, target ? [...all, ['target', target]] : all) }
}

for (const file of readdirSync(folder).filter((f) => f.endsWith('.onnx'))) {
  const name = file.slice(0, -5)
  test(`${name}: loss, output and every gradient are PyTorch's`, async () => {
    const { model, tensors, metadata } = read(name)
    const { built, results } = await gradientsOf(model, tensors, { loss: metadata.loss as LossInput })
    for (const [key, expected] of tensors) {
      if (!key.startsWith('expect.')) continue
      const got = results.get(key.slice('expect.'.length))
      assert.ok(got, `${key} among ${[...results.keys()]}`)
      assert.deepEqual(got.shape, expected.shape, key)
      const d = distance(got.data, expected.data)
      assert.ok(d <= TOLERANCE, `${key}: ${d}`)
    }
    assert.equal(built.training, name.startsWith('half_frozen'))
  })
}

test('the mode of batch normalisation can be set against the file', async () => {
  const { model, tensors } = read('half_frozen')
  const losses = await Promise.all(
    ([true, false, 'file'] as const).map(async (training) =>
      Number((await gradientsOf(model, tensors, { training })).results.get('loss')!.data[0]),
    ),
  )
  assert.equal(new Set(losses).size, 3)
})

test('a head folded out of its embedding stays tied to it when the trained weights are put back', () => {
  const { model } = read('tied_folded')
  const old = model.graph.initializers.get('e.weight')!
  const next = tensorOf(
    'float32',
    old.shape,
    Array.from(old.data as Float32Array, (x) => x + 1),
  )
  const { initializers } = withWeights(model, new Map([['e.weight', next]])).graph
  const [copy, tensor] = [...initializers].find(([name]) => name.startsWith('onnx::MatMul'))!
  assert.deepEqual(tensor.shape, [6, 11], copy)
  for (const [i, j] of [
    [0, 0],
    [2, 7],
    [5, 10],
  ] as const)
    assert.equal(tensor.data[i * 11 + j], next.data[j * 6 + i])
})

const linear = (): Model => ({
  irVersion: 8,
  opset: 17,
  producer: 'test',
  metadata: {},
  graph: {
    name: 'g',
    nodes: [
      {
        name: 'fc',
        op: 'Gemm',
        domain: '',
        inputs: ['x', 'w'],
        outputs: ['y'],
        attributes: { transB: int(1), alpha: float(1) },
      },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [1, 2] }],
    initializers: new Map([['w', tensorOf('float32', [2, 2], [1, -2, 3, -20000])]]),
  },
})

test('a weight is not taken for a mask, and a batch other than the fixed one of the file is taken', async () => {
  const x = tensorOf('float32', [3, 2], [1, 2, 3, 4, 5, 6])
  const target = tensorOf('float32', [3, 2], new Array(6).fill(0))
  const { results } = await gradientsOf(
    linear(),
    new Map([
      ['input', x],
      ['target', target],
    ]),
    { loss: 'mse' },
  )
  // d mean(y²) / dw = 2/6 yᵀ x
  const y = [1, 3, 5].map((a, i) => [a - 2 * [2, 4, 6][i]!, 3 * a - 20000 * [2, 4, 6][i]!])
  const wanted = [0, 1].flatMap((o) =>
    [0, 1].map((k) => [0, 1, 2].reduce((s, i) => s + (y[i]![o]! * Number(x.data[2 * i + k])) / 3, 0)),
  )
  assert.ok(distance(results.get('grad.w')!.data, wanted) < 1e-6)
})

test('mistakes are named', () => {
  const x = { name: 'x', ...tensorOf('float32', [1, 2], [1, 2]) }
  const target = specOf('target', tensorOf('float32', [1, 2], [0, 0]))
  const of = (o: Partial<BatchGradientOptions>) => () =>
    buildBatchGradients(linear(), { loss: 'mse', inputs: [x], target, ...o })
  const fails = (code: string, text: RegExp) => (error: unknown) =>
    isPinGoError(error, code) && text.test(error.message)
  assert.throws(of({ inputs: [] }), fails('GRAPH_INPUT_MISMATCH', /input 'x'/))
  assert.throws(
    of({ inputs: [{ ...x, ...tensorOf('float32', [1, 3], [1, 2, 3]) }] }),
    fails('GRAPH_INPUT_MISMATCH', /\[2\].*\[3\]/),
  )
  assert.throws(
    of({ target: specOf('target', tensorOf('float32', [1, 3], [0, 0, 0])) }),
    fails('GRAPH_TARGET_MISMATCH', /\[1, 3\]/),
  )
  assert.throws(of({ samples: 4 }), fails('GRAPH_INPUT_MISMATCH', /4 sample weights/))
  assert.throws(of({ output: 'z' }), fails('GRAPH_OUTPUT_UNKNOWN', /'z'/))
})

test('what the loss does not depend on is named', () => {
  const model = linear()
  model.graph.initializers.set('spare.weight', tensorOf('float32', [2], [1, 2]))
  const x = { name: 'x', ...tensorOf('float32', [1, 2], [1, 2]) }
  const target = specOf('target', x)
  assert.deepEqual(buildBatchGradients(model, { loss: 'mse', inputs: [x], target }).without, ['spare.weight'])
})
