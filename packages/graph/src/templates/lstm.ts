import { PinGoError } from '@pingo/wire'
import { dense, dropout as dropoutLayer, embedding, lstm as lstmLayer, reshape, sequential } from '../layers/index.ts'
import type { Model } from '../model.ts'

export interface LstmOptions {
  /** Tokens of a sample and how many there are to tell apart … */
  tokens?: { context: number; vocabulary: number }
  /** … or a numeric sequence: [time, features], or [time] of one feature. */
  shape?: number[]
  /** Scores for each sample, or for each token with `everyToken`. */
  outputs: number
  /** True: an output for each step, to tell the next token. Default false: one, from the last state. */
  everyToken?: boolean
  /** Stacked LSTMs. Default 2. */
  layers?: number
  /** Width of the embedding and of each state. Default 128. */
  width?: number
  /** Part dropped between the layers while training. Default 0. */
  dropout?: number
  seed?: number
}

/**
 * Stacked LSTMs and a dense head. `input` int64 [batch, context] or float32 [batch, time, features] → `output` [batch, outputs], or
 * [batch, context, outputs] with `everyToken`.
 */
export function lstm(o: LstmOptions): Model {
  const { tokens, shape = [], outputs, everyToken = false, layers = 2, width = 128, dropout = 0, seed = 0 } = o
  if (!tokens === !o.shape || (!tokens && (shape.length < 1 || shape.length > 2)))
    throw new PinGoError(
      'TEMPLATE_INVALID',
      'The template lstm wants `tokens`, or a `shape` [time] or [time, features].',
    )
  const front = tokens
    ? [embedding(tokens.vocabulary, width, { name: 'token' })]
    : shape.length === 1
      ? [reshape([shape[0]!, 1])]
      : []
  const stack = Array.from({ length: layers }, (_, i) => [
    lstmLayer(width, { sequences: everyToken || i < layers - 1 }),
    ...(dropout > 0 ? [dropoutLayer(dropout)] : []),
  ])
  return sequential([...front, ...stack.flat(), dense(outputs, { name: 'head' })], {
    input: tokens ? [tokens.context] : shape,
    seed,
    name: 'lstm',
  })
}
