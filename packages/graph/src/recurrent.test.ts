import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type BatchInput, isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { buildGradients, checkModel, type Model, type Node, parseModel } from './index.ts'
import { type Attributes, float, int, intOf, string } from './model.ts'
import { tensorOf } from './tensors.ts'
import { distance, runOnce } from './testing/runtime.ts'

const HIDDEN = 8

function model(op: string, gates: number, steps: number, attributes: Attributes = {}, more: string[] = []): Model {
  const random = (shape: number[]): Tensor =>
    tensorOf(
      'float32',
      shape,
      Array.from({ length: shape.reduce((a, n) => a * n, 1) }, (_, i) => Math.sin(i)),
    )
  const node = (type: string, inputs: string[], outputs: string[], own: Attributes = {}): Node => ({
    name: outputs[0]!,
    op: type,
    domain: '',
    inputs,
    outputs,
    attributes: own,
  })
  const hidden = { hidden_size: int(HIDDEN) }
  return {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'g',
      nodes: [
        node('Transpose', ['input'], ['x'], { perm: { type: 'ints', value: [1, 0, 2] } }),
        node(op, ['x', 'w', 'r', 'b', ...more], ['y', 'last'], { ...hidden, ...attributes }),
        node('Squeeze', ['last', 'axis'], ['output']),
      ],
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', steps, 4] }],
      outputs: [{ name: 'output', dtype: 'float32', shape: ['batch', HIDDEN] }],
      initializers: new Map([
        ['w', random([1, gates * HIDDEN, 4])],
        ['r', random([1, gates * HIDDEN, HIDDEN])],
        ['b', random([1, 2 * gates * HIDDEN])],
        ['axis', tensorOf('int64', [1], [0])],
        ['peepholes', random([1, 3 * HIDDEN])],
      ]),
    },
  }
}

const column = (name: string, shape: number[]): BatchInput => ({ name, column: name, dtype: 'float32', shape })

function gradientNodes(m: Model, steps: number): Node[] {
  const program = buildGradients(m, {
    loss: 'mse',
    batch: 3,
    inputs: [column('input', [steps, 4])],
    target: column('target', [HIDDEN]),
  })
  return parseModel(program.graph).graph.nodes
}

for (const [op, gates, each] of [
  ['RNN', 1, 2],
  ['LSTM', 4, 2],
  ['GRU', 3, 4],
] as const)
  test(`${op}: weights get one product for all time steps, however many these are`, () => {
    for (const steps of [4, 16]) {
      const nodes = gradientNodes(model(op, gates, steps, { linear_before_reset: int(1) }), steps)
      const products = nodes.filter(({ op: type, attributes }) => type === 'Gemm' && intOf(attributes, 'transA', 0))
      assert.equal(products.length, each, `${steps} steps`)
      // The sums of states' gradients grow with the steps; those of weights must not: they are as large as a weight.
      const sums = nodes.filter(({ op: type }) => type === 'ReduceSum').length
      assert.ok(sums < 10, `${sums} sums`)
    }
  })

for (const direction of ['forward', 'reverse'])
  test(`a long LSTM (${direction}), computed span by span, has the gradients of one that is unrolled`, async () => {
    const [steps, batch] = [70, 3]
    // a clip that never binds is one that the runtime's operation is not used for
    const gradients = (clip: Attributes) =>
      buildGradients(model('LSTM', 4, steps, { direction: string(direction), ...clip }), {
        loss: 'mse',
        batch,
        inputs: [column('input', [steps, 4])],
        target: column('target', [HIDDEN]),
      })
    const wave = (shape: number[], by: number): Tensor =>
      tensorOf(
        'float32',
        shape,
        Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(by * i)),
      )
    const feeds = new Map([
      ['input', wave([batch, steps, 4], 0.7)],
      ['target', wave([batch, HIDDEN], 1.3)],
      ['sample_weight', tensorOf('float32', [batch], [1, 1, 1])],
    ])
    const [spans, unrolled] = await Promise.all(
      [{} as Attributes, { clip: float(1e6) }].map(async (clip) => {
        const { graph } = gradients(clip)
        const ops = parseModel(graph).graph.nodes.map(({ op }) => op)
        assert.equal(ops.filter((op) => op === 'LSTM').length, 'clip' in clip ? 0 : 5)
        const { inputs } = parseModel(graph).graph
        const weights = model('LSTM', 4, steps).graph.initializers
        for (const { name } of inputs) {
          const weight = weights.get(name)
          if (weight) feeds.set(name, weight)
        }
        return runOnce(graph, feeds)
      }),
    )
    assert.ok(spans!.size >= 4)
    for (const [name, value] of unrolled!) assert.ok(distance(spans!.get(name)!.data, value.data) < 1e-5, name)
  })

test('an initial state of zeros costs nothing', () => {
  const nodes = gradientNodes(model('LSTM', 4, 1), 1)
  const forward = nodes.filter(({ op, attributes }) => op === 'Gemm' && !intOf(attributes, 'transA', 0))
  assert.equal(forward.length, 1)
})

test('time is not taken for the batch of a file that has fixed both', () => {
  const m = model('GRU', 3, 7)
  const [transpose, ...nodes] = m.graph.nodes
  const timeFirst = nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((name) => (name === 'x' ? 'input' : name)),
  }))
  const inputs = [{ name: 'input', dtype: 'float32' as const, shape: [7, 2, 4] }]
  const fixed: Model = { ...m, graph: { ...m.graph, nodes: timeFirst, inputs } }
  const build = (batch: number) => () =>
    buildGradients(fixed, {
      loss: 'mse',
      batch,
      inputs: [column('input', [2, 4])],
      target: column('target', [HIDDEN]),
    })
  assert.equal(transpose!.op, 'Transpose')
  assert.throws(
    build(5),
    (error: unknown) => isPinGoError(error, 'GRAPH_BATCH_FIXED') && /'y'.*samples/.test(error.message),
  )
})

test('what is not supported is refused by name, with a way out', () => {
  const refused: [RegExp, Model][] = [
    [/peepholes/, model('LSTM', 4, 3, {}, ['', '', '', 'peepholes'])],
    [/coupled/, model('LSTM', 4, 3, { input_forget: int(1) })],
    [/5000 time steps/, model('RNN', 1, 5000)],
    [/activation 'Sine'/, model('RNN', 1, 3, { activations: { type: 'strings', value: ['Sine'] } })],
    [/names 1 activations and has 3/, model('LSTM', 4, 3, { activations: { type: 'strings', value: ['Tanh'] } })],
    [/do not fit/, model('GRU', 4, 3)],
  ]
  for (const [why, m] of refused) {
    const [first] = checkModel(m).blocking
    assert.match(first?.reason ?? '', why)
    assert.match(first!.reason, /'y' \((LSTM|GRU|RNN) on \[/)
    assert.ok(first!.hint, String(why))
  }
})

test('time steps cut from one tensor by hand give it one gradient, not one each that is padded and added', () => {
  const parsed = parseModel(readFileSync(new URL('../fixtures/cells.onnx', import.meta.url)))
  const program = buildGradients(parsed, {
    loss: 'cross_entropy',
    batch: 3,
    inputs: [column('input', [6, 3])],
    target: { ...column('target', []), dtype: 'int64' },
  })
  const { nodes } = parseModel(program.graph).graph
  assert.equal(nodes.filter(({ op }) => op === 'Pad').length, 0)
})

test('a table that is read in many places gets one gradient', () => {
  const parsed = parseModel(readFileSync(new URL('../fixtures/embedding_bag_mean.onnx', import.meta.url)))
  const program = buildGradients(parsed, {
    loss: 'cross_entropy',
    batch: 4,
    inputs: [{ ...column('input', [5]), dtype: 'int64' }],
    target: { ...column('target', []), dtype: 'int64' },
  })
  const { nodes } = parseModel(program.graph).graph
  assert.equal(nodes.filter(({ op }) => op === 'ScatterND').length, 1)
})
