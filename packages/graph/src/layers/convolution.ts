import { sizeOf } from '@pingo/wire'
import { type Attributes, int, ints, string } from '../model.ts'
import { tensorOf } from '../tensors.ts'
import { type Activation, activate } from './activation.ts'
import type { Initial } from './initial.ts'
import { badSetting, type Layer, layer, misfit, type Net, numbersOnly, type Signal, whole } from './net.ts'

export interface ConvOptions {
  /** Default 3. */
  kernel?: number | readonly number[]
  /** Default 1. */
  stride?: number
  /** `same` (default) gives ⌈size / stride⌉, `valid` pads nothing; a number pads so much on each side. */
  padding?: 'same' | 'valid' | number
  /** Default 1. */
  dilation?: number
  /** Channels are parted into so many groups. Default 1. */
  groups?: number
  activation?: Activation
  /** Default true; leave it out before batchNorm(). */
  bias?: boolean
  /** Default he. */
  initial?: Initial
  name?: string
}

/** Convolution over images: [channels, height, width] → [to, height', width']. Weights `weight` [to, from/groups, k, k], `bias` [to]. */
export const conv2d = (to: number, o: ConvOptions = {}): Layer => convolution('conv', 2, to, o)

/** Convolution over sequences: [channels, length] → [to, length']; `permute(2, 1)` makes that of [time, features]. */
export const conv1d = (to: number, o: ConvOptions = {}): Layer => convolution('conv', 1, to, o)

/** A convolution of each channel by itself: [C, H, W] → [C·multiplier, H', W']. */
export const depthwiseConv2d = (o: Omit<ConvOptions, 'groups'> & { multiplier?: number } = {}): Layer =>
  layer('depthwise', o.name, (net, x, name) => {
    const channels = imageOf(name, x, 2)
    return convolve(net, x, name, channels * (o.multiplier ?? 1), { ...o, groups: channels })
  })

/** Depthwise, then pointwise (Howard et al. 2017): [C, H, W] → [to, H', W']. Weights under `NAME.depthwise` and `NAME.pointwise`. */
export const separableConv2d = (to: number, o: Omit<ConvOptions, 'groups'> = {}): Layer =>
  layer('separable', o.name, (net, x, name) => {
    const channels = imageOf(name, x, 2)
    const { activation, ...rest } = o
    const deep = convolve(net, x, `${name}.depthwise`, channels, { ...rest, bias: false, groups: channels })
    return convolve(net, deep, `${name}.pointwise`, to, { kernel: 1, bias: o.bias, activation, initial: o.initial })
  })

export interface ConvTransposeOptions {
  /** Default 4. */
  kernel?: number
  /** Default 2. */
  stride?: number
  activation?: Activation
  bias?: boolean
  /** Default he. */
  initial?: Initial
  name?: string
}

/** Transposed convolution, which makes images `stride` times larger: [C, H, W] → [to, H·stride, W·stride]. Weight [C, to, k, k]. */
export const convTranspose2d = (to: number, o: ConvTransposeOptions = {}): Layer =>
  layer('transposed', o.name, (net, x, name) => {
    const { kernel = 4, stride = 2, bias = true } = o
    const from = imageOf(name, x, 2)
    whole(name, 'its channels', to)
    whole(name, 'its stride', stride)
    if (!(Number.isInteger(kernel) && kernel >= stride))
      throw badSetting(name, `its kernel is ${kernel}`, `Give a whole number of at least the stride, ${stride}.`)
    const pad = Math.ceil((kernel - stride) / 2)
    // Each output element hears of kernel²/stride² input ones.
    const fans = [(from * kernel ** 2) / stride ** 2, to * kernel ** 2] as const
    const weight = net.weight(`${name}.weight`, [from, to, kernel, kernel], o.initial ?? 'he', fans)
    const value = net.node(
      'ConvTranspose',
      [x.value, weight, ...(bias ? [net.filled(`${name}.bias`, [to], 0)] : [])],
      `${name}.out`,
      {
        kernel_shape: ints([kernel, kernel]),
        pads: ints([pad, pad, pad, pad]),
        strides: ints([stride, stride]),
        output_padding: ints(new Array(2).fill(stride - kernel + 2 * pad)),
      },
    )
    const [, height, width] = x.shape as [number, number, number]
    return activate(net, { ...x, value, shape: [to, height * stride, width * stride] }, name, o.activation)
  })

/** Images `by` times larger, by repetition or by straight lines between pixels: [C, H, W] → [C, H·by, W·by]. */
export const upsample = (by = 2, o: { mode?: 'nearest' | 'linear'; name?: string } = {}): Layer =>
  layer('upsample', o.name, (net, x, name) => {
    imageOf(name, x, x.shape.length - 1)
    whole(name, 'its factor', by)
    const space = x.shape.slice(1)
    const scales = [1, 1, ...space.map(() => by)]
    const linear = o.mode === 'linear'
    const attributes: Attributes = {
      mode: string(linear ? 'linear' : 'nearest'),
      coordinate_transformation_mode: string(linear ? 'half_pixel' : 'asymmetric'),
      nearest_mode: string('floor'),
    }
    const held = net.fixed(`scales/${scales.join('_')}`, () => tensorOf('float32', [scales.length], scales))
    const value = net.node('Resize', [x.value, '', held], name, attributes)
    return { ...x, value, shape: [x.shape[0]!, ...space.map((n) => n * by)] }
  })

/** Cuts images into squares and gives each a vector (Dosovitskiy et al. 2020): [C, H, W] → [H/patch · W/patch, width]. */
export const patchEmbedding = (width: number, o: { patch: number; initial?: Initial; name?: string }): Layer =>
  layer('patches', o.name, (net, x, name) => {
    imageOf(name, x, 2)
    const [, h, w] = x.shape as [number, number, number]
    if (h % o.patch || w % o.patch)
      throw misfit(
        name,
        x,
        `images that patches of ${o.patch} × ${o.patch} fill`,
        'Use another patch or data.imageSize.',
      )
    const { patch: kernel, initial = { truncated: 0.02 } } = o
    const cut = convolve(net, x, name, width, { kernel, stride: kernel, padding: 'valid', initial })
    const tokens = sizeOf(cut.shape.slice(1))
    const flat = net.node('Reshape', [cut.value, net.list(0, width, tokens)], `${name}.flat`)
    return {
      ...x,
      value: net.node('Transpose', [flat], `${name}.tokens`, { perm: ints([0, 2, 1]) }),
      shape: [tokens, width],
    }
  })

const convolution = (kind: string, rank: number, to: number, o: ConvOptions): Layer =>
  layer(kind, o.name, (net, x, name) => {
    imageOf(name, x, rank)
    return convolve(net, x, name, to, o)
  })

/** Channels of what has that many axes of space. */
export function imageOf(name: string, x: Signal, rank: number): number {
  numbersOnly(name, x)
  if (x.shape.length === rank + 1 && rank > 0) return x.shape[0]!
  const reads = rank === 1 ? 'sequences [channels, length]' : 'images [channels, height, width]'
  throw misfit(
    name,
    x,
    reads,
    `Put reshape([${rank === 1 ? 'channels, length' : 'channels, height, width'}]) in front of it.`,
  )
}

function convolve(net: Net, x: Signal, name: string, to: number, o: ConvOptions): Signal {
  const { stride = 1, padding = 'same', dilation = 1, groups = 1, bias = true, initial = 'he' } = o
  const [from, ...space] = x.shape as [number, ...number[]]
  const kernel = typeof o.kernel === 'object' ? [...o.kernel] : space.map(() => (o.kernel as number | undefined) ?? 3)
  whole(name, 'its channels', to)
  whole(name, 'its stride', stride)
  whole(name, 'its dilation', dilation)
  if (kernel.length !== space.length)
    throw badSetting(name, `its kernel is [${kernel}]`, `Give ${space.length} sizes, or one number.`)
  for (const n of kernel) whole(name, 'its kernel', n)
  if (from % groups || to % groups)
    throw misfit(name, x, `channels that ${groups} groups divide`, `Choose groups that divide ${from} and ${to}.`)
  const reach = kernel.map((n) => dilation * (n - 1))
  const before = reach.map((n) => (padding === 'same' ? Math.floor(n / 2) : padding === 'valid' ? 0 : padding))
  const after = reach.map((n, i) => (padding === 'same' ? n - before[i]! : before[i]!))
  const out = space.map((n, i) => Math.floor((n + before[i]! + after[i]! - reach[i]! - 1) / stride) + 1)
  if (out.some((n) => n < 1))
    throw misfit(name, x, `what a kernel of [${kernel}] fits into`, 'Use a smaller kernel, or padding: same.')
  const taps = sizeOf(kernel)
  const fans = [(from / groups) * taps, (to / groups) * taps] as const
  const weight = net.weight(`${name}.weight`, [to, from / groups, ...kernel], initial, fans)
  const attributes: Attributes = {
    kernel_shape: ints(kernel),
    pads: ints([...before, ...after]),
    strides: ints(space.map(() => stride)),
    ...(dilation > 1 ? { dilations: ints(space.map(() => dilation)) } : {}),
    ...(groups > 1 ? { group: int(groups) } : {}),
  }
  const inputs = [x.value, weight, ...(bias ? [net.filled(`${name}.bias`, [to], 0)] : [])]
  const y = { ...x, value: net.node('Conv', inputs, `${name}.out`, attributes), shape: [to, ...out] }
  return activate(net, y, name, o.activation)
}
