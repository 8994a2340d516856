import { PinGoError } from '@pingo/wire'
import {
  dense,
  layerNorm,
  meanTokens,
  patchEmbedding,
  positionalEmbedding,
  sequential,
  transformerBlock,
} from '../layers/index.ts'
import type { Model } from '../model.ts'
import { imageShape } from './image-shape.ts'

export interface VitOptions {
  /** [C, H, W] of a sample. */
  shape: number[]
  classes: number
  /** Side of a patch, pixels; must divide H and W. Default: the divisor that makes the smaller side about 8 patches. */
  patch?: number
  /** Default 6; ViT-Tiny has 12. */
  layers?: number
  /** Default 3. */
  heads?: number
  /** Default 96; ViT-Tiny has 192. */
  width?: number
  /** Part dropped while training. Default 0. */
  dropout?: number
  seed?: number
}

const PATCHES_A_SIDE = 8
const INITIAL = { truncated: 0.02 }

/**
 * A vision transformer (Dosovitskiy et al. 2020) that takes the mean over its patches instead of a class token (Beyer et al. 2022).
 * `input` [batch, C, H, W] → `output` [batch, classes].
 */
export function vit(o: VitOptions): Model {
  const { classes, layers = 6, heads = 3, width = 96, dropout, seed = 0 } = o
  const shape = imageShape('vit', o.shape, 4)
  if (width % heads !== 0)
    throw new PinGoError(
      'TEMPLATE_INVALID',
      `The template vit wants a width (${width}) that its heads (${heads}) divide.`,
    )
  const block = () => transformerBlock({ heads, dropout, initial: INITIAL })
  return sequential(
    [
      patchEmbedding(width, { patch: o.patch ?? patchFor(shape), initial: INITIAL }),
      positionalEmbedding({ name: 'position', initial: INITIAL }),
      ...Array.from({ length: layers }, block),
      layerNorm({ name: 'norm' }),
      meanTokens(),
      dense(classes, { name: 'head', initial: INITIAL }),
    ],
    { input: shape, seed, name: 'vit' },
  )
}

/** The divisor of both sides nearest to an eighth of the smaller one. */
function patchFor([, height, width]: [number, number, number]): number {
  const wanted = Math.min(height, width) / PATCHES_A_SIDE
  const divisors = Array.from({ length: Math.min(height, width) }, (_, i) => i + 1).filter(
    (n) => height % n === 0 && width % n === 0,
  )
  return divisors.reduce((best, n) => (Math.abs(n - wanted) < Math.abs(best - wanted) ? n : best))
}
