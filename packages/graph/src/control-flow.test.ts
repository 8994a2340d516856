import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BatchInput, isPinGoError, type Tensor } from '@pingo/wire'
import { buildGradients, checkModel, type Graph, type Model, type Node, parseModel, writeModel } from './index.ts'
import { int } from './model.ts'
import { inlineFunctions, type LocalFunction } from './proto/functions.ts'
import { tensorOf } from './tensors.ts'
import { runOnce } from './testing/runtime.ts'

const node = (op: string, inputs: string[], outputs: string[], attributes: Node['attributes'] = {}): Node => ({
  name: outputs[0]!,
  op,
  domain: '',
  inputs,
  outputs,
  attributes,
})
const info = (name: string, shape: (number | string)[] = [], dtype: 'float32' | 'int64' | 'bool' = 'float32') => ({
  name,
  dtype,
  shape,
})
const column = (name: string, shape: number[]): BatchInput => ({ name, column: name, dtype: 'float32', shape })
const constant = (name: string, tensor: Tensor) =>
  node('Constant', [], [name], { value: { type: 'tensor', value: tensor } })

function modelOf(nodes: Node[], initializers: [string, Tensor][] = []): Model {
  return {
    irVersion: 8,
    opset: 17,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'g',
      nodes,
      inputs: [info('input', ['batch', 2])],
      outputs: [info('output', ['batch', 2])],
      initializers: new Map([['layer.w', tensorOf('float32', [2], [2, 3])], ...initializers]),
    },
  }
}

/** loss = mean (output - 0)², for one sample [1, 1]. */
async function run(model: Model) {
  const options = { loss: 'mse' as const, batch: 1, inputs: [column('input', [2])], target: column('target', [2]) }
  const program = buildGradients(parseModel(writeModel(model)), options)
  const out = await runOnce(program.graph, [
    ...program.initial,
    ['input', tensorOf('float32', [1, 2], [1, 1])],
    ['target', tensorOf('float32', [1, 2], [0, 0])],
    ['sample_weight', tensorOf('float32', [1], [1])],
  ])
  const list = (name: string) => Array.from(out.get(name)!.data as Float32Array)
  return { output: list('output'), gradient: list('grad.layer.w'), ops: parseModel(program.graph).graph.nodes }
}

/** x := x * w, `trips` times; the values on the way are stacked. Stops early when `i < last` fails. */
function power(trips: Tensor | undefined, last = 100): Model {
  const body: Graph = {
    name: 'body',
    nodes: [
      constant('last', tensorOf('int64', [], [last])),
      node('Less', ['i', 'last'], ['again']),
      node('Mul', ['x', 'layer.w'], ['grown']),
      node('Identity', ['grown'], ['seen']),
    ],
    inputs: [info('i', [], 'int64'), info('on', [], 'bool'), info('x')],
    outputs: [info('again', [], 'bool'), info('grown'), info('seen')],
    initializers: new Map(),
  }
  const loop = node('Loop', [trips ? 'trips' : '', '', 'input'], ['end', 'all'], {
    body: { type: 'graph', value: body },
  })
  const nodes = [
    loop,
    node('ReduceSum', ['all', 'first'], ['sum'], { keepdims: int(0) }),
    node('Add', ['end', 'sum'], ['output']),
  ]
  return modelOf(nodes, [
    ['first', tensorOf('int64', [1], [0])],
    ...(trips ? [['trips', trips] as [string, Tensor]] : []),
  ])
}

test('a loop of known length is unrolled: what it carries, what it stacks, and the gradient through both', async () => {
  // output = w³ + (w + w² + w³); d(mean output²)/dw = output · (1 + 2w + 6w²).
  const { output, gradient, ops } = await run(power(tensorOf('int64', [], [3])))
  assert.deepEqual(
    output,
    [2, 3].map((w) => 2 * w ** 3 + w ** 2 + w),
  )
  assert.deepEqual(
    gradient,
    [2, 3].map((w, i) => output[i]! * (1 + 2 * w + 6 * w ** 2)),
  )
  assert.ok(!ops.some(({ op }) => op === 'Loop'))
})

test('a loop ends when its condition, known while building, says so', async () => {
  // Turns 0 and 1: the second says that there is no third.
  const { output } = await run(power(undefined, 1))
  assert.deepEqual(
    output,
    [2, 3].map((w) => 2 * w ** 2 + w),
  )
})

test('a loop that data end, or that would never end in reason, is refused by name', () => {
  const endless = checkModel(power(undefined, 2 ** 40)).blocking
  assert.match(endless[0]!.reason, /'end' \(Loop .*more than/)
  assert.ok(endless[0]!.hint)
  const model = power(tensorOf('int64', [], [3]))
  model.graph.nodes.unshift(node('Cast', ['input'], ['whole'], { to: int(7) }))
  model.graph.nodes.find(({ op }) => op === 'Loop')!.inputs[0] = 'whole'
  assert.match(checkModel(model).blocking[0]!.reason, /number of turns depends on the data/)
})

test('a selection by the data is refused with what to write instead; one that is known becomes a Gather', async () => {
  const places = modelOf([node('NonZero', ['input'], ['places']), node('GatherND', ['input', 'places'], ['output'])])
  const [first] = checkModel(places).blocking
  assert.match(first!.reason, /'places' \(NonZero on \[1, 2\]\).*depends on the data/)
  assert.match(first!.hint, /Where/)
  const known = modelOf(
    [
      node('NonZero', ['kept'], ['places']),
      node('Squeeze', ['places', 'zero'], ['flat']),
      node('Gather', ['layer.w', 'flat'], ['chosen']),
      node('Mul', ['input', 'chosen'], ['output']),
    ],
    [
      ['kept', tensorOf('bool', [2], [0, 1])],
      ['zero', tensorOf('int64', [1], [0])],
    ],
  )
  assert.deepEqual((await run(known)).output, [3, 3])
})

test('sequences of known length are taken apart and put together', async () => {
  const { output, gradient } = await run(
    modelOf(
      [
        node('SplitToSequence', ['layer.w', 'one'], ['parts'], {}),
        node('SequenceAt', ['parts', 'zero'], ['a']),
        node('SequenceAt', ['parts', 'minus'], ['b']),
        node('SequenceConstruct', ['b', 'b'], ['pair']),
        node('SequenceInsert', ['pair', 'a', 'zero'], ['three']),
        node('SequenceErase', ['three', 'minus'], ['two']),
        node('ConcatFromSequence', ['two'], ['w'], { axis: int(0) }),
        node('Mul', ['input', 'w'], ['output']),
      ],
      [
        ['one', tensorOf('int64', [], [1])],
        ['zero', tensorOf('int64', [], [0])],
        ['minus', tensorOf('int64', [], [-1])],
      ],
    ),
  )
  assert.deepEqual(
    [output, gradient],
    [
      [2, 3],
      [2, 3],
    ],
  )
})

const callee = (name: string, nodes: LocalFunction['nodes'], more: Partial<LocalFunction> = {}): LocalFunction => ({
  name,
  domain: 'own',
  overload: '',
  inputs: ['x'],
  outputs: ['y'],
  nodes,
  defaults: {},
  opset: 17,
  ...more,
})
const call = (op: string, inputs: string[], outputs: string[], attributes: Node['attributes'] = {}) => ({
  ...node(op, inputs, outputs, attributes),
  domain: 'own',
})

test("a function's attributes come from the call, from its default, or stay away", () => {
  const leaky = { ...node('LeakyRelu', ['x'], ['y']), references: { alpha: 'slope' } }
  const { graph } = modelOf([
    call('Leaky', ['input'], ['a'], { slope: { type: 'float', value: 0.5 } }),
    call('Leaky', ['a'], ['b']),
    call('Plain', ['b'], ['output']),
  ])
  inlineFunctions(
    graph,
    [
      callee('Leaky', [leaky], { defaults: { slope: { type: 'float', value: 0.25 } } }),
      callee('Plain', [call('Inner', ['x'], ['t']), node('Identity', ['t'], ['y'])]),
      callee('Inner', [leaky]),
    ],
    17,
    100,
  )
  assert.deepEqual(
    graph.nodes.map(({ op, inputs, outputs, attributes }) => [op, inputs, outputs, attributes.alpha?.value]),
    [
      ['LeakyRelu', ['input'], ['a'], 0.5],
      ['LeakyRelu', ['a'], ['b'], 0.25],
      ['LeakyRelu', ['b'], ['Plain/2/t'], undefined],
      ['Identity', ['Plain/2/t'], ['output'], undefined],
    ],
  )
})

test('functions that call themselves, or grow without measure, are refused', () => {
  const circle = modelOf([call('A', ['input'], ['output'])]).graph
  const a = callee('A', [call('B', ['x'], ['y'])])
  const b = callee('B', [call('A', ['x'], ['y'])])
  assert.throws(
    () => inlineFunctions(circle, [a, b], 17, 1000),
    (error) => isPinGoError(error, 'ONNX_MALFORMED'),
  )
  // Each doubles what it calls: 2^20 nodes from a few bytes.
  const bomb = Array.from({ length: 20 }, (_, i) =>
    callee(`F${i}`, [call(`F${i + 1}`, ['x'], ['t']), call(`F${i + 1}`, ['t'], ['y'])]),
  )
  const last = callee('F20', [node('Relu', ['x'], ['y'])])
  const graph = modelOf([call('F0', ['input'], ['output'])]).graph
  assert.throws(() => inlineFunctions(graph, [...bomb, last], 17, 1000), /more than 1000 nodes/)
})
