import { readdirSync, readFileSync } from 'node:fs'
import { type BatchInput, readSafetensors, type Tensor } from '@pingo/wire'
import { type LossKind, parseModel } from '../index.ts'

const folder = new URL('../../fixtures/', import.meta.url)

/** Names of the models that PyTorch exported (fixtures/make.py). */
export const fixtureNames = readdirSync(folder)
  .filter((file) => file.endsWith('.onnx'))
  .map((file) => file.slice(0, -5))

/** A model with its batch and PyTorch's own numbers; `options` as `buildGradients` takes them. */
export function fixture(name: string) {
  const model = parseModel(readFileSync(new URL(`${name}.onnx`, folder)))
  const { tensors, metadata } = readSafetensors(readFileSync(new URL(`${name}.safetensors`, folder)))
  const [input, target] = [tensors.get('input')!, tensors.get('target')!]
  const spec = (of: string, { dtype, shape }: Tensor): BatchInput => ({
    name: of,
    column: of,
    dtype: dtype as BatchInput['dtype'],
    shape: shape.slice(1),
  })
  const batch = input.shape[0]!
  const loss = metadata.loss as LossKind
  const options = { loss, batch, inputs: [spec('input', input)], target: spec('target', target) }
  return { model, tensors, input, target, batch, loss, options, training: metadata.training === 'true' }
}
