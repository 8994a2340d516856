import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSafetensors, type Tensor, writeSafetensors } from '@pingo/wire'
import {
  attention,
  batchNorm,
  buildGradients,
  conv2d,
  convTranspose2d,
  dense,
  dropout,
  embedding,
  flatten,
  globalAvgPool,
  type Model,
  parseModel,
  permute,
  relu,
  residual,
  sequential,
  toInference,
  weightsOf,
  withWeights,
  writeModel,
} from '../index.ts'
import { int, type Node } from '../model.ts'
import { Random } from '../templates/random.ts'
import { tensorOf } from '../tensors.ts'
import { fixture, fixtureNames } from '../testing/fixture.ts'
import { distance, runOnce } from '../testing/runtime.ts'

const TOLERANCE = 1e-5
const random = new Random(5)
const normals = (shape: readonly number[]) =>
  tensorOf(
    'float32',
    shape,
    Float32Array.from({ length: shape.reduce((a, n) => a * n, 1) }, () => random.normal()),
  )
const ops = (model: Model) => model.graph.nodes.map(({ op }) => op)
const run = async (model: Model, input: Tensor) =>
  (await runOnce(writeModel(model), [[model.graph.inputs[0]!.name, input]])).get(model.graph.outputs[0]!.name)!

/** Statistics and scales as after some training, so that a wrong fold shows. */
function lived(model: Model): Model {
  const changed = [...weightsOf(model)].map(([name, tensor]): [string, Tensor] => {
    const positive = /var|norm.*weight/i.test(name)
    const values = Float32Array.from({ length: tensor.data.length }, () =>
      positive ? 0.5 + random.uniform() : random.normal() / 2,
    )
    return [name, /norm|running|bias/i.test(name) ? tensorOf('float32', tensor.shape, values) : tensor]
  })
  return withWeights(model, new Map(changed))
}

for (const name of fixtureNames)
  test(`${name}: what is exported for use gives what the model gives in evaluation`, async () => {
    const { model, input, target, options: whole } = fixture(name)
    // Models exported with a batch of 1 are compared on one sample.
    const fixed = model.graph.inputs[0]!.shape[0]
    const batch = typeof fixed === 'number' ? fixed : input.shape[0]!
    const first = (t: Tensor): Tensor => ({
      ...t,
      shape: [batch, ...t.shape.slice(1)],
      data: t.data.slice(0, (t.data.length / t.shape[0]!) * batch),
    })
    const options = { ...whole, batch }
    const program = buildGradients(model, options, false)
    const wanted = await runOnce(program.graph, [
      ...program.initial,
      ['input', first(input)],
      ['target', first(target)],
      ['sample_weight', tensorOf('float32', [batch], new Array(batch).fill(1))],
    ])
    for (const foldBatchNorm of [false, true]) {
      const exported = parseModel(writeModel(toInference(model, { foldBatchNorm })))
      assert.deepEqual(exported.graph.inputs, model.graph.inputs)
      assert.deepEqual(exported.graph.outputs, model.graph.outputs)
      assert.ok(exported.graph.nodes.length <= model.graph.nodes.length)
      assert.ok(!ops(exported).includes('Dropout'))
      for (const { op, attributes } of exported.graph.nodes)
        if (op === 'Constant') assert.equal((attributes.value!.value as Tensor).dtype, 'float64', 'all else is folded')
      const read = new Set(exported.graph.nodes.flatMap(readBy))
      for (const weight of exported.graph.initializers.keys()) assert.ok(read.has(weight), `${weight} is not used`)
      const y = await run(exported, { ...first(input), ...floatOf(first(input), model) })
      assert.ok(distance(y.data, wanted.get('output')!.data) < TOLERANCE, `fold: ${foldBatchNorm}`)
    }
  })

/** Names that a node reads, in graphs inside it too. */
const readBy = ({ inputs, attributes }: Node): string[] => [
  ...inputs,
  ...Object.values(attributes).flatMap((a) => (a.type === 'graph' ? a.value.nodes.flatMap(readBy) : [])),
]

/** Stored integers as the model's own input type. */
function floatOf(t: Tensor, model: Model): Partial<Tensor> {
  const { dtype } = model.graph.inputs[0]!
  return dtype === t.dtype ? {} : tensorOf(dtype, t.shape, Float64Array.from(t.data as Float32Array, Number))
}

const image = [4, 6, 6]
const FOLDS: [string, Model][] = [
  ['Conv', sequential([conv2d(6), batchNorm(), relu()], { input: image })],
  ['Conv without bias, in groups', sequential([conv2d(6, { bias: false, groups: 2 }), batchNorm()], { input: image })],
  ['ConvTranspose', sequential([convTranspose2d(3), batchNorm(), relu()], { input: image })],
  ['Gemm', sequential([flatten(), dense(5), batchNorm(), relu(), dense(2)], { input: image })],
  ['MatMul', sequential([flatten(), dense(5, { bias: false }), batchNorm(), relu()], { input: image })],
  [
    'two in a residual block',
    sequential([residual([conv2d(4), batchNorm(), relu(), conv2d(4), batchNorm()]), relu()], { input: image }),
  ],
]
for (const [name, plain] of FOLDS)
  test(`BatchNormalization goes into the ${name} in front of it`, async () => {
    const model = lived(plain)
    const folded = toInference(model, { foldBatchNorm: true })
    assert.ok(!ops(folded).includes('BatchNormalization'))
    const x = normals([3, ...image])
    const [before, after] = [await run(model, x), await run(folded, x)]
    assert.ok(distance(after.data, before.data) < TOLERANCE)
    assert.ok(ops(toInference(model)).includes('BatchNormalization'), 'only when it is asked for')
  })

/** A model of given nodes on [2, 4]. */
function handmade(nodes: Node[], initializers: [string, Tensor][]): Model {
  const info = (name: string) => ({ name, dtype: 'float32' as const, shape: ['batch', 4] })
  const graph = { name: 'g', nodes, inputs: [info('x')], outputs: [info('y')], initializers: new Map(initializers) }
  return { irVersion: 8, opset: 17, producer: 'test', metadata: {}, graph }
}
const node = (op: string, inputs: string[], outputs: string[], attributes: Node['attributes'] = {}): Node => ({
  name: outputs[0]!,
  op,
  domain: '',
  inputs,
  outputs,
  attributes,
})
const statistics = (): [string, Tensor][] => [
  ['gamma', normals([4])],
  ['beta', normals([4])],
  ['mean', normals([4])],
  ['var', tensorOf('float32', [4], [1, 2, 3, 0.5])],
]
const STATISTICS = ['gamma', 'beta', 'mean', 'var']

test('MatMul with an added bias, and a transposed Gemm with factors', async () => {
  const added = handmade(
    [
      node('MatMul', ['x', 'w'], ['p']),
      node('Add', ['b', 'p'], ['s']),
      node('BatchNormalization', ['s', ...STATISTICS], ['y']),
    ],
    [['w', normals([4, 4])], ['b', normals([4])], ...statistics()],
  )
  const turned = handmade(
    [
      node('Gemm', ['x', 'w', 'b'], ['p'], {
        transB: int(1),
        alpha: { type: 'float', value: 0.5 },
        beta: { type: 'float', value: 3 },
      }),
      node('BatchNormalization', ['p', ...STATISTICS], ['y']),
    ],
    [['w', normals([4, 4])], ['b', normals([4])], ...statistics()],
  )
  for (const model of [added, turned]) {
    const folded = toInference(model, { foldBatchNorm: true })
    assert.ok(!ops(folded).includes('BatchNormalization'))
    const x = normals([2, 4])
    assert.ok(distance((await run(folded, x)).data, (await run(model, x)).data) < TOLERANCE)
  }
})

test('a normalisation stays where folding would change something else', async () => {
  const twice = handmade(
    [
      node('Gemm', ['x', 'w'], ['p']),
      node('BatchNormalization', ['p', ...STATISTICS], ['n']),
      node('Add', ['n', 'p'], ['y']),
    ],
    [['w', normals([4, 4])], ...statistics()],
  )
  assert.deepEqual(ops(toInference(twice, { foldBatchNorm: true })), ['Gemm', 'BatchNormalization', 'Add'])
  // A weight that two layers share is folded into one of them only.
  const shared = handmade(
    [
      node('Gemm', ['x', 'w'], ['p']),
      node('BatchNormalization', ['p', ...STATISTICS], ['n']),
      node('Gemm', ['n', 'w'], ['y']),
    ],
    [['w', normals([4, 4])], ...statistics()],
  )
  const folded = toInference(shared, { foldBatchNorm: true })
  assert.deepEqual(ops(folded), ['Gemm', 'Gemm'])
  const x = normals([2, 4])
  assert.ok(distance((await run(folded, x)).data, (await run(shared, x)).data) < TOLERANCE)
  // On a sequence the channels of the normalisation are its steps, not the columns of the product.
  const sequence = lived(sequential([permute(2, 1), dense(3, { bias: false }), batchNorm()], { input: [4, 3] }))
  assert.ok(ops(toInference(sequence, { foldBatchNorm: true })).includes('BatchNormalization'))
})

test('Identity, Dropout and their chains go, also at the outputs and out of constants; large constants are not made', async () => {
  const model = handmade(
    [
      node('Identity', ['w'], ['w2']),
      node('Identity', ['w2'], ['w3']),
      node('Transpose', ['w3'], ['w4'], { perm: { type: 'ints', value: [1, 0] } }),
      node('Dropout', ['x', 'ratio', 'on'], ['d', 'mask']),
      node('MatMul', ['d', 'w4'], ['p']),
      node('Neg', ['dead'], ['unused']),
      node('Identity', ['p'], ['q']),
      node('Identity', ['q'], ['y']),
    ],
    [
      ['w', normals([4, 4])],
      ['dead', normals([2])],
      ['ratio', tensorOf('float32', [], [0.9])],
      ['on', tensorOf('bool', [], [1])],
    ],
  )
  const small = toInference(model)
  assert.deepEqual(ops(small), ['MatMul'])
  assert.deepEqual([...small.graph.initializers.keys()], ['w4'])
  const x = normals([2, 4])
  const w = model.graph.initializers.get('w')!.data as Float32Array
  const wanted = [0, 1].flatMap((n) =>
    [0, 1, 2, 3].map((j) => [0, 1, 2, 3].reduce((sum, k) => sum + Number(x.data[4 * n + k]) * w[4 * j + k]!, 0)),
  )
  assert.ok(distance((await run(small, x)).data, wanted) < TOLERANCE)
  // The transpose of a large tied weight stays an operation: the file does not grow.
  const large = sequential([embedding(100, 64, { name: 'token' }), attention({ heads: 2 })], { input: [3] })
  assert.ok(writeModel(toInference(large)).length <= writeModel(large).length)
  // An input that is handed out keeps its Identity.
  const through = handmade([node('Identity', ['x'], ['y'])], [])
  assert.deepEqual(ops(toInference(through)), ['Identity'])
})

test('weights go out as safetensors and come back to the same bits', async () => {
  for (const name of ['resnet', 'gpt', 'mlp']) {
    const model = fixture(name).model
    const { tensors } = readSafetensors(writeSafetensors(weightsOf(model)))
    const zeros = new Map([...tensors].map(([key, t]) => [key, tensorOf(t.dtype, t.shape, [])]))
    const back = withWeights(withWeights(model, zeros), tensors)
    assert.deepEqual(weightsOf(back), weightsOf(model), name)
  }
  const model = lived(
    sequential([conv2d(4), batchNorm(), relu(), dropout(0.5), globalAvgPool(), dense(2)], { input: image }),
  )
  assert.deepEqual([...weightsOf(model).keys()].sort(), [
    'batchNorm1.bias',
    'batchNorm1.running_mean',
    'batchNorm1.running_var',
    'batchNorm1.weight',
    'conv1.bias',
    'conv1.weight',
    'dense1.bias',
    'dense1.weight',
  ])
  assert.ok(!ops(toInference(model)).includes('Dropout'))
})
