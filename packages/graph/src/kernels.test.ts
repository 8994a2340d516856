import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BatchInput, Tensor } from '@pingo/wire'
import { inferShapes } from './infer-shapes.ts'
import { buildGradients } from './program.ts'
import { writeModel } from './proto/write.ts'
import { tensorOf } from './tensors.ts'
import { rareCases } from './testing/rare-cases.ts'
import { distance, runOnce } from './testing/runtime.ts'
import { modelOf, type SingleCase } from './testing/single.ts'

/** onnxruntime's kernels want the time axis first. */
const hasKernel = ({ attributes }: SingleCase) => !attributes?.layout

for (const [i, single] of rareCases.entries()) {
  const attributes = Object.entries(single.attributes ?? {}).map(([k, a]) => `${k}=${a.value}`)
  if (!hasKernel(single)) continue
  test(`${single.domain ?? ''} ${single.op} ${attributes.join(' ')} (case ${i}) gives what onnxruntime's own kernel does`, async () => {
    const model = modelOf(single, i)
    const size = Number(inferShapes(model).get('output')!.shape[1])
    const spec = (name: string, shape: number[]): BatchInput => ({ name, column: name, dtype: 'float32', shape })
    const options = { loss: 'mse' as const, batch: 1, inputs: [spec('input', [1])], target: spec('target', [size]) }
    const program = buildGradients(model, options)
    const input: [string, Tensor] = ['input', tensorOf('float32', [1, 1], [0])]
    const own = await runOnce(program.graph, [
      ...program.initial,
      input,
      ['target', tensorOf('float32', [1, size], [])],
      ['sample_weight', tensorOf('float32', [1], [1])],
    ])
    const kernel = await runOnce(writeModel(model), [input])
    const far = distance(own.get('output')!.data, kernel.get('output')!.data)
    assert.ok(far < 1e-5, `distance ${far}`)
  })
}
