import { type LossSettings, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import type { Value } from '../operator.ts'
import { shapeText } from '../shape.ts'
import { tensorOf } from '../tensors.ts'
import { asFloat, inFront, type Loss, mismatch } from './common.ts'
import { binaryStats, numberStats } from './stats.ts'

type Pointwise = Extract<LossSettings, { kind: 'bce' | 'mse' | 'l1' | 'huber' | 'smooth_l1' }>

/** Losses of each number against its own target, and means of them: errors (mse, l1, huber, smooth_l1), and yes or no (bce). */
export function pointwise(b: GraphBuilder, settings: Pointwise, output: Value, target: Value, weight: Value): Loss {
  const { kind } = settings
  const batch = weight.shape[0]!
  if (sizeOf(output.shape) !== sizeOf(target.shape))
    throw mismatch(
      `The model's output ${shapeText(output.shape)} and the target ${shapeText(target.shape)} have different sizes; ${kind} compares them one by one.`,
      kind === 'bce' ? 'For more than two classes use cross_entropy.' : 'For class ids use cross_entropy.',
    )
  const each = sizeOf(output.shape) / batch
  const t = b.reshape(asFloat(b, target), [batch, each])
  const w = b.reshape(weight, [batch, 1])
  const share = b.scale(w, 1 / each)
  const common = { predictionsPerSample: each, total: b.sum(weight), least: 1 }
  if (kind === 'bce') {
    const value = inFront(b, output, ['Sigmoid']).value
    return { ...common, ...binary(b, settings.positiveWeight, value, b.reshape(value, [batch, each]), t, w, share) }
  }
  const difference = b.sub(b.reshape(output, [batch, each]), t)
  const [loss, slope] = errors(b, settings, difference, share)
  return {
    ...common,
    lossSum: b.sum(loss),
    metricSum: b.sum(b.mul(b.one('Abs', [difference]), w)),
    metric: 'mae',
    stats: () => numberStats(b, difference, t, w),
    seed: () => [output, b.reshape(slope(), output.shape)],
  }
}

/** Loss and slope by element, times `share`. */
function errors(
  b: GraphBuilder,
  settings: Exclude<Pointwise, { kind: 'bce' }>,
  difference: Value,
  share: Value,
): [Value, () => Value] {
  if (settings.kind === 'mse')
    return [b.mul(b.mul(difference, difference), share), () => b.mul(difference, b.scale(share, 2))]
  if (settings.kind === 'l1')
    return [b.mul(b.one('Abs', [difference]), share), () => b.mul(b.one('Sign', [difference]), share)]
  // Huber 1964: with c the difference cut to ±delta, c (d - c/2) is d²/2 inside and delta (|d| - delta/2) outside; its slope is c.
  const limit = settings.kind === 'huber' ? (settings.delta ?? 1) : (settings.beta ?? 1)
  const by = settings.kind === 'smooth_l1' ? b.scale(share, 1 / limit) : share
  const cut = b.one('Max', [b.one('Min', [difference, b.scalar(limit)]), b.scalar(-limit)])
  return [b.mul(b.mul(cut, b.sub(difference, b.scale(cut, 0.5))), by), () => b.mul(cut, by)]
}

function binary(
  b: GraphBuilder,
  positiveWeight: number | number[] | undefined,
  value: Value,
  y: Value,
  t: Value,
  w: Value,
  share: Value,
): Pick<Loss, 'lossSum' | 'metricSum' | 'metric' | 'stats' | 'seed'> {
  const half = b.scalar(0.5)
  const said = b.one('Greater', [y, b.scalar(0)])
  const truth = b.one('Greater', [t, half])
  const hit = b.cast(b.one('Equal', [said, truth]), 'float32')
  const each = y.shape[1]!
  const weights = positiveWeight === undefined || typeof positiveWeight === 'number' ? undefined : positiveWeight
  if (weights && each % weights.length !== 0)
    throw mismatch(
      `positiveWeight has ${weights.length} numbers, a sample of the model's output has ${each}.`,
      'Give one number, or one for each output.',
    )
  const p = weights
    ? b.constant(
        tensorOf(
          'float32',
          [1, each],
          Array.from({ length: each }, (_, i) => weights[i % weights.length]!),
        ),
      )
    : b.scalar(typeof positiveWeight === 'number' ? positiveWeight : 1)
  const plain = positiveWeight === undefined || positiveWeight === 1
  // -p t log s(y) - (1-t) log(1-s(y)); softplus does not overflow.
  const scaled = () => b.add(b.mul(b.sub(p, b.scalar(1)), t), b.scalar(1))
  const loss = plain
    ? b.sub(b.one('Softplus', [y]), b.mul(y, t))
    : b.add(b.mul(b.sub(b.scalar(1), t), y), b.mul(scaled(), b.one('Softplus', [b.one('Neg', [y])])))
  const slope = () =>
    plain
      ? b.sub(b.one('Sigmoid', [y]), t)
      : b.sub(b.sub(b.scalar(1), t), b.mul(scaled(), b.one('Sigmoid', [b.one('Neg', [y])])))
  return {
    lossSum: b.sum(b.mul(loss, share)),
    metricSum: b.sum(b.mul(hit, w)),
    metric: 'accuracy',
    stats: () => binaryStats(b, b.one('Sigmoid', [y]), b.cast(said, 'float32'), b.cast(truth, 'float32'), w),
    seed: () => [value, b.reshape(b.mul(slope(), share), value.shape)],
  }
}
