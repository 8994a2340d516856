import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import { int, intOf } from './model.ts'
import type { Value } from './operator.ts'
import { axisOf, sameShape, shapeText } from './shape.ts'
import { tensorOf } from './tensors.ts'

export type LossKind = 'cross_entropy' | 'mse' | 'bce'

export interface Loss {
  /** Sum over samples of weight * loss, []; a sample's loss is the mean over its positions. */
  lossSum: Value
  /** Sum over samples of weight * metric, []: correct predictions, or absolute errors for mse. */
  metricSum: Value
  metric: 'accuracy' | 'mae'
  predictionsPerSample: number
  /** The value in the graph on which the loss is taken, and dlossSum/dvalue. */
  seed(): [Value, Value]
}

const mismatch = (what: string, hint: string) => new PinGoError('GRAPH_TARGET_MISMATCH', what, { hint })

/**
 * The loss of the model's output against the target, and the metric that goes with it.
 * - `cross_entropy`: class ids against logits [N, C], [N, …, C] or [N, C, …]. A model that ends in Softmax or LogSoftmax over
 *   the classes gives the logits in front of it: the loss is then exact where log(softmax) would lose digits.
 * - `bce`: 0 or 1 against logits of as many elements; a final Sigmoid is passed by likewise.
 * - `mse`: mean squared error; the target is reshaped to the output.
 * @param target [batch, …]; @param weight [batch], 0 for padding
 * @throws PinGoError GRAPH_TARGET_MISMATCH
 */
export function lossOf(b: GraphBuilder, kind: LossKind, output: Value, target: Value, weight: Value): Loss {
  if (output.dtype !== 'float32')
    throw mismatch(`The model's output is ${output.dtype}, a loss needs float32.`, 'Name a float output by `output`.')
  if (kind === 'cross_entropy') return crossEntropy(b, output, target, weight)
  return pointwise(b, kind, output, target, weight)
}

/** Whether the classes lie on the last axis or on axis 1: an exact fit of the shape first, then of the count. */
function classAxis(output: Value, target: Value): number {
  const last = output.shape.length - 1
  const without = (axis: number) => output.shape.filter((_, i) => i !== axis)
  const order = last > 2 ? [1, last] : [last, 1]
  const valid = order.filter((axis) => axis >= 1 && axis <= last)
  const exact = valid.find((axis) => sameShape(without(axis), target.shape))
  const counted = valid.find((axis) => sizeOf(without(axis)) === sizeOf(target.shape))
  const axis = exact ?? counted
  if (axis === undefined)
    throw mismatch(
      `The model's output ${shapeText(output.shape)} and the target ${shapeText(target.shape)} do not fit cross_entropy: it wants one class id for every row of logits.`,
      'Use class ids as the target, or another loss.',
    )
  return axis
}

/** The value in front of a final Softmax (over `axis`), LogSoftmax or Sigmoid. */
function inFront(b: GraphBuilder, output: Value, ops: readonly string[], axis?: number): Value {
  const last = b.producers.get(output.name)
  if (!last || !ops.includes(last.op)) return output
  const own = axisOf(intOf(last.attributes, 'axis', -1), output.shape.length)
  return axis === undefined || own === axis ? last.inputs[0]! : output
}

function crossEntropy(b: GraphBuilder, output: Value, target: Value, weight: Value): Loss {
  const batch = weight.shape[0]!
  const axis = classAxis(output, target)
  const classes = output.shape[axis]!
  if (classes < 2)
    throw mismatch(`The model's output ${shapeText(output.shape)} has one class only.`, 'Use the loss bce or mse.')
  const logits = inFront(b, output, ['Softmax', 'LogSoftmax'], axis)
  const rows = sizeOf(output.shape) / classes
  const positions = rows / batch
  const isLast = axis === output.shape.length - 1
  const shape = isLast ? [rows, classes] : [batch, classes, positions]
  const flat = isLast ? [rows] : [batch, positions]
  const ids = b.reshape(target.dtype === 'int64' ? target : b.cast(target, 'int64'), flat)
  const logp = b.one('LogSoftmax', [b.reshape(logits, shape)], { axis: int(1) })
  const hot = b.one(
    'OneHot',
    [ids, b.constant(tensorOf('int64', [], [classes])), b.constant(tensorOf('float32', [2], [0, 1]))],
    { axis: int(1) },
  )
  // Weight of every row: the sample's, shared by its positions.
  const share = b.scale(b.reshape(b.expand(b.reshape(weight, [batch, 1]), [batch, positions]), flat), 1 / positions)
  const picked = b.sum(b.mul(hot, logp), [1])
  const best = b.one('ArgMax', [b.reshape(output, shape)], { axis: int(1), keepdims: int(0) })
  const correct = b.cast(b.one('Equal', [best, ids]), 'float32')
  return {
    lossSum: b.one('Neg', [b.sum(b.mul(picked, share))]),
    metricSum: b.sum(b.mul(correct, b.scale(share, positions))),
    metric: 'accuracy',
    predictionsPerSample: positions,
    seed: () => {
      const wide = b.reshape(share, isLast ? [rows, 1] : [batch, 1, positions])
      const g = b.mul(b.sub(b.one('Exp', [logp]), hot), wide)
      return [logits, b.reshape(g, logits.shape)]
    },
  }
}

function pointwise(b: GraphBuilder, kind: 'mse' | 'bce', output: Value, target: Value, weight: Value): Loss {
  const batch = weight.shape[0]!
  if (sizeOf(output.shape) !== sizeOf(target.shape))
    throw mismatch(
      `The model's output ${shapeText(output.shape)} and the target ${shapeText(target.shape)} have different sizes; ${kind} compares them one by one.`,
      kind === 'mse' ? 'For class ids use cross_entropy.' : 'For more than two classes use cross_entropy.',
    )
  const each = sizeOf(output.shape) / batch
  const value = kind === 'bce' ? inFront(b, output, ['Sigmoid']) : output
  const y = b.reshape(value, [batch, each])
  const t = b.reshape(target.dtype === 'float32' ? target : b.cast(target, 'float32'), [batch, each])
  const w = b.reshape(weight, [batch, 1])
  const share = b.scale(w, 1 / each)
  const difference = b.sub(y, t)
  if (kind === 'mse')
    return {
      lossSum: b.sum(b.mul(b.mul(difference, difference), share)),
      metricSum: b.sum(b.mul(b.one('Abs', [difference]), w)),
      metric: 'mae',
      predictionsPerSample: each,
      seed: () => [value, b.reshape(b.mul(difference, b.scale(share, 2)), value.shape)],
    }
  const half = b.scalar(0.5)
  const said = b.one('Greater', [y, b.scalar(0)])
  const hit = b.cast(b.one('Equal', [said, b.one('Greater', [t, half])]), 'float32')
  // -t log s(y) - (1-t) log(1-s(y)) = softplus(y) - y t, which does not overflow.
  const loss = b.sub(b.one('Softplus', [y]), b.mul(y, t))
  return {
    lossSum: b.sum(b.mul(loss, share)),
    metricSum: b.sum(b.mul(hit, w)),
    metric: 'accuracy',
    predictionsPerSample: each,
    seed: () => [value, b.reshape(b.mul(b.sub(b.one('Sigmoid', [y]), t), share), value.shape)],
  }
}
