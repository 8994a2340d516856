import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError, sizeOf, type Tensor } from '@pingo/wire'
import {
  ACTIVATIONS,
  activation,
  allowedOperators,
  attention,
  avgPool,
  batchNorm,
  block,
  branches,
  buildGradients,
  buildProgram,
  checkModel,
  conv1d,
  conv2d,
  convTranspose2d,
  dense,
  depthwiseConv2d,
  dropout,
  embedding,
  flatten,
  globalAvgPool,
  groupNorm,
  gru,
  inferShapes,
  type Layer,
  layerNorm,
  lstm,
  maxPool,
  meanTokens,
  parseModel,
  patchEmbedding,
  permute,
  positionalEmbedding,
  reshape,
  residual,
  rmsNorm,
  separableConv2d,
  sequential,
  supportedOperators,
  tiedHead,
  transformerBlock,
  upsample,
  withWeights,
  writeModel,
} from '../index.ts'
import { Random } from '../templates/random.ts'
import { tensorOf } from '../tensors.ts'
import { distance, runOnce } from '../testing/runtime.ts'

const random = new Random(7)
const normals = (shape: readonly number[]): Tensor =>
  tensorOf(
    'float32',
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  )

const numbers = ({ data }: Tensor) => Array.from(data as Float32Array)

/** Each layer with what it reads and gives, a sample. */
const CASES: [name: string, layers: Layer[], input: number[], output: number[]][] = [
  ['dense', [dense(5, { activation: 'relu' })], [4], [5]],
  ['dense on a sequence, without bias', [dense(5, { bias: false })], [3, 4], [3, 5]],
  ['conv2d', [conv2d(4)], [3, 7, 6], [4, 7, 6]],
  ['conv2d with all options', [conv2d(4, { kernel: [3, 2], stride: 2, dilation: 2, groups: 2 })], [2, 9, 8], [4, 5, 4]],
  ['conv2d, valid', [conv2d(4, { padding: 'valid', kernel: 5 })], [3, 7, 6], [4, 3, 2]],
  [
    'conv2d, padding in numbers, an even kernel',
    [conv2d(2, { padding: 1, kernel: 4, stride: 2 })],
    [1, 8, 9],
    [2, 4, 4],
  ],
  ['conv2d, same and even', [conv2d(2, { kernel: 2, stride: 3 })], [1, 7, 9], [2, 3, 3]],
  ['conv1d', [conv1d(4, { stride: 2 })], [3, 7], [4, 4]],
  ['depthwiseConv2d', [depthwiseConv2d({ multiplier: 2, stride: 2 })], [3, 8, 8], [6, 4, 4]],
  ['separableConv2d', [separableConv2d(5, { activation: 'silu' })], [3, 8, 8], [5, 8, 8]],
  ['convTranspose2d', [convTranspose2d(2)], [3, 4, 5], [2, 8, 10]],
  ['convTranspose2d, kernel 3', [convTranspose2d(2, { kernel: 3 })], [3, 4, 5], [2, 8, 10]],
  ['convTranspose2d, kernel as stride', [convTranspose2d(2, { kernel: 3, stride: 3 })], [3, 4, 5], [2, 12, 15]],
  ['maxPool', [maxPool(2)], [3, 7, 6], [3, 3, 3]],
  ['maxPool that overlaps', [maxPool(3, { stride: 2, padding: 1 })], [3, 8, 8], [3, 4, 4]],
  ['avgPool over a sequence', [avgPool(2)], [3, 9], [3, 4]],
  ['globalAvgPool', [globalAvgPool()], [3, 4, 5], [3]],
  ['globalAvgPool over a sequence', [globalAvgPool()], [3, 4], [3]],
  ['meanTokens', [meanTokens()], [6, 4], [4]],
  ['batchNorm', [batchNorm()], [3, 4, 4], [3, 4, 4]],
  ['batchNorm on features', [batchNorm({ momentum: 0.99 })], [6], [6]],
  ['layerNorm', [layerNorm()], [5, 6], [5, 6]],
  ['rmsNorm', [rmsNorm()], [5, 6], [5, 6]],
  ['groupNorm', [groupNorm(2)], [4, 3, 3], [4, 3, 3]],
  ['positionalEmbedding', [positionalEmbedding()], [5, 6], [5, 6]],
  ['sinusoidal positions', [positionalEmbedding({ kind: 'sinusoidal' }), dense(2)], [5, 6], [5, 2]],
  ['dropout', [dropout(0.25), dense(3)], [6], [3]],
  ['flatten', [flatten(), dense(2)], [2, 3, 4], [2]],
  ['reshape', [reshape([-1, 6]), dense(2)], [2, 3, 4], [4, 2]],
  ['permute', [permute(2, 3, 1), conv2d(2)], [4, 5, 3], [2, 3, 4]],
  ['residual', [residual([dense(4, { activation: 'tanh' }), dense(4)])], [4], [4]],
  [
    'residual with a shortcut',
    [residual([conv2d(4, { stride: 2 })], { shortcut: [conv2d(4, { kernel: 1, stride: 2 })], activation: 'relu' })],
    [2, 5, 5],
    [4, 3, 3],
  ],
  ['branches', [branches([[conv2d(2)], [conv2d(3, { kernel: 1 })], []])], [1, 4, 4], [6, 4, 4]],
  ['branches that add', [branches([[dense(3)], [dense(3)]], { join: 'add' })], [4], [3]],
  [
    'branches that multiply',
    [branches([[dense(3)], [dense(3, { activation: 'sigmoid' })]], { join: 'multiply' })],
    [4],
    [3],
  ],
  ['attention', [attention({ heads: 2 })], [5, 8], [5, 8]],
  ['attention, causal and rotary', [attention({ heads: 2, causal: true, rotary: true, dropout: 0.1 })], [5, 8], [5, 8]],
  ['transformerBlock', [transformerBlock({ heads: 2 })], [5, 8], [5, 8]],
  [
    'transformerBlock as in LLaMA',
    [
      transformerBlock({
        heads: 2,
        causal: true,
        rotary: true,
        norm: 'rms',
        activation: 'silu',
        bias: false,
        hidden: 12,
      }),
    ],
    [5, 8],
    [5, 8],
  ],
  ['upsample', [upsample(2), conv2d(2)], [3, 4, 5], [2, 8, 10]],
  ['upsample by lines', [upsample(3, { mode: 'linear' }), conv2d(2)], [3, 2, 3], [2, 6, 9]],
  ['patchEmbedding', [patchEmbedding(6, { patch: 2 })], [3, 4, 6], [6, 6]],
  ['block', [block([dense(3), dense(4)], { name: 'head' })], [2], [4]],
  ...ACTIVATIONS.map((kind): [string, Layer[], number[], number[]] => [kind, [dense(3), activation(kind)], [4], [3]]),
]

for (const [name, layers, input, output] of CASES)
  test(`${name}: the model gives what its layers promise, for any batch, and can be trained`, async () => {
    const model = sequential(layers, { input, seed: 1 })
    const [info] = model.graph.outputs
    assert.deepEqual(info!.shape, ['batch', ...output])
    assert.deepEqual(inferShapes(model).get('output')!.shape, ['batch', ...output])
    for (const batch of [1, 3]) {
      const y = (await runOnce(writeModel(model), [['input', normals([batch, ...input])]])).get('output')!
      assert.deepEqual(y.shape, [batch, ...output])
      assert.ok(Array.from(y.data as Float32Array).every(Number.isFinite))
    }
    assert.deepEqual(checkModel(model).blocking, [])
    if (!model.graph.initializers.size || !checkModel(model).parameters) return
    const column = (each: string, shape: number[]) => ({ name: each, column: each, dtype: 'float32' as const, shape })
    const program = buildGradients(model, {
      loss: 'mse',
      batch: 4,
      inputs: [column('input', input)],
      target: column('target', output),
    })
    const trained = [...program.parameters, ...program.buffers].map((spec) => spec.name)
    const floats = [...model.graph.initializers].filter(([at, t]) => t.dtype === 'float32' && !at.startsWith('pingo.'))
    assert.deepEqual(trained.toSorted(), floats.map(([at]) => at).toSorted(), 'every weight is trained, no constant is')
    assert.deepEqual(
      program.buffers.map((spec) => spec.name.replace(/.*\./, '')),
      layers.some(({ kind }) => kind === 'batchNorm') ? ['running_mean', 'running_var'] : [],
    )
  })

test('equal seeds give equal files, others do not; the file is read back as it was', () => {
  const make = (seed: number) =>
    writeModel(sequential([conv2d(3, { activation: 'relu' }), flatten(), dense(2)], { input: [1, 4, 4], seed }))
  assert.deepEqual(make(3), make(3))
  assert.notDeepEqual(make(3), make(4))
  const { nodes, initializers } = parseModel(make(3)).graph
  assert.deepEqual(
    nodes.map(({ op }) => op),
    ['Conv', 'Relu', 'Flatten', 'Gemm'],
  )
  assert.deepEqual([...initializers.keys()], ['conv1.weight', 'conv1.bias', 'dense1.weight', 'dense1.bias'])
})

test('weights begin with the deviation that their rule says', () => {
  const spread = (layer: Layer, input: number[], name: string) => {
    const { data } = sequential([layer], { input }).graph.initializers.get(name)!
    const values = Array.from(data as Float32Array)
    return { deviation: Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length), values }
  }
  const near = (found: number, wanted: number) =>
    assert.ok(Math.abs(found / wanted - 1) < 0.05, `${found} for ${wanted}`)
  near(spread(dense(200, { activation: 'gelu' }), [100], 'dense1.weight').deviation, Math.sqrt(2 / 100))
  near(spread(dense(200), [100], 'dense1.weight').deviation, Math.sqrt(2 / 300))
  near(spread(conv2d(64), [32, 4, 4], 'conv1.weight').deviation, Math.sqrt(2 / (32 * 9)))
  near(spread(depthwiseConv2d(), [500, 4, 4], 'depthwise1.weight').deviation, Math.sqrt(2 / 9))
  const cut = spread(dense(200, { initial: { truncated: 0.02 } }), [100], 'dense1.weight')
  assert.ok(cut.values.every((x) => Math.abs(x) <= 0.04))
  near(cut.deviation, 0.02 * 0.88)
  const flat = spread(lstm(16), [3, 50], 'lstm1.weight')
  assert.ok(flat.values.every((x) => Math.abs(x) <= 0.25))
  near(flat.deviation, 0.25 / Math.sqrt(3))
})

test('tokens: an embedding reads them, a tied head gives them back by the same weight', async () => {
  const model = sequential([embedding(7, 4, { name: 'token' }), tiedHead('token')], { input: [3] })
  assert.deepEqual(model.graph.inputs, [{ name: 'input', dtype: 'int64', shape: ['batch', 3] }])
  assert.equal(checkModel(model).parameters, 28)
  const y = await runOnce(writeModel(model), [['input', tensorOf('int64', [1, 3], [6, 0, 2])]])
  const table = model.graph.initializers.get('token.weight')!.data as Float32Array
  const dot = (a: number, b: number) => [0, 1, 2, 3].reduce((sum, i) => sum + table[4 * a + i]! * table[4 * b + i]!, 0)
  const wanted = [6, 0, 2].flatMap((a) => [0, 1, 2, 3, 4, 5, 6].map((b) => dot(a, b)))
  assert.ok(distance(y.get('output')!.data, wanted) < 1e-6)
})

test('causal attention does not look ahead', async () => {
  const model = writeModel(
    sequential([attention({ heads: 2, causal: true, initial: { normal: 0.5 } })], { input: [6, 8] }),
  )
  const x = normals([1, 6, 8])
  const changed = { ...x, data: Float32Array.from(x.data as Float32Array, (v, i) => (i < 4 * 8 ? v : v + 1)) }
  const run = async (fed: Tensor) => (await runOnce(model, [['input', fed]])).get('output')!.data as Float32Array
  const [before, after] = [await run(x), await run(changed)]
  assert.deepEqual(before.slice(0, 32), after.slice(0, 32))
  assert.notDeepEqual(before.slice(32), after.slice(32))
})

type Rows = [number, number][]

test('rotary attention scores a query and a key by their distance alone, as the equations say', async () => {
  const model = sequential([attention({ heads: 1, rotary: true, initial: { normal: 1 } })], { input: [4, 2] })
  const x = normals([1, 4, 2])
  const of = (name: string) => model.graph.initializers.get(`attention1.${name}.weight`)!.data as Float32Array
  const times = ([a, b]: number[], w: Float32Array) => [a! * w[0]! + b! * w[2]!, a! * w[1]! + b! * w[3]!]
  const rows = [0, 1, 2, 3].map((i) => Array.from(x.data as Float32Array).slice(2 * i, 2 * i + 2))
  const [q, k, v] = ['query', 'key', 'value'].map((name) =>
    rows.map((row) => times(row, of(name)) as [number, number]),
  ) as [Rows, Rows, Rows]
  const wanted = q.flatMap(([a, b], i) => {
    const scores = k.map(([c, d], j) => {
      const [cos, sin] = [Math.cos(i - j), Math.sin(i - j)]
      return ((a * cos - b * sin) * c + (a * sin + b * cos) * d) / Math.SQRT2
    })
    const powers = scores.map(Math.exp)
    const sum = powers.reduce((total, p) => total + p)
    return times(
      [0, 1].map((n) => powers.reduce((total, p, j) => total + (p / sum) * v[j]![n]!, 0)),
      of('project'),
    )
  })
  const y = (await runOnce(writeModel(model), [['input', x]])).get('output')!
  assert.ok(distance(y.data, wanted) < 1e-5)
})

/** A step of an LSTM or GRU by the book, float64. */
function recurrence(kind: 'lstm' | 'gru', x: number[][], weights: Map<string, Tensor>, units: number): number[][] {
  const of = (name: string) => weights.get(`${kind}1.${name}`)!.data as Float32Array
  const [w, r, b] = [of('weight'), of('recurrent'), of('bias')]
  const gates = kind === 'lstm' ? 4 : 3
  const sigmoid = (v: number) => 1 / (1 + Math.exp(-v))
  let h: number[] = new Array(units).fill(0)
  let c: number[] = new Array(units).fill(0)
  return x.map((row) => {
    const part = (m: Float32Array, v: number[], j: number) =>
      v.reduce((sum, each, k) => sum + m[j * v.length + k]! * each, 0)
    const input = (g: number, i: number) => part(w, row, g * units + i) + b[g * units + i]!
    const state = (g: number, i: number, from = h) => part(r, from, g * units + i) + b[(gates + g) * units + i]!
    const indices = h.map((_, i) => i)
    if (kind === 'lstm') {
      const gate = (g: number, i: number) => input(g, i) + state(g, i)
      c = indices.map((i) => sigmoid(gate(2, i)) * c[i]! + sigmoid(gate(0, i)) * Math.tanh(gate(3, i)))
      h = indices.map((i) => sigmoid(gate(1, i)) * Math.tanh(c[i]!))
    } else {
      const z = indices.map((i) => sigmoid(input(0, i) + state(0, i)))
      const reset = indices.map((i) => sigmoid(input(1, i) + state(1, i)))
      const hidden = indices.map((i) => Math.tanh(input(2, i) + reset[i]! * state(2, i)))
      h = indices.map((i) => (1 - z[i]!) * hidden[i]! + z[i]! * h[i]!)
    }
    return h
  })
}

for (const kind of ['lstm', 'gru'] as const)
  test(`${kind}: onnxruntime runs it as the equations say; both directions and the last state agree with the sequence`, async () => {
    const layer = { lstm, gru }[kind]
    const [time, features, units] = [5, 3, 4]
    const x = normals([2, time, features])
    const run = async (model: ReturnType<typeof sequential>) =>
      (await runOnce(writeModel(model), [['input', x]])).get('output')!
    const all = sequential([layer(units, { sequences: true })], { input: [time, features], seed: 5 })
    const { initializers } = all.graph
    const y = await run(all)
    assert.deepEqual(y.shape, [2, time, units])
    for (const n of [0, 1]) {
      const values = Array.from(x.data as Float32Array).slice(n * time * features, (n + 1) * time * features)
      const rows = Array.from({ length: time }, (_, t) => values.slice(t * features, (t + 1) * features))
      const wanted = recurrence(kind, rows, initializers, units).flat()
      assert.ok(distance(numbers(y).slice(n * time * units, (n + 1) * time * units), wanted) < 1e-5)
    }
    const last = await run(sequential([layer(units)], { input: [time, features], seed: 5 }))
    assert.deepEqual(last.shape, [2, units])
    assert.deepEqual(numbers(last).slice(0, units), numbers(y).slice((time - 1) * units, time * units))
    const both = await run(
      sequential([layer(units, { sequences: true, bidirectional: true })], { input: [time, features] }),
    )
    assert.deepEqual(both.shape, [2, time, 2 * units])
    const ends = await run(sequential([layer(units, { bidirectional: true })], { input: [time, features] }))
    assert.deepEqual(ends.shape, [2, 2 * units])
    const [sequence, end] = [numbers(both), numbers(ends)]
    assert.deepEqual(end.slice(0, units), sequence.slice((time - 1) * 2 * units, (time - 1) * 2 * units + units))
    assert.deepEqual(
      end.slice(units, 2 * units),
      sequence.slice(units, 2 * units),
      'the way back ends at the first step',
    )
    if (kind === 'lstm')
      assert.equal(
        (initializers.get('lstm1.bias')!.data as Float32Array).reduce((sum, v) => sum + v, 0),
        units,
        'forget gates begin open',
      )
  })

test('only operators that a graph of PinGo may hold are emitted', () => {
  const known = new Set([...supportedOperators, ...allowedOperators])
  for (const [name, layers, input] of CASES)
    for (const { op } of sequential(layers, { input }).graph.nodes) assert.ok(known.has(op), `${op} of ${name}`)
})

test('dropout takes random numbers in training, one for each element it may drop; without a ratio there is none', () => {
  const noise = (layers: Layer[], input: number[], output: number[]) => {
    const column = (name: string, shape: number[]) => ({ name, column: name, dtype: 'float32' as const, shape })
    const inputs = [column('input', input)]
    const options = { loss: 'mse' as const, optimizer: { kind: 'sgd' as const }, batch: 4, inputs }
    return buildProgram(sequential(layers, { input }), { ...options, target: column('target', output) }).noise?.elements
  }
  assert.equal(noise([dropout(0.25), dense(3)], [6], [3]), 4 * 6)
  // Attention weights of 2 heads, and what both parts of the block add.
  assert.equal(noise([transformerBlock({ heads: 2, dropout: 0.1 })], [5, 8], [5, 8]), 4 * (2 * 5 * 5 + 2 * 5 * 8))
  assert.equal(noise([dropout(0), dense(3)], [6], [3]), undefined)
})

test('trained weights go back by the names of the layers', () => {
  const model = sequential([block([dense(3)], { name: 'body' }), dense(2, { name: 'head' })], { input: [4] })
  assert.deepEqual(
    [...model.graph.initializers.keys()],
    ['body.dense1.weight', 'body.dense1.bias', 'head.weight', 'head.bias'],
  )
  const changed = withWeights(model, new Map([['head.bias', tensorOf('float32', [2], [5, 6])]]))
  assert.deepEqual([...changed.graph.initializers.get('head.bias')!.data], [5, 6])
})

test('what does not fit is told with the layer, the shape and what to do', () => {
  const throws = (layers: Layer[], input: number[], code: string, ...words: string[]) =>
    assert.throws(
      () => sequential(layers, { input }),
      (error: unknown) => {
        assert.ok(isPinGoError(error, code), String(error))
        assert.ok(error.hint, 'a hint')
        for (const word of words)
          assert.ok(`${error.message} ${error.hint}`.includes(word), `${error.message} ${error.hint}: ${word}`)
        return true
      },
    )
  const shape = 'LAYER_SHAPE_MISMATCH'
  throws([dense(2)], [3, 8, 8], shape, "'dense1'", '[3, 8, 8]', 'flatten()')
  throws([conv2d(2), conv2d(2, { padding: 'valid', kernel: 9 })], [1, 8, 8], shape, "'conv2'", '[2, 8, 8]', 'kernel')
  throws([conv2d(2)], [64], shape, "'conv1'", '[64]', 'reshape(')
  throws([conv2d(3, { groups: 2 })], [2, 4, 4], shape, 'groups')
  throws([flatten(), maxPool(2)], [1, 4, 4], shape, "'maxPool1'")
  throws([maxPool(4), maxPool(2)], [1, 4, 4], shape, "'maxPool2'", 'fewer pools')
  throws([embedding(9, 4), attention({ heads: 3 })], [5], shape, "'attention1'", '[5, 4]', 'divide 4')
  throws([embedding(9, 4), conv2d(4)], [5], shape, '[channels, height, width]')
  throws([dense(3), embedding(9, 4)], [5], shape, 'tokens')
  throws([residual([dense(3)])], [4], shape, '[3]', '[4]', 'shortcut')
  throws([branches([[conv2d(2)], [conv2d(2, { stride: 2 })]])], [1, 4, 4], shape, '[2, 4, 4] and [2, 2, 2]')
  throws([lstm(4)], [5], shape, 'reshape([time, features])')
  throws([reshape([5, -1])], [12], shape)
  throws([layerNorm()], [3, 4, 4], shape, 'groupNorm')
  throws([patchEmbedding(8, { patch: 3 })], [1, 8, 8], shape, '3 × 3')
  throws([tiedHead('none')], [3, 8], shape, "'none'")
  throws([dense(0)], [3], 'LAYER_INVALID', "'dense1'", '0')
  throws([dropout(1)], [3], 'LAYER_INVALID', 'ratio')
  throws([dense(2, { name: 'a' }), dense(2, { name: 'a' })], [3], 'LAYER_NAME_TAKEN', "'a'")
  throws([dense(2)], [0], 'LAYER_INVALID')
})
