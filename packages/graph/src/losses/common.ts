import { type Metric, PinGoError, type Stats } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { intOf } from '../model.ts'
import type { Value } from '../operator.ts'
import { axisOf } from '../shape.ts'

/** The loss of a batch, as sums: a mean is a sum divided by `total`, or by `least` where that is more. */
export interface Loss {
  /** Sum over samples of weight * loss, []; a sample's loss is the mean over its positions (of kl: the sum). */
  lossSum: Value
  /** Sum over samples of weight * metric, []: correct predictions, absolute errors, or losses. */
  metricSum: Value
  metric: Metric
  predictionsPerSample: number
  /** Sum of the weights, []; with an ignored class id, of the positions that count, a sample's positions together having its weight. */
  total: Value
  /** The smallest total that is not nothing. */
  least: number
  /** Whether some positions may not count, so that `total` is not the sum of the samples' weights. */
  partial?: boolean
  /** What further metrics are computed from. */
  stats?(): [Stats, Value]
  /** The value in the graph on which the loss is taken, and dlossSum/dvalue. */
  seed(): [Value, Value]
}

export const mismatch = (what: string, hint: string): PinGoError =>
  new PinGoError('GRAPH_TARGET_MISMATCH', what, { hint })

/** The Softmax (over `axis`, when given), LogSoftmax or Sigmoid that makes a value: what is in front of it, and its axis. */
export function inFront(
  b: GraphBuilder,
  output: Value,
  ops: readonly string[],
  axis?: number,
): { value: Value; axis?: number } {
  const last = b.producers.get(output.name)
  if (!last || !ops.includes(last.op)) return { value: output }
  const own = axisOf(intOf(last.attributes, 'axis', -1), output.shape.length)
  return axis === undefined || own === axis ? { value: last.inputs[0]!, axis: own } : { value: output }
}

export const asFloat = (b: GraphBuilder, x: Value): Value => (x.dtype === 'float32' ? x : b.cast(x, 'float32'))
