import { sizeOf } from '@pingo/wire'
import type { Random } from '../templates/random.ts'

/**
 * How a weight begins.
 * - `he`: normal, variance 2 / fan in, for what stands before a ReLU and its kin (He et al. 2015);
 * - `glorot`: normal, variance 2 / (fan in + fan out), for the rest (Glorot and Bengio 2010);
 * - `normal`, `truncated` (drawn again beyond two deviations; Dosovitskiy et al. 2020 begin ViT so with 0.02): the standard deviation;
 * - `uniform`: within ± that number.
 */
export type Initial = 'he' | 'glorot' | { normal: number } | { truncated: number } | { uniform: number }

/** Values of a weight. @param fans numbers that flow into and out of one of its outputs and inputs */
export function draw(random: Random, shape: readonly number[], initial: Initial, [fanIn, fanOut]: Fans): Float32Array {
  if (typeof initial === 'object' && 'uniform' in initial)
    return fill(shape, () => (2 * random.uniform() - 1) * initial.uniform)
  if (typeof initial === 'object' && 'truncated' in initial)
    return fill(shape, () => {
      let value = random.normal()
      while (Math.abs(value) > 2) value = random.normal()
      return value * initial.truncated
    })
  const variance = initial === 'he' ? 2 / fanIn : initial === 'glorot' ? 2 / (fanIn + fanOut) : initial.normal ** 2
  const std = Math.sqrt(variance)
  return fill(shape, () => random.normal() * std)
}

export type Fans = readonly [fanIn: number, fanOut: number]

const fill = (shape: readonly number[], next: () => number) => Float32Array.from({ length: sizeOf(shape) }, next)
