import { PinGoError } from '@pingo/wire'
import { int, ints, type Model } from '../model.ts'
import { Draft, glorot } from './draft.ts'

export interface CnnOptions {
  /** [C, H, W] of a sample; H and W at least 4. */
  shape: [number, number, number] | number[]
  classes: number
  /** Channels of each convolution; each is followed by ReLU and 2×2 max-pooling. */
  channels?: number[]
  /** Width of the dense layer. */
  dense?: number
  seed?: number
}

/** A small image classifier: 3×3 convolutions, ReLU, max-pooling, two dense layers. `input` [batch, C, H, W] → `output` [batch, classes]. */
export function cnn({ shape, classes, channels = [32, 64], dense = 128, seed = 0 }: CnnOptions): Model {
  const [depth, height, width] = shape
  const small = 2 ** channels.length
  if (shape.length !== 3 || !(Math.min(height!, width!) >= small))
    throw new PinGoError(
      'TEMPLATE_INVALID',
      `The template cnn wants images of shape [channels, height, width] of at least ${small} pixels, not [${shape}].`,
    )
  const draft = new Draft(seed)
  let [x, from, h, w] = ['input', depth!, height!, width!]
  channels.forEach((to, i) => {
    const name = `conv${i + 1}`
    const weight = draft.normal(`${name}.weight`, [to, from, 3, 3], Math.sqrt(2 / (from * 9)))
    const kernel = { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), strides: ints([1, 1]) }
    x = draft.node('Conv', [x, weight, draft.filled(`${name}.bias`, [to], 0)], `${name}.out`, kernel)
    x = draft.node('Relu', [x], `relu${i + 1}`)
    x = draft.node('MaxPool', [x], `pool${i + 1}`, { kernel_shape: ints([2, 2]), strides: ints([2, 2]) })
    ;[from, h, w] = [to, Math.floor(h / 2), Math.floor(w / 2)]
  })
  x = draft.node('Flatten', [x], 'flat', { axis: int(1) })
  x = draft.node('Relu', [draft.dense(x, 'dense', from * h * w, dense)], 'relu_dense')
  draft.node('Identity', [draft.dense(x, 'head', dense, classes, glorot(dense, classes))], 'output')
  return draft.model(
    'cnn',
    [{ name: 'input', dtype: 'float32', shape: ['batch', ...shape] }],
    [{ name: 'output', dtype: 'float32', shape: ['batch', classes] }],
  )
}
