import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type BatchInput, isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import {
  buildGradients,
  buildProgram,
  hasLora,
  type LoraOptions,
  type Model,
  mergeLora,
  parseModel,
  templates,
  withLora,
  withWeights,
  writeModel,
} from './index.ts'
import type { Node } from './model.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { distance, runOnce } from './testing/runtime.ts'

const random = new Random(31)
const normals = (...shape: number[]) =>
  tensorOf(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.normal()),
  )
const fixture = (name: string) => parseModel(readFileSync(new URL(`../fixtures/${name}.onnx`, import.meta.url)))
const spec = (name: string, { dtype, shape }: Tensor): BatchInput => ({
  name,
  column: name,
  dtype: dtype as BatchInput['dtype'],
  shape: shape.slice(1),
})
const node = (op: string, inputs: string[], to: string, attributes: Node['attributes'] = {}): Node => ({
  name: to,
  op,
  domain: '',
  inputs,
  outputs: [to],
  attributes,
})

/** One layer of each form: Gemm with transB and alpha, MatMul through a Transpose, and a table tied to the head. */
function forms(): Model {
  const weights: [string, Tensor][] = [
    ['first', normals(5, 4)],
    ['bias', normals(5)],
    ['plain', normals(5, 6)],
    ['tied', normals(7, 6)],
    ['row', tensorOf('int64', [1], [2])],
  ]
  const nodes = [
    node('Gemm', ['input', 'first', 'bias'], 'a', {
      transB: { type: 'int', value: 1 },
      alpha: { type: 'float', value: 0.5 },
    }),
    node('MatMul', ['a', 'plain'], 'b'),
    node('Gather', ['tied', 'row'], 'looked'),
    node('Add', ['b', 'looked'], 'c'),
    node('Transpose', ['tied'], 'turned', { perm: { type: 'ints', value: [1, 0] } }),
    node('MatMul', ['c', 'turned'], 'output'),
  ]
  return {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'forms',
      nodes,
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'output', dtype: 'float32', shape: ['batch', 7] }],
      initializers: new Map(weights),
    },
  }
}

/** The same model with numbers in place of the zeros of its adapters (and of what else moves). */
function shaken(model: Model): Model {
  const moved = [...model.graph.initializers].filter(([name]) => name.endsWith('.lora_B'))
  return withWeights(model, new Map(moved.map(([name, { shape }]) => [name, normals(...shape)])))
}

async function outputOf(model: Model, x: Tensor): Promise<ArrayLike<number>> {
  const program = buildGradients(
    model,
    {
      loss: 'output',
      batch: x.shape[0]!,
      inputs: [spec('input', x)],
      target: { name: 'target', column: 'target', dtype: 'float32', shape: [] },
    },
    false,
  )
  const out = await runOnce(program.graph, [
    ...program.initial,
    ['input', x],
    ['target', tensorOf('float32', [x.shape[0]!], [])],
    ['sample_weight', tensorOf('float32', [x.shape[0]!], new Array(x.shape[0]!).fill(1))],
  ])
  return out.get('output')!.data as Float32Array
}

const lowRank = (rank: number, more: Partial<LoraOptions> = {}): LoraOptions => ({ rank, alpha: 2 * rank, ...more })
const models: [string, Model, Tensor][] = [
  ['products of every form', forms(), normals(3, 4)],
  ['a CNN with groups and depthwise layers', fixture('cnn'), normals(2, 1, 12, 12)],
  ['a ResNet', fixture('resnet_eval'), normals(2, 3, 12, 12)],
  ['a vision transformer', fixture('vit'), normals(2, 3, 8, 8)],
]

for (const [name, model, x] of models)
  test(`${name}: adapters start as nothing and fold into the weights`, async () => {
    const adapted = withLora(model, lowRank(2, { seed: 5 }))
    const before = await outputOf(model, x)
    assert.ok(distance(await outputOf(adapted, x), before) < 1e-6, 'at the start')
    const trained = shaken(parseModel(writeModel(adapted)))
    const after = await outputOf(trained, x)
    assert.ok(distance(after, before) > 1e-2, 'the adapters do something')
    const merged = mergeLora(trained)
    assert.ok(!hasLora(merged) && hasLora(trained))
    const d = distance(await outputOf(merged, x), after)
    assert.ok(d < 1e-5, `merged: ${d}`)
    const copies = [...merged.graph.initializers.keys()].filter((key) => /lora|merged/.test(key))
    assert.deepEqual(copies, name.startsWith('products') ? ['tied.merged'] : [])
    assert.ok(merged.graph.nodes.length <= model.graph.nodes.length + copies.length)
  })

test('the adapters alone are trained, and running statistics move', () => {
  const model = fixture('resnet')
  const adapted = withLora(model, { rank: 3, match: ['*c1.weight', 'fc.*'] })
  const program = buildProgram(adapted, {
    loss: 'cross_entropy',
    optimizer: { kind: 'adamw' },
    batch: 2,
    inputs: [{ name: 'input', column: 'input', dtype: 'float32', shape: [3, 12, 12] }],
    target: { name: 'target', column: 'target', dtype: 'int32', shape: [] },
  })
  const names = program.parameters.map(({ name }) => name)
  assert.deepEqual(
    names,
    [...adapted.graph.initializers.keys()].filter((name) => /\.lora_[AB]$/.test(name)),
  )
  assert.ok(names.length >= 6 && names.every((name) => /c1\.weight|fc/.test(name)))
  assert.ok(program.buffers.length > 0)
  const merged = mergeLora(withWeights(adapted, program.initial))
  assert.deepEqual([...merged.graph.initializers.keys()], [...model.graph.initializers.keys()])
  for (const [key, { data }] of model.graph.initializers)
    assert.deepEqual(merged.graph.initializers.get(key)!.data, data)
})

test('gradients by A and B are those of the low-rank product', async () => {
  // y = x W + s x A B: dL/dA = s xᵀ g Bᵀ, dL/dB = s (x A)ᵀ g for L = mean over samples of sum-free mean of y.
  const model = templates.mlp({ inputs: [4], outputs: 3, hidden: [] })
  const adapted = shaken(withLora(model, { rank: 2, alpha: 3 }))
  const x = normals(5, 4)
  const options = { loss: 'output' as const, batch: 5, inputs: [spec('input', x)], target: spec('target', normals(5)) }
  const program = buildGradients(adapted, options)
  const out = await runOnce(program.graph, [
    ...program.initial,
    ['input', x],
    ['target', tensorOf('float32', [5], [])],
    ['sample_weight', tensorOf('float32', [5], [1, 1, 1, 1, 1])],
  ])
  const [A, B] = ['head.weight.lora_A', 'head.weight.lora_B'].map(
    (name) => adapted.graph.initializers.get(name)!.data,
  ) as [Float32Array, Float32Array]
  const g = 1 / 15
  const sumX = [0, 1, 2, 3].map((k) => [0, 1, 2, 3, 4].reduce((sum, n) => sum + Number(x.data[4 * n + k]), 0))
  const gradA = sumX.flatMap((sx) =>
    [0, 1].map((r) => 1.5 * g * sx * [0, 1, 2].reduce((sum, c) => sum + B[3 * r + c]!, 0)),
  )
  const gradB = [0, 1].flatMap((r) =>
    [0, 1, 2].map(() => 1.5 * g * sumX.reduce((sum, sx, k) => sum + sx * A[2 * k + r]!, 0)),
  )
  assert.ok(distance(out.get('grad.head.weight.lora_A')!.data, gradA) < 1e-5)
  assert.ok(distance(out.get('grad.head.weight.lora_B')!.data, gradB) < 1e-5)
})

test('what cannot be adapted is said', () => {
  const model = templates.mlp({ inputs: [4], classes: 3 })
  const codes: [string, () => unknown][] = [
    ['GRAPH_PATTERN_UNKNOWN', () => withLora(model, { rank: 2, match: ['nothing*'] })],
    ['LORA_EXISTS', () => withLora(withLora(model, { rank: 2 }), { rank: 2 })],
    [
      'LORA_NOTHING',
      () => withLora({ ...model, graph: { ...model.graph, nodes: [node('Relu', ['input'], 'output')] } }, { rank: 1 }),
    ],
    ['LORA_INVALID', () => mergeLora({ ...model, metadata: { 'pingo.lora': '[{"weight":3}]' } })],
    ['LORA_INVALID', () => mergeLora({ ...model, metadata: { 'pingo.lora': 'x' } })],
    ['LORA_INVALID', () => mergeLora({ ...model, metadata: withLora(model, { rank: 2 }).metadata })],
  ]
  for (const [code, act] of codes) assert.throws(act, (error: unknown) => isPinGoError(error, code), code)
  assert.equal(mergeLora(model), model)
})
