import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Tensor } from '@pingo/wire'
import {
  allowedOperators,
  buildGradients,
  buildProgram,
  checkModel,
  inferShapes,
  optimizerScalars,
  parseModel,
} from './index.ts'
import { tensorOf } from './tensors.ts'
import { fixture, fixtureNames } from './testing/fixture.ts'
import { distance, runOnce } from './testing/runtime.ts'

/** Greatest relative distance from PyTorch's gradients, by tensor. */
const TOLERANCE = 1e-4
/** A fixture with its batch as feeds of a gradient program. */
function fed(name: string) {
  const { input, target, ...rest } = fixture(name)
  const weights = tensorOf('float32', [rest.batch], new Array(rest.batch).fill(1))
  const batch: [string, Tensor][] = [
    ['input', input],
    ['target', target],
    ['sample_weight', weights],
  ]
  return { ...rest, batch }
}

const transposed = ({ shape, data }: Tensor): number[] =>
  Array.from(data as Float32Array, (_, i) => Number(data[(i % shape[0]!) * shape[1]! + Math.floor(i / shape[0]!)]))

for (const name of fixtureNames) {
  test(`${name}: loss, output and gradients are PyTorch's`, async () => {
    const { model, tensors, options, batch, training } = fed(name)
    assert.deepEqual(checkModel(model).blocking, [])
    const program = buildGradients(model, options, training)
    const emitted = parseModel(program.graph).graph.nodes.map(({ op }) => op)
    assert.deepEqual(
      emitted.filter((op) => !allowedOperators.includes(op)),
      [],
    )
    if (typeof model.graph.inputs[0]!.shape[0] === 'string') {
      const inferred = inferShapes(model, { batch: options.batch }).get(model.graph.outputs[0]!.name)!
      assert.deepEqual(inferred, { dtype: 'float32', shape: [...tensors.get('output')!.shape] })
    }
    const results = await runOnce(program.graph, [...program.initial, ...batch])
    assert.ok(distance(results.get('loss')!.data, tensors.get('loss')!.data) < 1e-5, 'loss')
    if (!name.includes('softmax'))
      assert.ok(distance(results.get('output')!.data, tensors.get('output')!.data) < 1e-5, 'output')
    const spare = new Set(program.parameters.map((p) => `grad.${p.name}`))
    const far: string[] = []
    const open: [string, Tensor][] = []
    for (const [key, expected] of tensors) {
      if (!key.startsWith('grad.')) continue
      const got = results.get(key)
      if (!got) {
        open.push([key, expected])
        continue
      }
      spare.delete(key)
      const d = distance(got.data, expected.data)
      if (!(d <= TOLERANCE)) far.push(`${key}: ${d}`)
    }
    // Exporters that fold constants rename a Linear's weight and store it transposed, or merge it with its neighbour.
    if (!name.includes('eval'))
      for (const [key, expected] of open) {
        const fits = [...spare].map(
          (other) => [distance(transposed(results.get(other)!), expected.data), other] as const,
        )
        const best = fits.filter(([d]) => d <= TOLERANCE)[0]
        if (best) spare.delete(best[1])
        else far.push(`${key}: no gradient like it among ${[...spare]}`)
      }
    assert.deepEqual(far, [])
  })
}

for (const name of fixtureNames.filter((n) => fixture(n).training)) {
  test(`${name}: running statistics move as ONNX says`, async () => {
    const { model, tensors, options, batch } = fed(name)
    const program = buildProgram(model, { ...options, optimizer: { kind: 'sgd' } })
    const scalars = Object.entries(
      optimizerScalars({ kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 }).at(1, 0),
    )
    const feeds = scalars.map(([key, value]): [string, Tensor] => [key, tensorOf('float32', [], [value])])
    const results = await runOnce(program.step, [...program.initial, ...batch, ...feeds])
    const running = [...tensors.keys()].filter((key) => key.startsWith('next.'))
    assert.deepEqual(program.buffers.map((v) => `next.${v.name}`).sort(), running.sort())
    // PyTorch keeps the unbiased variance (n / (n-1)), ONNX the population's: means are equal, variances nearly.
    for (const key of running) {
      const limit = key.endsWith('var') ? 0.02 : 1e-5
      const d = distance(results.get(key)!.data, tensors.get(key)!.data)
      assert.ok(d < limit, `${key}: ${d}`)
    }
  })
}
