import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  buildProgram,
  checkModel,
  inferShapes,
  type Model,
  parseModel,
  restoreScale,
  standardize,
  templates,
  withWeights,
  writeModel,
} from './index.ts'
import { fromHalf, tensorOf, toHalf } from './tensors.ts'
import { distance, runOnce } from './testing/runtime.ts'

const fixture = (name: string) => parseModel(readFileSync(new URL(`../fixtures/${name}.onnx`, import.meta.url)))

test('new weights go into the user’s own graph and nothing else changes', () => {
  const model = fixture('cnn')
  const [name, old] = [...model.graph.initializers].find(([, t]) => t.dtype === 'float32')!
  const twice = tensorOf(
    'float32',
    old.shape,
    Float32Array.from(old.data as Float32Array, (x) => 2 * x),
  )
  const changed = withWeights(model, new Map([[name, twice]]))
  assert.deepEqual(changed.graph.initializers.get(name), twice)
  assert.deepEqual(changed.graph.nodes, model.graph.nodes)
  const back = withWeights(parseModel(writeModel(changed)), new Map([[name, old]]))
  assert.deepEqual(back, model)
  assert.throws(() => withWeights(model, new Map([['nothing', twice]])), { code: 'GRAPH_WEIGHT_UNKNOWN' })
  assert.throws(() => withWeights(model, new Map([[name, tensorOf('float32', [1], [1])]])), {
    code: 'GRAPH_WEIGHT_MISMATCH',
  })
})

test('initialisers that an exporter merged come apart when each gets its own weights', async () => {
  const model = fixture('gpt')
  const merged = model.graph.nodes.find((node) => node.op === 'Identity' && node.outputs[0] === 'norm.weight')!
  const shape = model.graph.initializers.get(merged.inputs[0]!)!.shape
  const weights = tensorOf('float32', shape, new Array(shape[0]!).fill(3))
  const changed = withWeights(model, new Map([['norm.weight', weights]]))
  assert.deepEqual(changed.graph.initializers.get('norm.weight'), weights)
  assert.notDeepEqual(changed.graph.initializers.get(merged.inputs[0]!), weights)
  const input = tensorOf('int64', [1, 8], [1, 2, 3, 4, 5, 6, 7, 8])
  const [before, after] = await Promise.all([model, changed].map((m) => runOnce(writeModel(m), [['input', input]])))
  assert.ok(distance(after!.get('output')!.data, before!.get('output')!.data) > 0.1)
})

test('half precision weights are trained as float32 and rounded back', () => {
  const model = templates.mlp({ inputs: [2], classes: 2, hidden: [] })
  const initializers = new Map(
    [...model.graph.initializers].map(([name, t]) => [
      name,
      tensorOf('float16', t.shape, Array.from(t.data as Float32Array)),
    ]),
  )
  const half: Model = { ...model, graph: { ...model.graph, initializers } }
  assert.match(checkModel(half).notes.join(), /float16/)
  const changed = withWeights(half, new Map([['head.bias', tensorOf('float32', [2], [0.1, 65504])]]))
  assert.deepEqual(changed.graph.initializers.get('head.bias'), {
    dtype: 'float16',
    shape: [2],
    data: Uint16Array.of(0x2e66, 0x7bff),
  })
})

test('every half-precision number survives the way to float and back', () => {
  for (let bits = 0; bits < 65_536; bits++)
    if ((bits & 0x7c00) !== 0x7c00 || (bits & 0x3ff) === 0) assert.equal(toHalf(fromHalf(bits)), bits)
})

test('standardising puts (x - mean) / std in front, by element or by channel', async () => {
  const model = templates.cnn({ shape: [2, 4, 4], classes: 3, channels: [2], dense: 4 })
  const [mean, std] = [
    [0.5, -1],
    [2, 0],
  ]
  const wrapped = standardize(model, 'input', mean, std)
  const x = tensorOf(
    'float32',
    [1, 2, 4, 4],
    Array.from({ length: 32 }, (_, i) => Math.sin(i)),
  )
  const own = tensorOf(
    'float32',
    [1, 2, 4, 4],
    Array.from({ length: 32 }, (_, i) => (i < 16 ? (Math.sin(i) - 0.5) / 2 : Math.sin(i) + 1)),
  )
  const a = await runOnce(writeModel(wrapped), [['input', x]])
  const b = await runOnce(writeModel(model), [['input', own]])
  assert.ok(distance(a.get('output')!.data, b.get('output')!.data) < 1e-5)
  assert.equal(checkModel(wrapped).parameters, checkModel(model).parameters)
  assert.throws(() => standardize(model, 'input', [1, 2, 3], [1, 2, 3]), { code: 'GRAPH_INPUT_MISMATCH' })
})

test('symbolic sizes stay symbolic unless they are given', () => {
  const shapes = inferShapes(fixture('gpt'))
  assert.deepEqual(shapes.get('output')!.shape, ['batch', 8, 17])
  assert.deepEqual(inferShapes(fixture('gpt'), { batch: 3 }).get('output')!.shape, [3, 8, 17])
  const cnn = inferShapes(templates.cnn({ shape: [1, 8, 8], classes: 3 }))
  assert.deepEqual(cnn.get('flat')!.shape, ['batch', 256])
  const model = templates.mlp({ inputs: [4], classes: 2, hidden: [] })
  const free: Model = {
    ...model,
    graph: {
      ...model.graph,
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', 'time', 4] }],
      nodes: [
        { name: 'f', op: 'Reshape', domain: '', inputs: ['input', 'to'], outputs: ['rows'], attributes: {} },
        {
          name: 'c',
          op: 'Concat',
          domain: '',
          inputs: ['input', 'input'],
          outputs: ['long'],
          attributes: { axis: { type: 'int', value: 1 } },
        },
        {
          name: 's',
          op: 'Slice',
          domain: '',
          inputs: ['input', 'one', 'end', 'one'],
          outputs: ['rest'],
          attributes: {},
        },
      ],
      outputs: [{ name: 'rows', dtype: 'float32', shape: ['', 4] }],
      initializers: new Map([
        ['to', tensorOf('int64', [2], [-1, 4])],
        ['one', tensorOf('int64', [1], [1])],
        ['end', tensorOf('int64', [1], [2 ** 62])],
      ]),
    },
  }
  const inferred = inferShapes(free)
  assert.deepEqual(inferred.get('rows')!.shape, ['batch*time', 4])
  assert.deepEqual(inferred.get('long')!.shape, ['batch', '2*time', 4])
  assert.deepEqual(inferred.get('rest')!.shape, ['batch', 'time-1', 4])
})

test('a report counts parameters and says what blocks training', () => {
  const good = checkModel(templates.mlp({ inputs: [10], classes: 3, hidden: [5] }))
  assert.equal(good.parameters, 10 * 5 + 5 + 5 * 3 + 3)
  assert.ok(good.flopsPerSample >= 2 * (50 + 15))
  assert.deepEqual(good.blocking, [])
  const model = templates.mlp({ inputs: [10], classes: 3, hidden: [5] })
  const nodes = model.graph.nodes.map((node) => (node.op === 'Relu' ? { ...node, op: 'TopK' } : node))
  const [blocking, ...more] = checkModel({ ...model, graph: { ...model.graph, nodes } }).blocking
  assert.deepEqual(more, [])
  assert.equal(blocking!.node, 'relu1')
  assert.equal(blocking!.op, 'TopK')
  assert.equal(blocking!.shape, '[1, 5]')
  assert.ok(blocking!.hint)
})

test('templates are seeded', () => {
  const make = (seed: number) =>
    writeModel(templates.gpt({ vocabulary: 11, context: 4, layers: 1, heads: 2, width: 8, seed }))
  assert.deepEqual(make(1), make(1))
  assert.notDeepEqual(make(1), make(2))
})

test('an autoencoder is trained in standard units and tells its rows in their own', async () => {
  const mean = [100, -3, 0.5]
  const std = [20, 0.1, 4]
  const model = standardize(templates.autoencoder({ shape: [3], latent: 2, hidden: [4] }), 'input', mean, std)
  const column = { column: 'input', dtype: 'float32' as const, shape: [3] }
  const program = buildProgram(model, {
    loss: 'mse',
    optimizer: { kind: 'sgd' },
    batch: 2,
    inputs: [{ name: 'input', ...column }],
    target: { name: 'target', ...column },
    logical: { target: { scale: std.map((s) => 1 / s), shift: mean.map((m, i) => -m / std[i]!) } },
  })
  const x = tensorOf('float32', [2, 3], [110, -3.2, 1, 85, -2.9, -7])
  const told = await runOnce(program.evaluate, [
    ...program.initial,
    ['input', x],
    ['target', x],
    ['sample_weight', tensorOf('float32', [2], [1, 1])],
  ])
  const exported = parseModel(writeModel(restoreScale(model, mean, std)))
  const y = (await runOnce(writeModel(exported), [['input', x]])).get('output')!
  const far = Array.from(x.data as Float32Array, (v, i) => (v - Number(y.data[i])) / std[i % 3]!)
  const loss = far.reduce((sum, d) => sum + d * d, 0) / 3
  assert.ok(Math.abs(Number(told.get('loss_sum')!.data[0]) - loss) < 1e-4 * loss)
  assert.ok(Array.from(y.data as Float32Array).every((v, i) => Math.abs(v - mean[i % 3]!) < 5 * std[i % 3]!))
  const names = program.parameters.map(({ name }) => name)
  assert.deepEqual(
    [...withWeights(exported, program.initial).graph.initializers.keys()].filter((n) => names.includes(n)),
    names,
  )
})
