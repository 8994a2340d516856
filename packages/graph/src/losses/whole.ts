import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { int } from '../model.ts'
import type { Value } from '../operator.ts'
import { shapeText } from '../shape.ts'
import { asFloat, inFront, type Loss, mismatch } from './common.ts'
import { numberStats } from './stats.ts'

/** Smallest probability whose logarithm is taken; t log t is 0 at 0. */
const TINY = 1e-30
/** Added to squared lengths, as PyTorch's cosine_embedding_loss does. */
const LENGTH_EPSILON = 1e-12

function sameSize(kind: string, output: Value, target: Value): void {
  if (sizeOf(output.shape) !== sizeOf(target.shape))
    throw mismatch(
      `The model's output ${shapeText(output.shape)} and the target ${shapeText(target.shape)} have different sizes; ${kind} wants as many numbers.`,
      'For class ids use cross_entropy.',
    )
}

/**
 * Kullback-Leibler divergence of the target's probabilities from the model's: sum of t (log t - log p) over a sample's classes and
 * positions, mean over the batch (PyTorch's KLDivLoss with reduction batchmean). The classes lie on the axis of the model's final Softmax or
 * LogSoftmax, else on the last; other outputs are logits.
 */
export function divergence(b: GraphBuilder, output: Value, target: Value, weight: Value): Loss {
  sameSize('kl', output, target)
  const batch = weight.shape[0]!
  const front = inFront(b, output, ['Softmax', 'LogSoftmax'])
  const axis = front.axis ?? output.shape.length - 1
  const classes = output.shape[axis]!
  const positions = sizeOf(output.shape) / classes / batch
  if (axis < 1 || classes < 2 || !Number.isInteger(positions))
    throw mismatch(`The model's output ${shapeText(output.shape)} has no axis of classes.`, 'Use the loss bce or mse.')
  const logits = front.value
  const logp = b.one('LogSoftmax', [logits], { axis: int(axis) })
  const t = b.reshape(asFloat(b, target), output.shape)
  const each = [batch, positions * classes]
  const w = b.reshape(weight, [batch, 1])
  const entropy = b.mul(t, b.one('Log', [b.one('Max', [t, b.scalar(TINY)])]))
  const loss = b.reshape(b.sub(entropy, b.mul(t, logp)), each)
  const best = (x: Value) => b.reshape(b.one('ArgMax', [x], { axis: int(axis), keepdims: int(0) }), [batch, positions])
  const correct = b.cast(b.one('Equal', [best(output), best(t)]), 'float32')
  return {
    lossSum: b.sum(b.mul(loss, w)),
    metricSum: b.sum(b.mul(correct, w)),
    metric: 'accuracy',
    predictionsPerSample: positions,
    total: b.sum(weight),
    least: 1,
    seed: () => {
      const g = b.sub(b.mul(b.one('Exp', [logp]), b.sum(t, [axis], true)), t)
      return [logits, b.reshape(b.mul(b.reshape(g, each), w), logits.shape)]
    },
  }
}

/** 1 - cosine similarity of output and target along the last axis, mean over a sample's positions. */
export function cosine(b: GraphBuilder, output: Value, target: Value, weight: Value): Loss {
  sameSize('cosine', output, target)
  const batch = weight.shape[0]!
  const width = output.shape.at(-1)!
  const rows = sizeOf(output.shape) / width
  const positions = rows / batch
  if (output.shape.length < 2 || !Number.isInteger(positions))
    throw mismatch(`The model's output ${shapeText(output.shape)} has no axis of directions.`, 'Use the loss mse.')
  const y = b.reshape(output, [rows, width])
  const t = b.reshape(asFloat(b, target), [rows, width])
  const w = b.reshape(weight, [batch, 1])
  const share = b.scale(b.reshape(b.expand(w, [batch, positions]), [rows, 1]), 1 / positions)
  const square = (x: Value) => b.add(b.sum(b.mul(x, x), [1], true), b.scalar(LENGTH_EPSILON))
  const yy = square(y)
  const lengths = b.mul(b.one('Sqrt', [yy]), b.one('Sqrt', [square(t)]))
  const similarity = b.div(b.sum(b.mul(y, t), [1], true), lengths)
  const each = [batch, positions * width]
  const difference = b.sub(b.reshape(y, each), b.reshape(t, each))
  return {
    lossSum: b.sum(b.mul(b.sub(b.scalar(1), similarity), share)),
    metricSum: b.sum(b.mul(b.one('Abs', [difference]), w)),
    metric: 'mae',
    predictionsPerSample: positions * width,
    total: b.sum(weight),
    least: 1,
    stats: () => numberStats(b, difference, b.reshape(t, each), w),
    seed: () => {
      // d(-cos)/dy = cos y / |y|² - t / (|y| |t|)
      const g = b.sub(b.mul(y, b.div(similarity, yy)), b.div(t, lengths))
      return [output, b.reshape(b.mul(g, share), output.shape)]
    },
  }
}

/**
 * The model's output is its loss: one number for the batch, or numbers for each sample, of which the mean is taken. One number for the
 * batch counts as the mean over its samples.
 */
export function ownLoss(b: GraphBuilder, output: Value, weight: Value): Loss {
  const batch = weight.shape[0]!
  const size = sizeOf(output.shape)
  const count = b.sum(weight)
  const single = size === 1 && batch !== 1
  if (!single && (size === 0 || output.shape[0] !== batch))
    throw mismatch(
      `The model's output ${shapeText(output.shape)} cannot be its loss: it is neither one number nor numbers for each of ${batch} samples.`,
      'Reduce it to one number for each sample.',
    )
  const each = size / batch
  const share = b.scale(b.reshape(weight, [batch, 1]), 1 / each)
  const lossSum = single ? b.mul(b.reshape(output, []), count) : b.sum(b.mul(b.reshape(output, [batch, each]), share))
  return {
    lossSum,
    metricSum: lossSum,
    metric: 'loss',
    predictionsPerSample: 1,
    total: count,
    least: 1,
    seed: () => [output, b.reshape(single ? count : b.expand(share, [batch, each]), output.shape)],
  }
}
