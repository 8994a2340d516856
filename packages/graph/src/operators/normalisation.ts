import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { float, floatOf, int, intOf } from '../model.ts'
import type { Operator, Value } from '../operator.ts'
import { axisOf, mismatch, range } from '../shape.ts'

/** [C] as [1, C, 1, …] for a tensor of `rank`. */
const perChannel = (b: GraphBuilder, v: Value, rank: number) =>
  b.reshape(
    v,
    range(rank).map((i) => (i === 1 ? v.shape[0]! : 1)),
  )

/** Normalises every row of [rows, length] to mean 0 and variance 1 by the LayerNormalization kernel. */
function standardised(b: GraphBuilder, x: Value, epsilon: number): Value {
  const attributes = { axis: int(-1), epsilon: float(epsilon) }
  return b.one('LayerNormalization', [x, b.filled([x.shape.at(-1)!], 1)], attributes)
}

/** (x - mean) * slope + level for every channel, in one pass: the kernel of BatchNormalization with a variance of 1. */
const affine = (b: GraphBuilder, x: Value, slope: Value, level: Value, mean: Value) =>
  b.one('BatchNormalization', [x, slope, level, mean, b.filled(mean.shape, 1)], { epsilon: float(0) })

/** Sums over batch and space [C]: over each image first, whose elements lie side by side. */
const channelSums = (b: GraphBuilder, x: Value) =>
  b.sum(x.shape.length > 2 ? b.sum(x, range(x.shape.length).slice(2)) : x, [0])

/** From so many elements an image on, small products cost less than a product written and read again. */
const MIN_DOT = 512

/** Sums over batch and space of x · y [C]. */
function productSums(b: GraphBuilder, x: Value, y: Value): Value {
  const [n, c, ...space] = x.shape as [number, number, ...number[]]
  const size = sizeOf(space)
  if (size < MIN_DOT) return channelSums(b, b.mul(x, y))
  const rows = (v: Value) => b.reshape(v, [n, c, 1, size])
  return b.sum(b.reshape(b.fusedMatmul(rows(x), rows(y), false, true), [n, c]), [0])
}

/** Batch, layer, instance, group and root-mean-square normalisation. */
export const normalisation: Record<string, Operator> = {
  BatchNormalization: {
    infer: ({ inputs: [x, , , mean], attributes }) => {
      if (x!.shape.length < 2) throw mismatch('it wants [N, C, …]')
      const type = { dtype: x!.dtype, shape: x!.shape }
      const stats = { dtype: x!.dtype, shape: mean!.shape }
      return intOf(attributes, 'training_mode', 0) ? [type, stats, stats] : [type]
    },
    /**
     * In training the batch's own statistics (population variance) normalise, and the running ones move by
     * running * momentum + batch * (1 - momentum): they are buffers, not parameters. The kernel is run with zero momentum so that
     * it hands out the batch's statistics, which the gradient needs too.
     */
    lower: (c) => {
      const [x, gamma, beta, mean, variance] = c.inputs as [Value, Value, Value, Value, Value]
      const epsilon = float(floatOf(c.attributes, 'epsilon', 1e-5))
      // Statistics that are frozen stay what they are.
      if (!c.training || !mean.variable || !variance.variable)
        return [c.b.one('BatchNormalization', [x, gamma, beta, mean, variance], { epsilon })]
      const momentum = floatOf(c.attributes, 'momentum', 0.9)
      // onnxruntime's kernel writes the new statistics over the memory of the old ones, be that a constant or a caller's
      // input: it gets values of its own, equal to no other node's.
      const mark = 2 * c.b.operations.filter(({ op }) => op === 'BatchNormalization').length
      const ownMean = c.b.add(mean, c.b.scalar(mark + 1))
      const ownVariance = c.b.add(variance, c.b.scalar(mark + 2))
      const [y, batchMean, batchVariance] = c.b.emit('BatchNormalization', [x, gamma, beta, ownMean, ownVariance], {
        epsilon,
        momentum: float(0),
        training_mode: int(1),
      }) as [Value, Value, Value]
      const next = (old: Value, batch: Value) => c.b.add(c.b.scale(old, momentum), c.b.scale(batch, 1 - momentum))
      const moved = [next(c.currentBuffer(mean), batchMean), next(c.currentBuffer(variance), batchVariance)] as const
      c.updateBuffer(mean, moved[0])
      c.updateBuffer(variance, moved[1])
      return [y, moved[0], moved[1]]
    },
    gradient: ({ b, attributes, inputs, outputs, grads: [g], wants }) => {
      const [x, gamma, , mean0, variance0] = inputs as Value[]
      const training = intOf(attributes, 'training_mode', 0) === 1
      const mean = training ? outputs[1]! : mean0!
      const variance = training ? outputs[2]! : variance0!
      const rank = x!.shape.length
      const epsilon = b.scalar(floatOf(attributes, 'epsilon', 1e-5))
      const inverse = b.one('Reciprocal', [b.one('Sqrt', [b.add(variance, epsilon)])])
      const one = b.filled(mean.shape, 1)
      const dbeta = channelSums(b, g!)
      const centred = affine(b, x!, one, b.filled(mean.shape), mean)
      const dgamma = b.mul(productSums(b, g!, centred), inverse)
      const slope = b.mul(gamma!, inverse)
      const dx = () => {
        if (!training) return b.mul(g!, perChannel(b, slope, rank))
        // slope * (g - M(g) - xh M(g xh)) with xh = (x - mean) * inverse, M the mean over batch and space. The slope comes last: where a
        // convolution stands before, it takes the slope into its weights.
        const n = sizeOf(x!.shape) / x!.shape[1]!
        const along = b.scale(b.mul(inverse, dgamma), -1 / n)
        const level = b.scale(dbeta, -1 / n)
        return b.mul(b.add(g!, affine(b, x!, along, level, mean)), perChannel(b, slope, rank))
      }
      return [wants[0] ? dx() : undefined, wants[1] ? dgamma : undefined, wants[2] ? dbeta : undefined]
    },
    flops: (_, [y]) => 4 * sizeOf(y!.shape),
  },
  LayerNormalization: {
    infer: ({ inputs: [x], attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', -1), x!.shape.length)
      const stats = { dtype: 'float32' as const, shape: x!.shape.map((n, i) => (i < axis ? n : 1)) }
      return [{ dtype: x!.dtype, shape: x!.shape }, stats, stats]
    },
    lower: (c) => {
      if (c.node.outputs[1] || c.node.outputs[2])
        throw new PinGoError('GRAPH_UNSUPPORTED', 'its mean and deviation outputs are not supported', {
          hint: 'Use the first output alone.',
        })
      const attributes = {
        axis: int(intOf(c.attributes, 'axis', -1)),
        epsilon: float(floatOf(c.attributes, 'epsilon', 1e-5)),
      }
      return [c.b.one('LayerNormalization', c.inputs, attributes)]
    },
    // Outputs 2 and 3 of the kernel: the mean and the inverse standard deviation.
    gradient: ({ b, attributes, inputs, outputs, grads: [g], wants }) => {
      const [x, gamma, beta] = inputs
      const [, mean, inverse] = outputs
      const axis = axisOf(intOf(attributes, 'axis', -1), x!.shape.length)
      const size = sizeOf(x!.shape.slice(axis))
      const centred = b.sub(x!, mean!)
      const scaled = b.mul(g!, inverse!)
      const product = b.mul(scaled, centred)
      // With h = inverse gamma g: h - M(h) - (x - mean) inverse² M(gamma product). The means weighted by gamma are products with a column.
      const dx = () => {
        const plain = isOnes(b, gamma!)
        const column = plain ? b.filled([size, 1], 1 / size) : b.reshape(b.scale(gamma!, 1 / size), [size, 1])
        const weighted = (v: Value) =>
          b.reshape(b.matmul(b.reshape(v, [sizeOf(v.shape) / size, size]), column), mean!.shape)
        const along = b.mul(weighted(product), b.mul(inverse!, inverse!))
        const h = plain ? scaled : b.mul(scaled, gamma!)
        return b.sub(b.sub(h, weighted(scaled)), b.mul(centred, along))
      }
      return [
        wants[0] ? dx() : undefined,
        wants[1] ? b.unbroadcast(product, gamma!.shape) : undefined,
        wants[2] ? b.unbroadcast(g!, beta!.shape) : undefined,
      ]
    },
    flops: (_, [y]) => 8 * sizeOf(y!.shape),
  },
  InstanceNormalization: {
    lower: ({ b, attributes, inputs: [x, gamma, beta] }) => {
      const [n, c] = x!.shape as [number, number]
      const rows = b.reshape(x!, [n * c, sizeOf(x!.shape) / n / c])
      const y = b.reshape(standardised(b, rows, floatOf(attributes, 'epsilon', 1e-5)), x!.shape)
      const rank = x!.shape.length
      return [b.add(b.mul(y, perChannel(b, gamma!, rank)), perChannel(b, beta!, rank))]
    },
  },
  GroupNormalization: {
    lower: ({ b, attributes, inputs: [x, gamma, beta], opset }) => {
      const [n, c] = x!.shape as [number, number]
      const groups = intOf(attributes, 'num_groups', 1)
      const rows = b.reshape(x!, [n * groups, sizeOf(x!.shape) / n / groups])
      const y = b.reshape(standardised(b, rows, floatOf(attributes, 'epsilon', 1e-5)), x!.shape)
      // Until opset 20, scale and bias are given per group.
      const wide = (v: Value) =>
        opset < 21 && v.shape[0] !== c ? b.reshape(b.expand(b.reshape(v, [groups, 1]), [groups, c / groups]), [c]) : v
      const rank = x!.shape.length
      return [b.add(b.mul(y, perChannel(b, wide(gamma!), rank)), perChannel(b, wide(beta!), rank))]
    },
  },
  RMSNormalization: {
    lower: ({ b, attributes, inputs: [x, gamma] }) => {
      const axis = axisOf(intOf(attributes, 'axis', -1), x!.shape.length)
      const power = b.mean(b.mul(x!, x!), range(x!.shape.length).slice(axis), true)
      const root = b.one('Sqrt', [b.add(power, b.scalar(floatOf(attributes, 'epsilon', 1e-5)))])
      return [b.mul(b.div(x!, root), gamma!)]
    },
  },
  /** The name that onnxruntime gives to RMSNormalization, in ONNX's own domain. */
  SimplifiedLayerNormalization: { lower: (c) => normalisation.RMSNormalization!.lower!(c) },
  LpNormalization: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const axis = [axisOf(intOf(attributes, 'axis', -1), x!.shape.length)]
      const norm =
        intOf(attributes, 'p', 2) === 1
          ? b.sum(b.one('Abs', [x]), axis, true)
          : b.one('Sqrt', [b.sum(b.mul(x!, x!), axis, true)])
      return [b.div(x!, norm)]
    },
  },
}

const isOnes = (b: GraphBuilder, gamma: Value) => b.producers.get(gamma.name)?.op === 'ConstantOfShape'
