import { conv2d, dense, flatten, maxPool, sequential } from '../layers/index.ts'
import type { Model } from '../model.ts'
import { imageShape } from './image-shape.ts'

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
export function cnn({ shape, classes, channels = [32, 64], dense: width = 128, seed = 0 }: CnnOptions): Model {
  const layers = [
    ...channels.flatMap((to) => [conv2d(to, { activation: 'relu' }), maxPool(2)]),
    flatten({ name: 'flat' }),
    dense(width, { activation: 'relu', name: 'dense' }),
    dense(classes, { name: 'head' }),
  ]
  return sequential(layers, { input: imageShape('cnn', shape, 2 ** channels.length), seed, name: 'cnn' })
}
