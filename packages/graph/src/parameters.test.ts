import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Model, Node } from './model.ts'
import { FIXED_PREFIX, isLoneConstant, isParameter } from './parameters.ts'
import { tensorOf } from './tensors.ts'

const node = (op: string, ...inputs: string[]): Node => ({
  name: op,
  op,
  domain: '',
  inputs,
  outputs: [op],
  attributes: {},
})
const lone = tensorOf('float32', [1], [0.25])

function model(producer: string, ...nodes: Node[]): Model {
  const graph = { name: 'g', nodes, inputs: [], outputs: [], initializers: new Map() }
  return { irVersion: 8, opset: 17, producer, metadata: {}, graph }
}

test('a lone number that an exporter named is a constant, but where a layer has its weight', () => {
  const folded = model('pytorch', node('PRelu', 'x', 'onnx::PRelu_11'), node('Mul', 'x', 'onnx::Mul_12'))
  for (const which of ['likely', 'all'] as const) {
    assert.equal(isParameter(folded, 'onnx::PRelu_11', lone, which), true, which)
    assert.equal(isParameter(folded, 'onnx::Mul_12', lone, which), false, which)
  }
  assert.equal(isLoneConstant(folded, 'onnx::PRelu_11', lone), false)
  assert.equal(isLoneConstant(folded, 'onnx::Mul_12', lone), true)
})

test('what is marked as fixed is no parameter wherever it stands', () => {
  const name = `${FIXED_PREFIX}slope`
  assert.equal(isParameter(model('pingo', node('PRelu', 'x', name)), name, lone, 'all'), false)
})

test('a mask is no parameter unless all are asked for', () => {
  const mask = tensorOf('float32', [2, 2], [0, -1e9, 0, 0])
  assert.equal(isParameter(model('other'), 'mask', mask, 'likely'), false)
  assert.equal(isParameter(model('other'), 'mask', mask, 'all'), true)
})

test('a scalar is learnt where its name was kept', () => {
  const scalar = tensorOf('float32', [], [2])
  assert.equal(isParameter(model('pytorch'), 'block.scale', scalar, 'likely'), true)
  assert.equal(isParameter(model('other'), 'block.scale', scalar, 'likely'), false)
})
