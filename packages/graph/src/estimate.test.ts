import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { estimateTraining, type Model, type Node, parseModel, peakBytes, templates } from './index.ts'
import { tensorOf } from './tensors.ts'

const fixture = (name: string) => parseModel(readFileSync(new URL(`../fixtures/${name}`, import.meta.url)))

test('the peak is the greatest sum of inputs and values alive at once', () => {
  const sizes: Record<string, number> = { x: 10, a: 100, b: 7, c: 3, d: 1 }
  const graph = {
    nodes: [
      { inputs: ['x'], outputs: ['a'] },
      { inputs: ['a'], outputs: ['b'] },
      { inputs: ['b'], outputs: ['c', 'mask'] },
      { inputs: ['c', 'b'], outputs: ['d'] },
    ],
    inputs: ['x'],
    outputs: ['d'],
    bytesOf: (name: string) => sizes[name],
    unknown: () => assert.fail('mask is read by nobody'),
  }
  // a is freed behind b: x + a + b.
  assert.equal(peakBytes(graph), 117)
  assert.equal(peakBytes({ ...graph, outputs: ['d', 'a'] }), 10 + 100 + 7 + 3 + 1)
  const [first, ...rest] = graph.nodes
  const unsized = { ...graph, nodes: [{ ...first!, outputs: ['unknown'] }, ...rest], unknown: () => 1000 }
  assert.equal(peakBytes(unsized), 10 + 1000)
})

test('a step of an MLP takes at least its parameters, their moments and its batch, and grows with the batch by its activations', () => {
  const model = templates.mlp({ inputs: [100], classes: 10, hidden: [50] })
  const parameters = 100 * 50 + 50 + 50 * 10 + 10
  const { batches, flopsPerSample, sizes } = estimateTraining(model, { batches: [1, 64, 1024] })
  assert.deepEqual(sizes, {})
  const bytes = batches.map((b) => b.peakBytes)
  // Parameters, both moments and gradients.
  assert.ok(bytes[0]! >= 4 * 4 * parameters && bytes[0]! < 4 * 5 * parameters, `${bytes[0]}`)
  assert.ok(bytes[0]! < bytes[1]! && bytes[1]! < bytes[2]!)
  const perSample = (bytes[2]! - bytes[1]!) / (1024 - 64) / 4
  assert.ok(perSample > 100 + 10 + 50 && perSample < 4 * (100 + 2 * 50 + 2 * 10), `${perSample} numbers a sample`)
  // Three products forward and backward, and the update spread over the batch.
  assert.ok(flopsPerSample > 4 * parameters && flopsPerSample < 8 * parameters, `${flopsPerSample}`)
  const sgd = estimateTraining(model, { batches: [1], optimizer: { kind: 'sgd' } }).batches[0]!.peakBytes
  assert.ok(sgd <= bytes[0]! - 2 * 4 * parameters)
})

test('symbolic sizes are taken as asked, else tried', () => {
  // Each number of a sequence times a weight, then their mean.
  const node = (op: string, inputs: string[], output: string): Node => ({
    name: op,
    op,
    domain: '',
    inputs,
    outputs: [output],
    attributes: {},
  })
  const axes = tensorOf('int64', [1], [1])
  const model: Model = {
    irVersion: 8,
    opset: 18,
    producer: 'test',
    metadata: {},
    graph: {
      name: 'g',
      nodes: [node('Mul', ['x', 'w'], 'y'), node('ReduceMean', ['y', 'axes'], 'z')],
      inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 'length'] }],
      outputs: [{ name: 'z', dtype: 'float32', shape: ['n', 1] }],
      initializers: new Map([
        ['w', tensorOf('float32', [1], [2])],
        ['axes', axes],
      ]),
    },
  }
  const [short, long] = [100, 1000].map((length) => estimateTraining(model, { batches: [4], sizes: { length } }))
  assert.deepEqual(short!.sizes, { length: 100 })
  assert.ok(long!.batches[0]!.peakBytes > 5 * short!.batches[0]!.peakBytes)
  assert.deepEqual(estimateTraining(model, { batches: [4] }).sizes, { length: 16 })
})

test('a model whose first axis is no batch is said to be so', () => {
  assert.throws(
    () => estimateTraining(fixture('batches/sequence_first.onnx')),
    (error) => isPinGoError(error, 'GRAPH_BATCH_FIXED'),
  )
})
