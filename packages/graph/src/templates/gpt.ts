import { PinGoError } from '@pingo/wire'
import { embedding, layerNorm, positionalEmbedding, sequential, tiedHead, transformerBlock } from '../layers/index.ts'
import type { Model } from '../model.ts'

export interface GptOptions {
  vocabulary: number
  /** Tokens of a sample. */
  context: number
  layers?: number
  heads?: number
  width?: number
  /** Part dropped while training. Default 0. */
  dropout?: number
  seed?: number
}

/** GPT-2's initial standard deviation (Radford et al. 2019); that of what adds to the residual stream falls with the depth. */
const STD = 0.02

/**
 * A GPT: learned positions, pre-LayerNorm blocks, GELU, causal attention, the head tied to the token embedding.
 * `input` int64 [batch, context] → `output` [batch, context, vocabulary] (logits).
 */
export function gpt({ vocabulary, context, layers = 4, heads = 4, width = 128, dropout, seed = 0 }: GptOptions): Model {
  if (width % heads !== 0)
    throw new PinGoError(
      'TEMPLATE_INVALID',
      `The template gpt wants a width (${width}) that its heads (${heads}) divide.`,
    )
  const outputInitial = { normal: STD / Math.sqrt(2 * layers) }
  const block = () => transformerBlock({ heads, causal: true, initial: { normal: STD }, outputInitial, dropout })
  return sequential(
    [
      embedding(vocabulary, width, { name: 'token', initial: { normal: STD } }),
      positionalEmbedding({ name: 'position', initial: { normal: STD } }),
      ...Array.from({ length: layers }, block),
      layerNorm({ name: 'norm' }),
      tiedHead('token'),
    ],
    { input: [context], seed, name: 'gpt' },
  )
}
