import { ints } from '../model.ts'
import { imageOf } from './convolution.ts'
import { type Layer, layer, misfit, numbersOnly, whole } from './net.ts'

export interface PoolOptions {
  /** Default: the size. */
  stride?: number
  /** On each side. Default 0. */
  padding?: number
  name?: string
}

/** The greatest of each window: [C, …space] → [C, ⌊(n + 2·padding − size) / stride⌋ + 1, …]. */
export const maxPool = (size = 2, o: PoolOptions = {}): Layer => pool('maxPool', 'MaxPool', size, o)

/** The mean of each window (padding does not count): shapes as {@link maxPool}. */
export const avgPool = (size = 2, o: PoolOptions = {}): Layer => pool('avgPool', 'AveragePool', size, o)

const pool = (kind: string, op: string, size: number, o: PoolOptions): Layer =>
  layer(kind, o.name, (net, x, name) => {
    const { stride = size, padding = 0 } = o
    imageOf(name, x, Math.max(1, x.shape.length - 1))
    whole(name, 'its size', size)
    whole(name, 'its stride', stride)
    whole(name, 'its padding', padding, 0)
    const space = x.shape.slice(1)
    const out = space.map((n) => Math.floor((n + 2 * padding - size) / stride) + 1)
    if (out.some((n) => n < 1) || padding >= size)
      throw misfit(name, x, `what a window of ${size} fits into`, 'Use fewer pools, or a smaller size.')
    const value = net.node(op, [x.value], name, {
      kernel_shape: ints(space.map(() => size)),
      strides: ints(space.map(() => stride)),
      ...(padding ? { pads: ints([...space, ...space].map(() => padding)) } : {}),
    })
    return { ...x, value, shape: [x.shape[0]!, ...out] }
  })

/** The mean of each channel: [C, …space] → [C]. */
export const globalAvgPool = (o: { name?: string } = {}): Layer =>
  layer('globalAvgPool', o.name, (net, x, name) => {
    const channels = imageOf(name, x, Math.max(1, x.shape.length - 1))
    const pooled = net.node('GlobalAveragePool', [x.value], `${name}.pooled`)
    return { ...x, value: net.node('Flatten', [pooled], name), shape: [channels] }
  })

/** The mean over all tokens of a sequence: [tokens, width] → [width]. */
export const meanTokens = (o: { name?: string } = {}): Layer =>
  layer('meanTokens', o.name, (net, x, name) => {
    numbersOnly(name, x)
    if (x.shape.length !== 2) throw misfit(name, x, 'a sequence [tokens, width]', 'For images use globalAvgPool().')
    const value = net.node('ReduceMean', [x.value], name, {
      axes: ints([1]),
      keepdims: { type: 'int', value: 0 },
    })
    return { ...x, value, shape: [x.shape[1]!] }
  })
