import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isPinGoError, type LossInput, LossSchema, readSafetensors, sizeOf, type Tensor } from '@pingo/wire'
import { buildGradients, buildProgram } from './index.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { lossAndGradient, lossCase, outputModel } from './testing/losses.ts'
import { distance, runOnce } from './testing/runtime.ts'

const { tensors, metadata } = readSafetensors(readFileSync(new URL('../fixtures/losses.safetensors', import.meta.url)))
const cases = Object.entries(metadata).map(([name, spec]) => ({
  name,
  loss: LossSchema.parse(JSON.parse(spec)),
  y: tensors.get(`${name}.output`)!,
  target: tensors.get(`${name}.target`)!,
  expected: Number(tensors.get(`${name}.loss`)!.data[0]),
  gradient: tensors.get(`${name}.grad`)!.data,
}))

for (const { name, loss, y, target, expected, gradient } of cases)
  test(`${name}: value and gradient are PyTorch's`, async () => {
    const got = await lossAndGradient(loss, y, target)
    assert.ok(Math.abs(got.loss - expected) <= 1e-5 * Math.max(1, Math.abs(expected)), `${got.loss}, not ${expected}`)
    assert.ok(distance(got.gradient, gradient) < 1e-5, `gradient: ${distance(got.gradient, gradient)}`)
  })

for (const { name, loss, y, target } of cases)
  test(`${name}: samples of weight 0 count nothing`, async () => {
    const rows = y.shape[0]! - 2
    const cut = (t: Tensor): Tensor => ({
      dtype: t.dtype,
      shape: [rows, ...t.shape.slice(1)],
      data: t.data.slice(0, rows * sizeOf(t.shape.slice(1))) as Tensor['data'],
    })
    const weights = Array.from({ length: rows + 2 }, (_, i) => +(i < rows))
    const padded = await lossAndGradient(loss, y, target, { weights })
    const small = await lossAndGradient(loss, cut(y), cut(target))
    assert.ok(Math.abs(padded.loss - small.loss) <= 1e-5 * Math.max(1, Math.abs(small.loss)))
    const { length } = small.gradient
    assert.ok(distance(padded.gradient.slice(0, length), small.gradient) < 1e-5)
    assert.ok(padded.gradient.slice(length).every((g) => g === 0))
  })

for (const [name, op] of [
  ['ids', 'LogSoftmax'],
  ['smoothed', 'Softmax'],
  ['soft', 'LogSoftmax'],
  ['bce_positive', 'Sigmoid'],
  ['kl', 'LogSoftmax'],
  ['kl_positions', 'Softmax'],
] as const)
  test(`${name}: a final ${op} is looked through`, async () => {
    const { loss, y, target, expected, gradient } = cases.find((c) => c.name === name)!
    const got = await lossAndGradient(loss, y, target, { ops: [op] })
    assert.ok(Math.abs(got.loss - expected) < 1e-5)
    assert.ok(distance(got.gradient, gradient) < 1e-5)
  })

test('a batch of ignored positions alone has loss 0 and no gradient', async () => {
  const { y } = cases.find(({ name }) => name === 'ignored')!
  const target = tensorOf('int64', [4, 3], new Array(12).fill(-100))
  const got = await lossAndGradient({ kind: 'cross_entropy', ignoreIndex: -100 }, y, target)
  assert.equal(got.loss, 0)
  assert.ok(got.gradient.every((g) => g === 0))
})

test('with ignored positions the sums of evaluating divide to the means over what counts', async () => {
  const { y, target, loss, expected } = cases.find(({ name }) => name === 'ignored')!
  const { options, feeds } = lossCase(y, target)
  const program = buildProgram(outputModel(y), { ...options, loss, optimizer: { kind: 'sgd' } })
  const out = await runOnce(program.evaluate, [...program.initial, ...feeds])
  assert.ok(Math.abs(Number(out.get('loss_sum')!.data[0]) / 4 - expected) < 1e-5)
  const [ids, scores] = [Array.from(target.data as BigInt64Array, Number), Array.from(y.data as Float32Array)]
  const counted = ids.flatMap((id, i) => (id === -100 ? [] : [[id, scores.slice(5 * i, 5 * i + 5)] as const]))
  const right = counted.filter(([id, row]) => row.indexOf(Math.max(...row)) === id).length
  const accuracy = Number(out.get('metric_sum')!.data[0]) / (4 * program.predictionsPerSample)
  assert.ok(Math.abs(accuracy - right / counted.length) < 1e-6)
})

test("the model's own loss: numbers by sample, or one for the batch", async () => {
  const random = new Random(3)
  const y = tensorOf(
    'float32',
    [4, 2],
    Array.from({ length: 8 }, () => random.normal()),
  )
  const target = tensorOf('float32', [4], [])
  const rows = await lossAndGradient('output', y, target, { weights: [1, 1, 1, 0] })
  const sum = Array.from(y.data as Float32Array).reduce((a, v, i) => a + (i < 6 ? v : 0), 0)
  assert.ok(Math.abs(rows.loss - sum / 6) < 1e-6)
  assert.deepEqual(
    Array.from(rows.gradient, (g) => +g.toFixed(6)),
    [...new Array(6).fill(0.166667), 0, 0],
  )
  const model = outputModel(y)
  const whole = (feedWeights: number[]) => {
    const { options, feeds } = lossCase(y, target, feedWeights)
    const nodes = [
      ...model.graph.nodes,
      {
        name: 'mean',
        op: 'ReduceMean',
        domain: '',
        inputs: ['raw'],
        outputs: ['mean'],
        attributes: { keepdims: { type: 'int' as const, value: 0 } },
      },
    ]
    const outputs = [{ name: 'mean', dtype: 'float32' as const, shape: [] }]
    const program = buildGradients(
      { ...model, graph: { ...model.graph, nodes, outputs } },
      { ...options, loss: 'output' },
    )
    return runOnce(program.graph, [...program.initial, ...feeds])
  }
  const out = await whole([1, 1, 1, 1])
  const mean = Array.from(y.data as Float32Array).reduce((a, v) => a + v / 8, 0)
  assert.ok(Math.abs(Number(out.get('loss')!.data[0]) - mean) < 1e-6)
  assert.ok(distance(out.get('grad.y')!.data, new Array(8).fill(1 / 8)) < 1e-6)
})

test('losses and targets that do not go together are named', () => {
  const y = tensorOf('float32', [4, 6], [])
  const wrong: [LossInput, Tensor, RegExp][] = [
    ['kl', tensorOf('int64', [4], []), /kl wants as many numbers/],
    ['cosine', tensorOf('float32', [4, 5], []), /cosine/],
    ['l1', tensorOf('float32', [4], []), /l1 compares/],
    [{ kind: 'bce', positiveWeight: [1, 2, 3, 4] }, tensorOf('float32', [4, 6], []), /positiveWeight has 4 numbers/],
    [{ kind: 'cross_entropy', ignoreIndex: 0 }, tensorOf('float32', [4, 6], []), /probabilities/],
  ]
  for (const [loss, target, text] of wrong)
    assert.throws(
      () => buildGradients(outputModel(y), { ...lossCase(y, target).options, loss }),
      (error: unknown) => isPinGoError(error, 'GRAPH_TARGET_MISMATCH') && text.test(error.message) && !!error.hint,
    )
  assert.throws(
    () =>
      buildGradients(outputModel(y), {
        ...lossCase(y, y).options,
        loss: { kind: 'huber', delta: -1 },
      }),
    (error: unknown) => isPinGoError(error, 'MESSAGE_INVALID'),
  )
})
