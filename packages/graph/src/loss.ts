import type { LossInput, LossSettings } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import { type Loss, mismatch } from './losses/common.ts'
import { crossEntropy } from './losses/cross-entropy.ts'
import { pointwise } from './losses/pointwise.ts'
import { cosine, divergence, ownLoss } from './losses/whole.ts'
import type { Value } from './operator.ts'

export type { LossKind } from '@pingo/wire'
export type { Loss } from './losses/common.ts'

/**
 * The loss of the model's output against the target, the metric that goes with it, and what further metrics are computed from. The kinds and
 * their settings are described by `LossSchema` of `@pingo/wire`; gradients are the closed forms.
 * - `cross_entropy`: class ids or probabilities against logits [N, C], [N, …, C] or [N, C, …]. A model that ends in Softmax or LogSoftmax
 *   over the classes gives the logits in front of it: the loss is then exact where log(softmax) would lose digits. So do `kl`, and `bce`
 *   for a final Sigmoid.
 * - Of the others the target is reshaped to the output.
 *
 * Sample weights are 0 for padding: a sample's loss is the mean over its positions, a batch's the mean over samples by weight. With
 * `ignoreIndex` it is PyTorch's instead: the mean over all positions of the batch that are not ignored, each with its sample's weight; a
 * batch of which nothing counts has loss 0 (PyTorch: NaN).
 * @param target [batch, …]; @param weight [batch], 0 for padding
 * @throws PinGoError GRAPH_TARGET_MISMATCH
 */
export function lossOf(b: GraphBuilder, input: LossInput, output: Value, target: Value, weight: Value): Loss {
  if (output.dtype !== 'float32')
    throw mismatch(`The model's output is ${output.dtype}, a loss needs float32.`, 'Name a float output by `output`.')
  const settings: LossSettings = typeof input === 'string' ? { kind: input } : input
  switch (settings.kind) {
    case 'cross_entropy':
      return crossEntropy(b, settings, output, target, weight)
    case 'kl':
      return divergence(b, output, target, weight)
    case 'cosine':
      return cosine(b, output, target, weight)
    case 'output':
      return ownLoss(b, output, weight)
    default:
      return pointwise(b, settings, output, target, weight)
  }
}
