import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BatchInput, Tensor } from '@pingo/wire'
import { batchSeed, buildGradients, buildProgram, fillNoise, type Model, type Node, parseModel } from './index.ts'
import { float } from './model.ts'
import { tensorOf } from './tensors.ts'
import { distance, open, runOnce } from './testing/runtime.ts'

const [BATCH, WIDTH, RATIO] = [16, 64, 0.3]
const node = (op: string, inputs: string[], output: string, attributes: Node['attributes'] = {}): Node => ({
  name: output,
  op,
  domain: '',
  inputs,
  outputs: [output],
  attributes,
})
const column = (name: string, shape: number[]): BatchInput => ({ name, column: name, dtype: 'float32', shape })

/** y = drop(drop(x) * w), dropout as opset 11 or 17 writes it. */
function model(opset: number, ratio = RATIO): Model {
  const initializers = new Map<string, Tensor>([
    ['layer.w', tensorOf('float32', [WIDTH], new Array(WIDTH).fill(1.5))],
    ['ratio', tensorOf('float32', [1], [ratio])],
  ])
  const drop = (from: string, to: string) =>
    opset < 12 ? node('Dropout', [from], to, { ratio: float(ratio) }) : node('Dropout', [from, 'r'], to)
  return {
    irVersion: 8,
    opset,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'dropout',
      nodes: [
        node('Constant', [], 'r', { value: { type: 'tensor', value: tensorOf('float32', [], [ratio]) } }),
        drop('input', 'a'),
        node('Mul', ['a', 'layer.w'], 'b'),
        drop('b', 'output'),
      ],
      inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', WIDTH] }],
      outputs: [{ name: 'output', dtype: 'float32', shape: ['batch', WIDTH] }],
      initializers,
    },
  }
}

const options = {
  loss: 'mse' as const,
  batch: BATCH,
  inputs: [column('input', [WIDTH])],
  target: column('target', [WIDTH]),
}
const feeds = (noise: Float32Array): Map<string, Tensor> =>
  new Map([
    ['input', tensorOf('float32', [BATCH, WIDTH], new Array(BATCH * WIDTH).fill(1))],
    ['target', tensorOf('float32', [BATCH, WIDTH], new Array(BATCH * WIDTH).fill(0.25))],
    ['sample_weight', tensorOf('float32', [BATCH], new Array(BATCH).fill(1))],
    ['noise', { dtype: 'float32', shape: [noise.length], data: noise }],
  ])

for (const opset of [11, 17])
  test(`opset ${opset}: in the step graph each dropout keeps what its own numbers say, scaled; elsewhere it passes through`, async () => {
    const program = buildGradients(model(opset), options, true, true)
    assert.deepEqual(program.noise, { elements: 2 * BATCH * WIDTH })
    const noise = fillNoise(new Float32Array(program.noise!.elements), batchSeed(3, 4))
    const out = await runOnce(program.graph, [...program.initial, ...feeds(noise)])
    const scale = 1 / (1 - RATIO)
    const kept = (i: number) => (noise[i]! >= Math.fround(RATIO) ? scale : 0)
    const expected = Array.from({ length: BATCH * WIDTH }, (_, i) => 1.5 * kept(i) * kept(BATCH * WIDTH + i))
    assert.ok(distance(out.get('output')!.data, expected) < 1e-6)
    const rate = noise.filter((x) => x >= RATIO).length / noise.length
    assert.ok(Math.abs(rate - (1 - RATIO)) < 4 * Math.sqrt((RATIO * (1 - RATIO)) / noise.length), `kept ${rate}`)

    const passed = buildGradients(model(opset), options)
    assert.equal(passed.noise, undefined)
    const plain = await runOnce(passed.graph, [...passed.initial, ...feeds(noise)])
    assert.deepEqual(new Set(plain.get('output')!.data as Float32Array), new Set([1.5]))
    const { evaluate, step } = buildProgram(model(opset), { ...options, optimizer: { kind: 'sgd' } })
    assert.ok(parseModel(step).graph.inputs.some(({ name }) => name === 'noise'))
    assert.ok(!parseModel(evaluate).graph.inputs.some(({ name }) => name === 'noise'))
  })

test('micro-batches draw numbers of their own', () => {
  const program = buildProgram(model(17), { ...options, optimizer: { kind: 'sgd' }, accumulate: 4 })
  assert.deepEqual(program.noise, { elements: 2 * BATCH * WIDTH })
  const { nodes, initializers } = parseModel(program.step).graph
  const starts = nodes
    .filter(({ op, inputs }) => op === 'Slice' && inputs[0] === 'noise')
    .map(({ inputs }) => Number(initializers.get(inputs[1]!)!.data[0]))
  assert.deepEqual(
    starts.sort((a, b) => a - b),
    Array.from({ length: 8 }, (_, i) => (i * BATCH * WIDTH) / 4),
  )
})

test('gradients agree with central differences at fixed noise', async () => {
  const program = buildGradients(model(17), options, true, true)
  const runner = await open(program.graph)
  const w = program.initial.get('layer.w')!
  const all = new Map([...program.initial, ...feeds(fillNoise(new Float32Array(program.noise!.elements), 9n))])
  const loss = async () => Number((await runner.run(all)).get('loss')!.data[0])
  const gradient = (await runner.run(all)).get('grad.layer.w')!.data
  const numeric: number[] = []
  for (let i = 0; i < 8; i++) {
    w.data[i] = 1.75
    const up = await loss()
    w.data[i] = 1.25
    numeric.push((up - (await loss())) / 0.5)
    w.data[i] = 1.5
  }
  assert.ok(distance((gradient as Float32Array).subarray(0, 8), numeric) < 1e-3)
  await runner.close()
})

test('a ratio of 0 draws nothing, one of 1 is refused by name', () => {
  const build = (ratio: number) => buildProgram(model(17, ratio), { ...options, optimizer: { kind: 'sgd' } })
  assert.equal(build(0).noise, undefined)
  assert.throws(() => build(1), /'a' \(Dropout.*ratio of 1/)
})

test('random tensors are drawn in the step graph and are their mean elsewhere', async () => {
  const base = model(17)
  const nodes = [
    node('RandomNormalLike', ['input'], 'n', { mean: float(2), scale: float(0.5) }),
    node('RandomUniformLike', ['input'], 'u', { low: float(-3), high: float(5) }),
    node('Add', ['n', 'u'], 's'),
    node('Mul', ['s', 'layer.w'], 'output'),
  ]
  const random = { ...base, graph: { ...base.graph, nodes } }
  const drawn = buildGradients(random, options, true, true)
  const noise = fillNoise(new Float32Array(drawn.noise!.elements), batchSeed(0, 1))
  const out = (await runOnce(drawn.graph, [...drawn.initial, ...feeds(noise)])).get('output')!.data as Float32Array
  const n = out.length
  const mean = out.reduce((sum, x) => sum + x / 1.5, 0) / n
  const variance = out.reduce((sum, x) => sum + (x / 1.5 - mean) ** 2, 0) / n
  // Means 2 and 1; variances 0.25 and 64 / 12.
  assert.ok(Math.abs(mean - 3) < 4 * Math.sqrt(5.58 / n), `mean ${mean}`)
  assert.ok(Math.abs(variance - 5.58) < 0.8, `variance ${variance}`)
  const still = buildGradients(random, options)
  const fixed = await runOnce(still.graph, [...still.initial, ...feeds(noise)])
  assert.deepEqual(new Set(fixed.get('output')!.data as Float32Array), new Set([4.5]))
})
