import { sizeOf } from '@pingo/wire'
import { int, ints } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { type Activation, activate, isRectifier } from './activation.ts'
import type { Initial } from './initial.ts'
import { badSetting, type Layer, layer, misfit, type Net, numbersOnly, type Signal, whole } from './net.ts'

export interface DenseOptions {
  activation?: Activation
  /** Default true. */
  bias?: boolean
  /** Default: he before a rectifier, else glorot. */
  initial?: Initial
  name?: string
}

/** x·W + b: [from] → [units], and [tokens, from] → [tokens, units]. Weights `weight` [from, units], `bias` [units]. */
export const dense = (units: number, o: DenseOptions = {}): Layer =>
  layer('dense', o.name, (net, x, name) => {
    whole(name, 'its width', units)
    numbersOnly(name, x)
    if (x.shape.length < 1 || x.shape.length > 2)
      throw misfit(name, x, 'a vector, or a sequence of vectors', 'Put flatten() or globalAvgPool() in front of it.')
    const initial = o.initial ?? (isRectifier(o.activation) ? 'he' : 'glorot')
    return activate(net, linear(net, x, name, units, initial, o.bias), name, o.activation)
  })

/** The product and sum of a dense layer. */
export function linear(net: Net, x: Signal, name: string, units: number, initial: Initial, bias = true): Signal {
  const from = x.shape.at(-1)!
  const weight = net.weight(`${name}.weight`, [from, units], initial, [from, units])
  const added = bias ? [net.filled(`${name}.bias`, [units], 0)] : []
  const shape = x.shape.with(-1, units)
  if (x.shape.length === 1 && bias)
    return { ...x, value: net.node('Gemm', [x.value, weight, ...added], `${name}.out`), shape }
  const product = net.node('MatMul', [x.value, weight], bias ? `${name}.product` : `${name}.out`)
  return { ...x, value: bias ? net.node('Add', [product, ...added], `${name}.out`) : product, shape }
}

/** Any shape → [its elements]. */
export const flatten = (o: { name?: string } = {}): Layer =>
  layer('flatten', o.name, (net, x, name) => ({
    ...x,
    value: x.shape.length === 1 ? x.value : net.node('Flatten', [x.value], name, { axis: int(1) }),
    shape: [sizeOf(x.shape)],
  }))

/** The same elements in another shape of a sample; one size may be -1. */
export const reshape = (to: readonly number[], o: { name?: string } = {}): Layer =>
  layer('reshape', o.name, (net, x, name) => {
    const rest = sizeOf(x.shape) / sizeOf(to.filter((n) => n !== -1))
    const shape = to.map((n) => (n === -1 ? rest : n))
    if (to.filter((n) => n === -1).length > 1 || !shape.every((n) => Number.isSafeInteger(n) && n > 0))
      throw misfit(name, x, `what has the elements of [${to}]`, 'At most one size may be -1; the others must divide.')
    if (sizeOf(shape) !== sizeOf(x.shape))
      throw misfit(name, x, `${sizeOf(shape)} elements [${shape}]`, `A sample here has ${sizeOf(x.shape)} elements.`)
    return { ...x, value: net.node('Reshape', [x.value, net.list(0, ...shape)], name), shape }
  })

/** Another order of the axes of a sample, counted from 1 as the batch is 0: `permute(2, 1)` makes [time, features] of [features, time]. */
export const permute = (...axes: number[]): Layer =>
  layer('permute', undefined, (net, x, name) => {
    if (axes.toSorted((a, b) => a - b).some((axis, i) => axis !== i + 1) || axes.length !== x.shape.length)
      throw misfit(name, x, `${axes.length} axes [${axes}]`, `Name each axis from 1 to ${x.shape.length} once.`)
    const value = net.node('Transpose', [x.value], name, { perm: ints([0, ...axes]) })
    return { ...x, value, shape: axes.map((axis) => x.shape[axis - 1]!) }
  })

/** Sets a part of the elements to 0 while training, and scales the rest up (Srivastava et al. 2014); passes all through otherwise. */
export const dropout = (ratio: number, o: { name?: string } = {}): Layer =>
  layer('dropout', o.name, (net, x, name) => {
    if (!(ratio >= 0 && ratio < 1)) throw badSetting(name, `its ratio is ${ratio}`, 'Give a number from 0 to below 1.')
    numbersOnly(name, x)
    return ratio === 0 ? x : dropped(net, x, name, ratio)
  })

export const dropped = (net: Net, x: Signal, name: string, ratio: number): Signal =>
  ratio === 0 ? x : { ...x, value: net.node('Dropout', [x.value, net.scalar(ratio)], name) }

export interface EmbeddingOptions {
  /** Default: normal, 0.02 (Radford et al. 2019). */
  initial?: Initial
  name?: string
}

/** A vector for each token: int64 [tokens] → [tokens, width]. Weight `weight` [vocabulary, width]. */
export const embedding = (vocabulary: number, width: number, o: EmbeddingOptions = {}): Layer =>
  layer('embedding', o.name, (net, x, name) => {
    whole(name, 'its vocabulary', vocabulary)
    whole(name, 'its width', width)
    if (x.dtype !== 'int64') throw misfit(name, x, 'tokens', "Put it first, or say input: { shape, dtype: 'int64' }.")
    const weight = net.weight(`${name}.weight`, [vocabulary, width], o.initial ?? { normal: 0.02 })
    const value = net.node('Gather', [weight, x.value], `${name}.out`, { axis: int(0) })
    return { value, dtype: 'float32', shape: [...x.shape, width] }
  })

export interface PositionOptions extends EmbeddingOptions {
  /** `learned` (default) or the fixed `sinusoidal` of Vaswani et al. 2017. */
  kind?: 'learned' | 'sinusoidal'
}

/** Adds a vector for each position: [tokens, width] → [tokens, width]. Weight `weight` [tokens, width] when learned. */
export const positionalEmbedding = (o: PositionOptions = {}): Layer =>
  layer('position', o.name, (net, x, name) => {
    numbersOnly(name, x)
    if (x.shape.length !== 2)
      throw misfit(name, x, 'a sequence [tokens, width]', 'Put embedding() or patchEmbedding() in front of it.')
    const [tokens, width] = x.shape as [number, number]
    const table = () => {
      const angle = (i: number) => Math.floor(i / width) / 10_000 ** ((2 * Math.floor((i % width) / 2)) / width)
      const value = (i: number) => ((i % width) % 2 ? Math.cos(angle(i)) : Math.sin(angle(i)))
      return tensorOf(
        'float32',
        x.shape,
        Float32Array.from({ length: tokens * width }, (_, i) => value(i)),
      )
    }
    const positions =
      o.kind === 'sinusoidal'
        ? net.fixed(`sinusoids/${tokens}_${width}`, table)
        : net.weight(`${name}.weight`, x.shape, o.initial ?? { normal: 0.02 })
    return { ...x, value: net.node('Add', [x.value, positions], `${name}.out`) }
  })

/** Logits by the embedding's own weight (Press and Wolf 2017): [tokens, width] → [tokens, vocabulary]. @param embedding its name */
export const tiedHead = (embedding: string, o: { name?: string } = {}): Layer =>
  layer('head', o.name, (net, x, name) => {
    const shape = net.shapeOf(`${embedding}.weight`)
    if (!shape || shape[1] !== x.shape.at(-1))
      throw misfit(
        name,
        x,
        `vectors as wide as those of the embedding '${embedding}'`,
        shape ? `That gives ${shape[1]} numbers a token.` : 'There is no embedding of that name.',
      )
    const turned = net.node('Transpose', [`${embedding}.weight`], `${name}.weight`, { perm: ints([1, 0]) })
    return { ...x, value: net.node('MatMul', [x.value, turned], `${name}.out`), shape: x.shape.with(-1, shape[0]!) }
  })
