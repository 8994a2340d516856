import { textCodec } from '@pingo/data'
import type { Session, ValueSpec } from '@pingo/engine'
import { type Column, PinGoError } from '@pingo/wire'
import { feedOf } from './reading.ts'
import { scoresOf, softmax } from './scores.ts'

export const MAX_GENERATED_TOKENS = 100_000

export interface GenerateOptions {
  /** Tokens to add. Default 200. */
  length?: number
  /** 0 takes the likeliest token each time; above, the higher the bolder. Default 0.8. */
  temperature?: number
  /** Equal seeds give equal text. Default 0. */
  seed?: number
  signal?: AbortSignal
}

/**
 * Goes on with a prompt, token by token (texts of whole characters): the model sees the last tokens that fit its context. Padding stands behind the text, where a
 * causal model does not look.
 */
export async function* generateText(
  session: Session,
  input: ValueSpec,
  column: Column,
  prompt: string,
  options: GenerateOptions = {},
): AsyncGenerator<string> {
  const { length = 200, temperature = 0.8, seed = 0, signal } = options
  const context = column.shape[0]!
  mustKnow(prompt, column)
  const codec = textCodec(column)
  const tokens = [...codec.encode(prompt)]
  if (!tokens.length)
    throw new PinGoError('PROMPT_EMPTY', 'The prompt is empty.', { hint: 'Give a few characters to go on from.' })
  const random = uniform(seed)
  const said = codec.decoder()
  for (let n = 0; n < Math.min(length, MAX_GENERATED_TOKENS); n++) {
    signal?.throwIfAborted()
    const seen = tokens.slice(-context)
    const data = Int32Array.from({ length: context }, (_, i) => seen[i] ?? 0)
    const fed = feedOf(input, { dtype: 'int32', shape: [1, context], data }, batchOf(input))
    const name = session.outputs[0]!.name
    const output = (await session.run({ [input.name]: fed }, [name], signal))[name]!
    const scores = scoresOf(output, 0, fed.shape[0]!, seen.length - 1)
    const next = temperature > 0 ? sample(softmax(scores, temperature), random()) : greatest(scores)
    tokens.push(next)
    const text = said.next(next)
    if (text) yield text
  }
  const rest = said.end()
  if (rest) yield rest
}

/** A vocabulary of characters has only those of its text; one of bytes takes any prompt. */
function mustKnow(prompt: string, { vocabulary = [], merges }: Column): void {
  const known = new Set(vocabulary)
  const unknown = merges ? undefined : [...prompt].find((character) => !known.has(character))
  if (unknown === undefined) return
  throw new PinGoError(
    'PROMPT_UNKNOWN_CHARACTER',
    `The model does not know the character '${unknown}' of the prompt.`,
    {
      hint: `It was trained on ${vocabulary.length} characters: ${vocabulary.join('').replace(/\s+/g, ' ').slice(0, 80)}`,
    },
  )
}

const batchOf = ({ shape }: ValueSpec): number => (typeof shape[0] === 'number' ? shape[0] : 1)

function sample(probabilities: number[], at: number): number {
  let sum = 0
  for (const [id, probability] of probabilities.entries()) {
    sum += probability
    if (at < sum) return id
  }
  return probabilities.length - 1
}

const greatest = (values: Float64Array): number =>
  values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)

/** Uniform numbers in [0, 1) from a seed: mulberry32 (Tommy Ettinger, public domain). */
function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
