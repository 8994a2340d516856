import { float, int, ints } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { type Layer, layer, misfit, type Net, numbersOnly, type Signal } from './net.ts'

export interface NormOptions {
  /** Default 1e-5. */
  epsilon?: number
  name?: string
}

/**
 * Normalises each channel over the batch (Ioffe and Szegedy 2015): [C, …space] or [features]. Weights `weight`, `bias` [C]; buffers
 * `running_mean`, `running_var` [C], which training moves by `momentum` (the part that is kept; default 0.9).
 */
export const batchNorm = (o: NormOptions & { momentum?: number } = {}): Layer =>
  layer('batchNorm', o.name, (net, x, name) => {
    numbersOnly(name, x)
    const channels = x.shape[0]
    if (channels === undefined) throw misfit(name, x, 'channels [C, …space]', 'Put reshape([1]) in front of it.')
    const filled = (label: string, value: number) => net.filled(`${name}.${label}`, [channels], value)
    const weights = [filled('weight', 1), filled('bias', 0), filled('running_mean', 0), filled('running_var', 1)]
    const value = net.node('BatchNormalization', [x.value, ...weights], `${name}.out`, {
      epsilon: float(o.epsilon ?? 1e-5),
      momentum: float(o.momentum ?? 0.9),
    })
    return { ...x, value }
  })

/** Normalises the last axis of each sample (Ba et al. 2016): [width] or [tokens, width]. Weights `weight`, `bias` [width]. */
export const layerNorm = (o: NormOptions = {}): Layer =>
  layer('layerNorm', o.name, (net, x, name) => layerNormed(net, x, name, o.epsilon))

export function layerNormed(net: Net, x: Signal, name: string, epsilon = 1e-5): Signal {
  const width = lastOf(x, name)
  const weights = [net.filled(`${name}.weight`, [width], 1), net.filled(`${name}.bias`, [width], 0)]
  const attributes = { axis: int(-1), epsilon: float(epsilon) }
  return { ...x, value: net.node('LayerNormalization', [x.value, ...weights], `${name}.out`, attributes) }
}

/** x / root mean square of the last axis, times a weight (Zhang and Sennrich 2019): [width] or [tokens, width]. Weight `weight` [width]. */
export const rmsNorm = (o: NormOptions = {}): Layer =>
  layer('rmsNorm', o.name, (net, x, name) => rmsNormed(net, x, name, o.epsilon))

export function rmsNormed(net: Net, x: Signal, name: string, epsilon = 1e-5): Signal {
  const width = lastOf(x, name)
  const node = (op: string, inputs: string[], label: string) => net.node(op, inputs, `${name}.${label}`)
  const squares = node('Mul', [x.value, x.value], 'squares')
  const power = net.node('ReduceMean', [squares], `${name}.power`, { axes: ints([-1]), keepdims: int(1) })
  const root = node('Sqrt', [node('Add', [power, net.scalar(epsilon)], 'positive')], 'root')
  const weight = net.filled(`${name}.weight`, [width], 1)
  return { ...x, value: node('Mul', [node('Div', [x.value, root], 'normed'), weight], 'out') }
}

/** Normalises groups of channels of each sample (Wu and He 2018): [C, …space]. Weights `weight`, `bias` [C]. */
export const groupNorm = (groups: number, o: NormOptions = {}): Layer =>
  layer('groupNorm', o.name, (net, x, name) => {
    numbersOnly(name, x)
    const [channels = 0, ...space] = x.shape
    if (!space.length) throw misfit(name, x, 'channels and space [C, …space]', 'For vectors use layerNorm().')
    if (!(Number.isInteger(groups) && groups > 0) || channels % groups)
      throw misfit(name, x, `channels that ${groups} groups divide`, `Choose groups that divide ${channels}.`)
    const even = (value: number) =>
      net.fixed(`even/${groups}_${value}`, () => tensorOf('float32', [groups], new Array(groups).fill(value)))
    const grouped = net.node('Reshape', [x.value, net.list(0, groups, -1)], `${name}.groups`)
    const normed = net.node('InstanceNormalization', [grouped, even(1), even(0)], `${name}.normed`, {
      epsilon: float(o.epsilon ?? 1e-5),
    })
    const back = net.node('Reshape', [normed, net.list(0, ...x.shape)], `${name}.back`)
    const wide = [channels, ...space.map(() => 1)]
    const scaled = net.node('Mul', [back, net.filled(`${name}.weight`, wide, 1)], `${name}.scaled`)
    return { ...x, value: net.node('Add', [scaled, net.filled(`${name}.bias`, wide, 0)], `${name}.out`) }
  })

/** Width of the axis that is normalised. */
function lastOf(x: Signal, name: string): number {
  numbersOnly(name, x)
  if (x.shape.length === 1 || x.shape.length === 2) return x.shape.at(-1)!
  throw misfit(name, x, 'a vector or a sequence [tokens, width]', 'For images use batchNorm() or groupNorm(groups).')
}
