import { type LossSettings, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { int } from '../model.ts'
import type { Value } from '../operator.ts'
import { oneHot } from '../operators/one-hot.ts'
import { sameShape, shapeText } from '../shape.ts'
import { tensorOf } from '../tensors.ts'
import { inFront, type Loss, mismatch } from './common.ts'
import { classStats } from './stats.ts'

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
      'Use class ids as the target, probabilities of the size of the output, or another loss.',
    )
  return axis
}

/**
 * Cross-entropy as PyTorch's: -sum over classes of t log softmax, t being the one-hot class or the given probabilities, of which
 * `smoothing` is spread over all classes; the mean is over all positions that are not ignored.
 */
export function crossEntropy(
  b: GraphBuilder,
  settings: Extract<LossSettings, { kind: 'cross_entropy' }>,
  output: Value,
  target: Value,
  weight: Value,
): Loss {
  const batch = weight.shape[0]!
  const { ignoreIndex, smoothing = 0 } = settings
  const soft = target.dtype === 'float32' && output.shape.length > 1 && sizeOf(target.shape) === sizeOf(output.shape)
  const axis = soft ? (inFront(b, output, ['Softmax', 'LogSoftmax']).axis ?? 1) : classAxis(output, target)
  const classes = output.shape[axis]!
  if (classes < 2)
    throw mismatch(`The model's output ${shapeText(output.shape)} has one class only.`, 'Use the loss bce or mse.')
  if (soft && ignoreIndex !== undefined)
    throw mismatch('An ignored class id means nothing where the target holds probabilities.', 'Remove ignoreIndex.')
  const logits = inFront(b, output, ['Softmax', 'LogSoftmax'], axis).value
  const rows = sizeOf(output.shape) / classes
  const positions = rows / batch
  const isLast = axis === output.shape.length - 1
  const shape = isLast ? [rows, classes] : [batch, classes, positions]
  const flat = isLast ? [rows] : [batch, positions]
  const wide = (x: Value) => b.reshape(x, isLast ? [rows, 1] : [batch, 1, positions])
  const logp = b.one('LogSoftmax', [b.reshape(logits, shape)], { axis: int(1) })
  // Weight of every row: the sample's, shared by its positions.
  let share = b.scale(b.reshape(b.expand(b.reshape(weight, [batch, 1]), [batch, positions]), flat), 1 / positions)
  let ids: Value
  let hot: Value
  if (soft) {
    hot = b.reshape(target, shape)
    ids = b.one('ArgMax', [hot], { axis: int(1), keepdims: int(0) })
  } else {
    ids = b.reshape(target.dtype === 'int64' ? target : b.cast(target, 'int64'), flat)
    if (ignoreIndex !== undefined) {
      const ignored = b.one('Equal', [ids, b.constant(tensorOf('int64', [], [ignoreIndex]))])
      ids = b.where(ignored, b.constant(tensorOf('int64', [], [0])), ids)
      share = b.where(ignored, b.scalar(0), share)
    }
    hot = oneHot(b, ids, classes)
  }
  const picked = b.sum(b.mul(hot, logp), [1])
  const smoothed =
    smoothing === 0 ? picked : b.add(b.scale(picked, 1 - smoothing), b.scale(b.mean(logp, [1]), smoothing))
  const best = b.one('ArgMax', [b.reshape(output, shape)], { axis: int(1), keepdims: int(0) })
  const correct = b.cast(b.one('Equal', [best, ids]), 'float32')
  const partial = ignoreIndex !== undefined
  return {
    lossSum: b.one('Neg', [b.sum(b.mul(smoothed, share))]),
    metricSum: b.sum(b.mul(correct, b.scale(share, positions))),
    metric: 'accuracy',
    predictionsPerSample: positions,
    total: b.sum(partial ? share : weight),
    least: partial ? 1 / positions : 1,
    partial,
    stats: () =>
      classStats(b, {
        classes,
        ids,
        best,
        correct,
        logp,
        picked,
        share: b.scale(share, positions),
        flat,
        positions,
        soft,
      }),
    seed: () => {
      let p = b.one('Exp', [logp])
      let t = hot
      if (soft) p = b.mul(p, b.sum(hot, [1], true))
      if (smoothing > 0) {
        // The sum of t over the classes becomes (1 - smoothing) of what it was, and smoothing.
        if (soft) p = b.add(b.scale(p, 1 - smoothing), b.scale(b.one('Exp', [logp]), smoothing))
        t = b.add(b.scale(hot, 1 - smoothing), b.scalar(smoothing / classes))
      }
      return [logits, b.reshape(b.mul(b.sub(p, t), wide(share)), logits.shape)]
    },
  }
}
