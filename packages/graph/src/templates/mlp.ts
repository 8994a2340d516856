import { PinGoError } from '@pingo/wire'
import { dense, flatten, relu, sequential } from '../layers/index.ts'
import type { Model } from '../model.ts'

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
  const layers = hidden.flatMap((width) => [dense(width, { initial: 'he' }), relu()])
  return sequential([flatten(), ...layers, dense(outputs, { name: 'head' })], { input: inputs, seed, name: 'mlp' })
}
