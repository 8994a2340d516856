import type { Stats } from '@pingo/wire'
import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { string } from '../model.ts'
import type { Value } from '../operator.ts'
import { tensorOf } from '../tensors.ts'

/** Bins of the scores that AUC is computed from. */
export const AUC_BINS = 1000
/** Most classes that are counted one by one. */
export const MAX_COUNTED_CLASSES = 1000
/** Most outputs of a sample whose variance is kept for R². */
export const MAX_VARIANCE_COLUMNS = 4096
const TOP_K = 5

const one = (b: GraphBuilder, x: Value) => b.reshape(x, [1])
const product = (b: GraphBuilder, ...xs: Value[]) => xs.reduce((x, y) => b.mul(x, y))

/** Sums of `weights` by index 0 … size-1, [size]. */
function countsOf(b: GraphBuilder, size: number, indices: Value, weights: Value): Value {
  const n = sizeOf(indices.shape)
  return b.one('ScatterND', [b.filled([size]), b.reshape(indices, [n, 1]), b.reshape(weights, [n])], {
    reduction: string('add'),
  })
}

/** Histogram of scores in 0…1, [AUC_BINS]; what is no number counts as 0. */
function histogram(b: GraphBuilder, scores: Value, weights: Value): Value {
  const safe = b.where(b.one('Greater', [scores, b.scalar(0)]), scores, b.scalar(0))
  const bin = b.one('Min', [b.scale(safe, AUC_BINS), b.scalar(AUC_BINS - 1)])
  return countsOf(b, AUC_BINS, b.cast(bin, 'int64'), weights)
}

/** Sums for accuracy, top-5, perplexity, F1 and (of two classes) AUC. */
export function classStats(
  b: GraphBuilder,
  o: {
    classes: number
    ids: Value
    best: Value
    correct: Value
    logp: Value
    /** log p of the true class, by row. */
    picked: Value
    /** Weight of a row. */
    share: Value
    flat: readonly number[]
    positions: number
    soft: boolean
  },
): [Stats, Value] {
  const { classes, ids, best, correct, logp, picked, share, flat } = o
  const topK = classes > TOP_K ? TOP_K : undefined
  const perClass = classes <= MAX_COUNTED_CLASSES
  const parts = [
    one(b, b.sum(share)),
    one(b, b.one('Neg', [b.sum(b.mul(picked, share))])),
    one(b, b.sum(b.mul(correct, share))),
  ]
  if (topK) {
    // Right when fewer than k classes score higher than the true one.
    const own = b.one('GatherElements', [logp, b.reshape(inRange(b, ids, classes).safe, withClassAxis(flat))], {
      axis: { type: 'int', value: 1 },
    })
    const higher = b.sum(b.cast(b.one('Greater', [logp, own]), 'float32'), [1])
    const hit = b.cast(b.one('Less', [higher, b.scalar(topK)]), 'float32')
    parts.push(one(b, b.sum(b.mul(hit, share))))
  }
  if (perClass) {
    const { safe, inside } = inRange(b, ids, classes)
    parts.push(
      countsOf(b, classes, best, b.mul(correct, share)),
      countsOf(b, classes, best, share),
      countsOf(b, classes, safe, b.mul(inside, share)),
    )
  }
  if (classes === 2) {
    const second = b.reshape(b.slice(b.one('Exp', [logp]), [1], [1], [2]), flat)
    const positive = b.cast(ids, 'float32')
    parts.push(
      histogram(b, second, b.mul(positive, share)),
      histogram(b, second, b.mul(b.sub(b.scalar(1), positive), share)),
    )
  }
  const spec: Stats = {
    kind: 'classes',
    classes,
    ...(topK ? { topK } : {}),
    perClass,
    ...(classes === 2 ? { bins: AUC_BINS } : {}),
    perplexity: !o.soft && o.positions > 1,
  }
  return [spec, b.concat(parts, 0)]
}

/** [rows] → [rows, 1], [batch, positions] → [batch, 1, positions]. */
const withClassAxis = (flat: readonly number[]): number[] => [flat[0]!, 1, ...flat.slice(1)]

/** Ids that are no class count as class 0 with weight 0. */
function inRange(b: GraphBuilder, ids: Value, classes: number): { safe: Value; inside: Value } {
  const constant = (n: number) => b.constant(tensorOf('int64', [], [n]))
  const inside = b.one('And', [b.one('Greater', [ids, constant(-1)]), b.one('Less', [ids, constant(classes)])])
  return { safe: b.where(inside, ids, constant(0)), inside: b.cast(inside, 'float32') }
}

/**
 * Sums for accuracy, F1 and AUC of yes-or-no predictions, all of a sample's together.
 * @param scores probabilities, @param said and @param truth 0 or 1, @param w weights; all [batch, each]
 */
export function binaryStats(b: GraphBuilder, scores: Value, said: Value, truth: Value, w: Value): [Stats, Value] {
  const wide = b.expand(w, scores.shape)
  const not = (x: Value) => b.sub(b.scalar(1), x)
  const sum = (...xs: Value[]) => one(b, b.sum(product(b, ...xs, wide)))
  const parts = [one(b, b.sum(wide)), sum(said, truth), sum(said, not(truth)), sum(not(said), truth)]
  parts.push(histogram(b, scores, b.mul(truth, wide)), histogram(b, scores, b.mul(not(truth), wide)))
  return [{ kind: 'binary', bins: AUC_BINS }, b.concat(parts, 0)]
}

/**
 * Sums for MAE and R²: samples, elements, absolute errors, squared errors, and for each of a sample's outputs the target's mean and sum of
 * squared deviations over the batch. @param difference and @param target [batch, each], @param w [batch, 1]
 */
export function numberStats(b: GraphBuilder, difference: Value, target: Value, w: Value): [Stats, Value] {
  const each = difference.shape[1]!
  const samples = b.sum(w)
  const parts = [
    one(b, samples),
    one(b, b.scale(samples, each)),
    one(b, b.sum(b.mul(b.one('Abs', [difference]), w))),
    one(b, b.sum(b.mul(b.mul(difference, difference), w))),
  ]
  const columns = each <= MAX_VARIANCE_COLUMNS ? each : undefined
  if (columns) {
    const mean = b.div(b.sum(b.mul(target, w), [0], true), b.one('Max', [samples, b.scalar(1)]))
    const off = b.sub(target, mean)
    parts.push(b.reshape(mean, [each]), b.sum(b.mul(b.mul(off, off), w), [0]))
  }
  return [{ kind: 'numbers', ...(columns ? { columns } : {}) }, b.concat(parts, 0)]
}
