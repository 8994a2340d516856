import { batchNorm, conv2d, dense, globalAvgPool, type Layer, relu, residual, sequential } from '../layers/index.ts'
import type { Model } from '../model.ts'
import { imageShape } from './image-shape.ts'

export interface ResnetOptions {
  /** [C, H, W] of a sample; H and W at least 4. */
  shape: number[]
  classes: number
  /** Channels of the first stage; each later one has twice as many and half the size. Default 32; ResNet-18 has 64. */
  width?: number
  /** Residual blocks of each stage. Default [2, 2, 2, 2], as ResNet-18. */
  blocks?: number[]
  seed?: number
}

/**
 * A residual network of basic blocks (He et al. 2015) with the stem for small images: 3×3, no pooling. `input` [batch, C, H, W] →
 * `output` [batch, classes]. With `width: 64` it is the ResNet-18 that is usual for CIFAR.
 */
export function resnet({ shape, classes, width = 32, blocks = [2, 2, 2, 2], seed = 0 }: ResnetOptions): Model {
  let from = width
  const stages = blocks.flatMap((count, stage) => {
    const to = width * 2 ** stage
    return Array.from({ length: count }, (_, i) => {
      const stride = i === 0 && stage > 0 ? 2 : 1
      const made = basicBlock(from, to, stride, `stage${stage + 1}.${i + 1}`)
      from = to
      return made
    })
  })
  const stem = [conv2d(width, { bias: false, name: 'stem' }), batchNorm({ name: 'stem_norm' }), relu()]
  const layers = [...stem, ...stages, globalAvgPool(), dense(classes, { name: 'head' })]
  return sequential(layers, { input: imageShape('resnet', shape, 4), seed, name: 'resnet' })
}

function basicBlock(from: number, to: number, stride: number, name: string): Layer {
  const conv = (o: { kernel?: number; stride?: number }) => conv2d(to, { ...o, bias: false })
  const shortcut = from === to && stride === 1 ? undefined : [conv({ kernel: 1, stride }), batchNorm()]
  return residual([conv({ stride }), batchNorm(), relu(), conv({}), batchNorm()], {
    shortcut,
    activation: 'relu',
    name,
  })
}
