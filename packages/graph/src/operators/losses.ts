import { PinGoError, sizeOf } from '@pingo/wire'
import { int, intOf, stringOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { mismatch, shapeText } from '../shape.ts'
import { tensorOf } from '../tensors.ts'
import { oneHot } from './one-hot.ts'

/** Class ids, with what is ignored made class 0 of weight 0. */
function rowsOf(c: LowerContext, target: Value): { ids: Value; counted: Value | undefined } {
  const { b } = c
  if (!c.attributes.ignore_index) return { ids: target, counted: undefined }
  const ignored = b.one('Equal', [
    target,
    b.constant(tensorOf(target.dtype, [], [intOf(c.attributes, 'ignore_index', 0)])),
  ])
  return {
    ids: b.where(ignored, b.constant(tensorOf(target.dtype, [], [0])), target),
    counted: b.where(ignored, b.scalar(0), b.scalar(1)),
  }
}

/** -Σ w[t] logp[t], reduced as the node says: the mean is over the weights. @param logp [N, C, …]; the target is [N, …] */
function likelihood(c: LowerContext, logp: Value, target: Value, weight: Value | undefined): Value {
  const { b } = c
  const classes = logp.shape[1]!
  if (sizeOf(target.shape) * classes !== sizeOf(logp.shape))
    throw mismatch(`the scores ${shapeText(logp.shape)} and the labels ${shapeText(target.shape)} do not fit`)
  const { ids, counted } = rowsOf(c, target)
  const hot = oneHot(b, ids, classes)
  const own = weight && b.one('Gather', [weight, ids], { axis: int(0) })
  const share = own && counted ? b.mul(own, counted) : (own ?? counted)
  const picked = b.one('Neg', [b.sum(b.mul(hot, logp), [1])])
  const each = share ? b.mul(picked, share) : picked
  const reduction = stringOf(c.attributes, 'reduction', 'mean')
  if (reduction === 'none') return each
  if (reduction === 'sum') return b.sum(each)
  if (reduction !== 'mean')
    throw new PinGoError('GRAPH_UNSUPPORTED', `the reduction '${reduction}' is not supported`, {
      hint: 'Use mean, sum or none.',
    })
  return share ? b.div(b.sum(each), b.sum(share)) : b.scale(b.sum(each), 1 / sizeOf(target.shape))
}

/** Losses that a model carries as nodes of its own. */
export const losses: Record<string, Operator> = {
  SoftmaxCrossEntropyLoss: {
    lower: (c) => {
      const [scores, labels, weight] = c.inputs as [Value, Value, Value | undefined]
      const logp = c.b.one('LogSoftmax', [scores], { axis: int(1) })
      return [likelihood(c, logp, labels, weight), logp]
    },
  },
  NegativeLogLikelihoodLoss: {
    lower: (c) => {
      const [logp, labels, weight] = c.inputs as [Value, Value, Value | undefined]
      return [likelihood(c, logp, labels, weight)]
    },
  },
}
