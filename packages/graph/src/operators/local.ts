import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { known } from '../known.ts'
import { floatOf, int, intOf, intsOf } from '../model.ts'
import type { Operator, Value } from '../operator.ts'
import { axisOf, mismatch, range } from '../shape.ts'
import { tensorOf } from '../tensors.ts'
import { windowAttributes, windowOf } from './window.ts'

/** |x|^p; whole powers by products, which cost less and have a gradient at 0. */
function power(b: GraphBuilder, x: Value, p: number): Value {
  if (p === 1) return b.one('Abs', [x])
  if (p === 2) return b.mul(x, x)
  return b.one('Pow', [b.one('Abs', [x]), b.scalar(p)])
}

const rootOf = (b: GraphBuilder, x: Value, p: number): Value =>
  p === 1 ? x : p === 2 ? b.one('Sqrt', [x]) : b.one('Pow', [x, b.scalar(1 / p)])

const spatial = (x: Value) => range(x.shape.length).slice(2)

/** Sums over the neighbours along the channels: `before` and `after` of each. @param x [N, C, …] */
function channelSums(b: GraphBuilder, x: Value, before: number, after: number): Value {
  const [n, channels] = x.shape as [number, number]
  const flat = b.reshape(x, [n, channels, sizeOf(x.shape.slice(2))])
  const band = range(channels * channels).map((i) => {
    const [to, from] = [Math.floor(i / channels), i % channels]
    return +(from >= to - before && from <= to + after)
  })
  return b.reshape(b.matmul(b.constant(tensorOf('float32', [channels, channels], band)), flat), x.shape)
}

/** Images from columns [N, C·K, L]: the adjoint of im2col, one padded sum for every place in the kernel. */
function folded(b: GraphBuilder, x: Value, image: number[], kernel: number[], w: ReturnType<typeof windowOf>): Value {
  const n = x.shape[0]!
  const channels = x.shape[1]! / sizeOf(kernel)
  const counts = image.map((size, i) =>
    Math.floor((size + w.before[i]! + w.after[i]! - w.dilations[i]! * (kernel[i]! - 1) - 1) / w.strides[i]! + 1),
  )
  if (!Number.isInteger(channels) || sizeOf(counts) !== x.shape[2])
    throw mismatch(`${x.shape[2]} columns do not make images of ${image.join(' by ')}`)
  // A transposed convolution with one-hot kernels puts every column's elements in their places and adds what overlaps.
  const taps = sizeOf(kernel)
  const eye = range(taps * taps).map((i) => +(Math.floor(i / taps) === i % taps))
  const one = b.constant(tensorOf('float32', [taps, 1, ...kernel], eye))
  const y = b.one('ConvTranspose', [b.reshape(x, [n * channels, taps, ...counts]), one], {
    ...windowAttributes(w),
    group: int(1),
    output_padding: {
      type: 'ints',
      value: image.map(
        (size, i) =>
          size -
          ((counts[i]! - 1) * w.strides[i]! + w.dilations[i]! * (kernel[i]! - 1) + 1 - w.before[i]! - w.after[i]!),
      ),
    },
  })
  return b.reshape(y, [n, channels, ...image])
}

/** Operators on a neighbourhood that are written with others. */
export const local: Record<string, Operator> = {
  /** x / (bias + alpha/size · Σ x²)^beta, summed over `size` neighbouring channels (Krizhevsky et al. 2012). */
  LRN: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const size = intOf(attributes, 'size', 1)
      const sums = channelSums(b, b.mul(x!, x!), Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2))
      const inner = b.add(
        b.scale(sums, floatOf(attributes, 'alpha', 1e-4) / size),
        b.scalar(floatOf(attributes, 'bias', 1)),
      )
      const beta = floatOf(attributes, 'beta', 0.75)
      return [b.div(x!, beta === 0.5 ? b.one('Sqrt', [inner]) : b.one('Pow', [inner, b.scalar(beta)]))]
    },
  },
  LpPool: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const p = floatOf(attributes, 'p', 2)
      const w = windowOf(attributes, intsOf(attributes, 'kernel_shape') ?? [], x!.shape.slice(2))
      if (w.dilations.some((n) => n !== 1))
        throw new PinGoError('GRAPH_UNSUPPORTED', 'dilations are not supported', { hint: 'Use dilations of 1.' })
      const { dilations: _, ...window } = windowAttributes(w)
      const mean = b.one('AveragePool', [power(b, x!, p)], {
        ...window,
        ceil_mode: int(+w.ceil),
        count_include_pad: int(1),
      })
      return [rootOf(b, b.scale(mean, sizeOf(w.kernel)), p)]
    },
  },
  GlobalLpPool: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const p = floatOf(attributes, 'p', 2)
      return [rootOf(b, b.sum(power(b, x!, p), spatial(x!), true), p)]
    },
  },
  MeanVarianceNormalization: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const axes = (intsOf(attributes, 'axes') ?? [0, 2, 3]).map((axis) => axisOf(axis, x!.shape.length))
      const centred = b.sub(x!, b.mean(x!, axes, true))
      const deviation = b.one('Sqrt', [b.mean(b.mul(centred, centred), axes, true)])
      return [b.div(centred, b.add(deviation, b.scalar(1e-9)))]
    },
  },
  CenterCropPad: {
    lower: ({ b, attributes, inputs: [x, sizes] }) => {
      const axes = (intsOf(attributes, 'axes') ?? range(x!.shape.length)).map((axis) => axisOf(axis, x!.shape.length))
      const wanted = known(sizes!, 'shape')
      return [
        axes.reduce((y, axis, i) => {
          const [have, want] = [y.shape[axis]!, wanted[i]!]
          const start = Math.floor(Math.abs(have - want) / 2)
          if (have >= want) return b.slice(y, [axis], [start], [start + want])
          const at = (n: number) => y.shape.map((_, d) => (d === axis ? n : 0))
          return b.pad(y, at(start), at(want - have - start))
        }, x!),
      ]
    },
  },
  Col2Im: {
    lower: ({ b, attributes, inputs: [x, image, block] }) => {
      const [size, kernel] = [known(image!, 'image_shape'), known(block!, 'block_shape')]
      return [folded(b, x!, size, kernel, windowOf(attributes, kernel, size))]
    },
  },
}
