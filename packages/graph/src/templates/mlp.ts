import { PinGoError, sizeOf } from '@pingo/wire'
import { int, type Model } from '../model.ts'
import { Draft, glorot } from './draft.ts'

export interface MlpOptions {
  /** Shape of a sample. */
  inputs: number[]
  /** Number of classes (logits out) … */
  classes?: number
  /** … or of outputs of a regression. */
  outputs?: number
  hidden?: number[]
  seed?: number
}

/** A multi-layer perceptron with ReLU: `input` [batch, …inputs] → `output` [batch, classes] (logits). He and Glorot initial weights. */
export function mlp({ inputs, classes, outputs = classes, hidden = [128], seed = 0 }: MlpOptions): Model {
  if (!outputs) throw new PinGoError('TEMPLATE_INVALID', 'The template mlp wants `classes` or `outputs`.')
  const draft = new Draft(seed)
  let width = sizeOf(inputs)
  let x = inputs.length === 1 ? 'input' : draft.node('Flatten', ['input'], 'flat', { axis: int(1) })
  hidden.forEach((size, i) => {
    x = draft.node('Relu', [draft.dense(x, `dense${i + 1}`, width, size)], `relu${i + 1}`)
    width = size
  })
  draft.node('Identity', [draft.dense(x, 'head', width, outputs, glorot(width, outputs))], 'output')
  return draft.model(
    'mlp',
    [{ name: 'input', dtype: 'float32', shape: ['batch', ...inputs] }],
    [{ name: 'output', dtype: 'float32', shape: ['batch', outputs] }],
  )
}
