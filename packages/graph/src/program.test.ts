import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type BatchInput, isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import {
  allowedOperators,
  buildProgram,
  type Model,
  optimizerScalars,
  type Program,
  type ProgramOptions,
  parseModel,
  templates,
} from './index.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { distance, open, runOnce } from './testing/runtime.ts'

const random = new Random(11)
const normals = (shape: number[]) =>
  tensorOf(
    'float32',
    shape,
    Array.from({ length: sizeOf(shape) }, () => random.normal()),
  )
const ids = (dtype: 'int32' | 'uint8' | 'int64', shape: number[], classes: number) =>
  tensorOf(
    dtype,
    shape,
    Array.from({ length: sizeOf(shape) }, () => Math.floor(random.uniform() * classes)),
  )
const column = (name: string, dtype: BatchInput['dtype'], shape: number[]): BatchInput => ({
  name,
  column: name,
  dtype,
  shape,
})
const sgd = { kind: 'sgd' as const }
const fixture = (name: string) => parseModel(readFileSync(new URL(`../fixtures/${name}.onnx`, import.meta.url)))

function feedsFor(
  program: Program,
  rate: number,
  weights: number[],
  data: Record<string, Tensor>,
): Map<string, Tensor> {
  const scalars = optimizerScalars({ kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 }).at(1, rate)
  return new Map([
    ...program.initial,
    ...program.state.map(({ name, shape }): [string, Tensor] => [name, tensorOf('float32', shape, [])]),
    ...Object.entries(scalars).map(([name, value]): [string, Tensor] => [name, tensorOf('float32', [], [value])]),
    ['sample_weight', tensorOf('float32', [weights.length], weights)],
    ...Object.entries(data),
  ])
}

const cnnOptions = (batch: number): ProgramOptions => ({
  loss: 'cross_entropy',
  optimizer: sgd,
  batch,
  inputs: [column('input', 'uint8', [1, 8, 8])],
  logical: { input: { scale: 1 / 255, shift: -0.5 } },
  target: column('target', 'uint8', []),
})
const cnn = templates.cnn({ shape: [1, 8, 8], classes: 3, channels: [4, 6], dense: 8, seed: 5 })

test('the graphs have exactly the inputs and outputs of the manifest', async () => {
  const program = buildProgram(cnn, { ...cnnOptions(4), optimizer: { kind: 'adamw', weightDecay: 0.1 } })
  const names = [...program.parameters, ...program.state].map(({ name }) => name)
  const data = ['input', 'target', 'sample_weight']
  const scalars = ['optimizer.rate', 'optimizer.epsilon', 'optimizer.decay']
  const step = await open(program.step)
  assert.deepEqual([...step.inputs].sort(), [...names, ...data, ...scalars].sort())
  assert.deepEqual([...step.outputs].sort(), [...names.map((name) => `next.${name}`), 'loss', 'metric_sum'].sort())
  const evaluate = await open(program.evaluate)
  assert.deepEqual([...evaluate.inputs].sort(), [...program.parameters.map(({ name }) => name), ...data].sort())
  assert.deepEqual([...evaluate.outputs].sort(), ['loss_sum', 'metric_stats', 'metric_sum'])
  assert.equal(program.state.length, 2 * program.parameters.length)
  assert.deepEqual(
    program.parameters.map(({ name }) => name),
    [...cnn.graph.initializers.keys()],
  )
  const used = [program.step, program.evaluate].flatMap((graph) => parseModel(graph).graph.nodes.map(({ op }) => op))
  assert.deepEqual(
    used.filter((op) => !allowedOperators.includes(op)),
    [],
  )
  await Promise.all([step.close(), evaluate.close()])
})

for (const [kind, model, shape] of [
  ['a plain network', cnn, [1, 8, 8]],
  ['a network with batch statistics', fixture('resnet'), [3, 12, 12]],
] as const)
  test(`a short batch of ${kind} steps as the batch of its real samples does`, async () => {
    const options = (batch: number): ProgramOptions => ({
      loss: 'cross_entropy',
      optimizer: sgd,
      batch,
      inputs: [column('input', 'float32', [...shape])],
      target: column('target', 'int32', []),
    })
    const [small, large] = [buildProgram(model, options(2)), buildProgram(model, options(4))]
    const x = normals([2, ...shape])
    const y = ids('int32', [2], 3)
    const padded = tensorOf(
      'float32',
      [4, ...shape],
      Float32Array.from({ length: 2 * x.data.length }, (_, i) => Number(x.data[i] ?? 0)),
    )
    const paddedY = tensorOf('int32', [4], [Number(y.data[0]), Number(y.data[1]), 0, 0])
    const a = await runOnce(small.step, feedsFor(small, 0.1, [1, 1], { input: x, target: y }))
    const b = await runOnce(large.step, feedsFor(large, 0.1, [1, 1, 0, 0], { input: padded, target: paddedY }))
    assert.ok(distance(b.get('loss')!.data, a.get('loss')!.data) < 1e-5)
    for (const [name, value] of a)
      if (name.startsWith('next.')) assert.ok(distance(b.get(name)!.data, value.data) < 1e-4, name)
    assert.equal(Number(a.get('metric_sum')!.data[0]), Number(b.get('metric_sum')!.data[0]))
  })

test('stored pixels are scaled in the graph, and evaluating agrees with stepping', async () => {
  const program = buildProgram(cnn, cnnOptions(3))
  const feeds = feedsFor(program, 0, [1, 1, 1], {
    input: ids('uint8', [3, 1, 8, 8], 256),
    target: ids('uint8', [3], 3),
  })
  const step = await runOnce(program.step, feeds)
  const evaluate = await runOnce(program.evaluate, feeds)
  assert.ok(Math.abs(Number(evaluate.get('loss_sum')!.data[0]) / 3 - Number(step.get('loss')!.data[0])) < 1e-5)
  const pixels = feeds.get('input')!
  const plain = buildProgram(cnn, { ...cnnOptions(3), inputs: [column('input', 'float32', [64])], logical: {} })
  const floats = tensorOf(
    'float32',
    [3, 64],
    Float32Array.from(pixels.data as Uint8Array, (p) => p / 255 - 0.5),
  )
  const direct = await runOnce(plain.step, new Map([...feeds, ['input', floats]]))
  assert.ok(distance(direct.get('loss')!.data, step.get('loss')!.data) < 1e-5)
})

test('a batch of padding alone changes nothing', async () => {
  const program = buildProgram(cnn, cnnOptions(2))
  const feeds = feedsFor(program, 1, [0, 0], {
    input: tensorOf('uint8', [2, 1, 8, 8], []),
    target: tensorOf('uint8', [2], []),
  })
  const out = await runOnce(program.step, feeds)
  assert.equal(Number(out.get('loss')!.data[0]), 0)
  for (const [name, { data }] of program.initial) assert.equal(distance(out.get(`next.${name}`)!.data, data), 0)
})

test('the same step gives the same bits twice', async () => {
  const program = buildProgram(cnn, cnnOptions(4))
  const feeds = feedsFor(program, 0.1, [1, 1, 1, 1], {
    input: ids('uint8', [4, 1, 8, 8], 256),
    target: ids('uint8', [4], 3),
  })
  assert.deepEqual(await runOnce(program.step, feeds), await runOnce(program.step, feeds))
  assert.deepEqual(buildProgram(cnn, cnnOptions(4)).step, program.step)
})

for (const [name, shape, dtype, target, classes] of [
  ['gpt_opset17', [8], 'int32', [8], 17],
  ['cnn', [1, 12, 12], 'float32', [], 5],
  ['vit', [3, 8, 8], 'float32', [], 6],
  ['lstm_batch_2', [4], 'int32', [], 4],
  ['sampled_batch_2', [2, 6], 'float32', [], 3],
] as const)
  test(`${name}: a model exported with a fixed batch trains with another`, async () => {
    const dynamic = fixture(name)
    const fixed = fixedBatch(dynamic, dynamic.graph.inputs[0]!.shape[0])
    const x = dtype === 'int32' ? ids('int32', [5, ...shape], classes) : normals([5, ...shape])
    const y = ids('int64', [5, ...target], classes)
    const options = (batch: number): ProgramOptions => ({
      loss: 'cross_entropy',
      optimizer: sgd,
      batch,
      inputs: [column('input', dtype, [...shape])],
      target: column('target', 'int64', [...target]),
    })
    const program = buildProgram(fixed, options(5))
    const whole = await runOnce(program.evaluate, feedsFor(program, 0, [1, 1, 1, 1, 1], { input: x, target: y }))
    const single = buildProgram(fixed, options(1))
    let sum = 0
    for (let i = 0; i < 5; i++) {
      const row = (t: Tensor): Tensor => {
        const size = t.data.length / 5
        return { dtype: t.dtype, shape: [1, ...t.shape.slice(1)], data: t.data.slice(i * size, (i + 1) * size) }
      }
      const out = await runOnce(single.evaluate, feedsFor(single, 0, [1], { input: row(x), target: row(y) }))
      sum += Number(out.get('loss_sum')!.data[0])
    }
    assert.ok(Math.abs(sum - Number(whole.get('loss_sum')!.data[0])) < 1e-4 * sum)
  })

/** The model as it would be exported without dynamic axes: a batch that was symbolic becomes 1. */
function fixedBatch(model: Model, batch: number | string | undefined): Model {
  if (typeof batch === 'number') return model
  const inputs = model.graph.inputs.map((info) => ({ ...info, shape: [1, ...info.shape.slice(1)] }))
  return { ...model, graph: { ...model.graph, inputs } }
}

test('mistakes are named', () => {
  const mlp = templates.mlp({ inputs: [4], classes: 3 })
  const base: ProgramOptions = {
    loss: 'cross_entropy',
    optimizer: sgd,
    batch: 2,
    inputs: [column('input', 'float32', [4])],
    target: column('target', 'int32', []),
  }
  const wrong: [string, Partial<ProgramOptions>, Model?][] = [
    ['GRAPH_INPUT_MISMATCH', { inputs: [column('input', 'float32', [5])] }],
    ['GRAPH_INPUT_MISMATCH', { inputs: [] }],
    ['GRAPH_TARGET_MISMATCH', { target: column('target', 'int32', [7]) }],
    ['GRAPH_TARGET_MISMATCH', { loss: 'mse' }],
    ['GRAPH_OUTPUT_UNKNOWN', { output: 'nowhere' }],
    ['GRAPH_BATCH_INVALID', { batch: 0 }],
    ['MESSAGE_INVALID', { optimizer: { kind: 'sgd', momentum: 2 } }],
    ['GRAPH_NAME_TAKEN', { target: column('head.weight', 'int32', []) }],
    ['GRAPH_NO_PARAMETERS', { frozen: [...mlp.graph.initializers.keys()] }],
  ]
  for (const [code, change, model = mlp] of wrong)
    assert.throws(
      () => buildProgram(model, { ...base, ...change }),
      (error: unknown) => isPinGoError(error, code),
      code,
    )
  const nodes = mlp.graph.nodes.map((node) => (node.op === 'Relu' ? { ...node, op: 'NonMaxSuppression' } : node))
  assert.throws(
    () => buildProgram({ ...mlp, graph: { ...mlp.graph, nodes } }, base),
    (error: unknown) =>
      isPinGoError(error, 'GRAPH_UNSUPPORTED') &&
      /relu1.*NonMaxSuppression.*\[2, 128\]/.test(error.message) &&
      !!error.hint,
  )
})

test('a branch whose condition is constant takes its place', () => {
  const mlp = templates.mlp({ inputs: [4], classes: 3 })
  const branch = (op: string) => ({
    type: 'graph' as const,
    value: {
      name: op,
      inputs: [],
      outputs: [{ name: op, dtype: 'float32' as const, shape: [] }],
      initializers: new Map(),
      nodes: [{ name: op, op, domain: '', inputs: ['dense1.out'], outputs: [op], attributes: {} }],
    },
  })
  const nodes = mlp.graph.nodes.map((node) =>
    node.op === 'Relu'
      ? { ...node, op: 'If', inputs: ['yes'], attributes: { then_branch: branch('Relu'), else_branch: branch('Tanh') } }
      : node,
  )
  const initializers = new Map([...mlp.graph.initializers, ['yes', tensorOf('bool', [], [1])] as const])
  const options: ProgramOptions = {
    loss: 'cross_entropy',
    optimizer: sgd,
    batch: 2,
    inputs: [column('input', 'float32', [4])],
    target: column('target', 'int32', []),
  }
  const ops = (model: Model) => parseModel(buildProgram(model, options).step).graph.nodes.map(({ op }) => op)
  assert.deepEqual(ops({ ...mlp, graph: { ...mlp.graph, nodes, initializers } }), ops(mlp))
})

test('metrics count correct predictions and absolute errors, weighted by sample', async () => {
  const rows = 5
  const x = normals([rows, 4])
  const weights = [1, 1, 0, 1, 0]
  const predict = (model: Model, width: number) => {
    const [w, b] = ['head.weight', 'head.bias'].map((name) => model.graph.initializers.get(name)!.data as Float32Array)
    return Array.from({ length: rows }, (_, r) =>
      Array.from(
        { length: width },
        (_c, c) => b![c]! + [0, 1, 2, 3].reduce((sum, k) => sum + Number(x.data[4 * r + k]) * w![k * width + c]!, 0),
      ),
    )
  }
  const metric = async (model: Model, loss: ProgramOptions['loss'], target: Tensor) => {
    const options = { loss, optimizer: sgd, batch: rows, inputs: [column('input', 'float32', [4])] }
    const dtype = target.dtype as BatchInput['dtype']
    const program = buildProgram(model, { ...options, target: column('target', dtype, target.shape.slice(1)) })
    const out = await runOnce(program.evaluate, feedsFor(program, 0, weights, { input: x, target }))
    return Number(out.get('metric_sum')!.data[0])
  }
  const three = templates.mlp({ inputs: [4], classes: 3, hidden: [] })
  const y = ids('uint8', [rows], 3)
  const hits = predict(three, 3).map((row, r) => +(row.indexOf(Math.max(...row)) === y.data[r]) * weights[r]!)
  assert.equal(
    await metric(three, 'cross_entropy', y),
    hits.reduce((a, n) => a + n),
  )
  const two = templates.mlp({ inputs: [4], outputs: 2, hidden: [] })
  const t = normals([rows, 2])
  const errors = predict(two, 2).map(
    (row, r) => weights[r]! * row.reduce((sum, v, c) => sum + Math.abs(v - Number(t.data[2 * r + c])), 0),
  )
  assert.ok(Math.abs((await metric(two, 'mse', t)) - errors.reduce((a, n) => a + n)) < 1e-4)
  const bits = ids('int32', [rows, 2], 2)
  const right = predict(two, 2).map(
    (row, r) => weights[r]! * row.filter((v, c) => +(v > 0) === bits.data[2 * r + c]).length,
  )
  assert.equal(
    await metric(two, 'bce', bits),
    right.reduce((a, n) => a + n),
  )
})
