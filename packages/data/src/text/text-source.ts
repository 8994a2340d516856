import { type Column, PinGoError } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportOptions } from '../import-options.ts'
import { DEFAULT_CONTEXT, type ImportLimits, MAX_CONTEXT } from '../limits.ts'
import type { Source } from '../store/source.ts'
import { tokensOf } from './codec.ts'
import { countedLike, freshVocabulary } from './text-vocabulary.ts'

/** Samples handed on at once. */
const BATCH_TOKENS = 1 << 17

/**
 * A text as samples of `context` tokens (characters, or by `tokenizer: 'bpe'` byte-level ones) whose target is the same text one token
 * on: `input` and `target` int32 [context]. Samples do not overlap. The test split is the last part of the text, cut so that no token
 * is in both.
 */
export async function textSource(path: string, options: ImportOptions, limits: ImportLimits): Promise<Source> {
  const likeColumn = options.like?.columns.find(({ role }) => role === 'input')
  if (options.like && (options.like.kind !== 'text' || !likeColumn?.vocabulary))
    throw new PinGoError('DATA_UNLIKE', `'${path}' is a text, the dataset to follow holds ${options.like.kind} data.`, {
      hint: 'Give a file of the same kind.',
    })
  const context = likeColumn?.shape[0] ?? options.context ?? DEFAULT_CONTEXT
  if (!Number.isInteger(context) || context < 1 || context > MAX_CONTEXT)
    throw new PinGoError('DATA_OPTION', `context must be a whole number of 1 … ${MAX_CONTEXT}, it is ${context}.`)
  const { vocabulary, merges, tokens, totalBytes } = likeColumn
    ? await countedLike(path, likeColumn, limits, options.signal)
    : await freshVocabulary(path, options, limits)
  const words = merges ? 'tokens' : 'characters'

  const testTokens = Math.round(tokens * (options.test ?? 0))
  const cut = tokens - testTokens
  const trainSamples = Math.max(0, Math.floor((cut - 1) / context))
  const testSamples = Math.max(0, Math.floor((testTokens - 1) / context))
  if (trainSamples === 0 || (testTokens > 0 && testSamples === 0))
    throw new PinGoError(
      'DATA_EMPTY',
      `'${path}' has ${tokens} ${words}, too few for a sample of ${context} + 1${testTokens > 0 ? ' in each split' : ''}.`,
      {
        hint: 'Use a longer text or a smaller context.',
      },
    )
  const column = (name: 'input' | 'target'): Column => ({
    name,
    role: name,
    dtype: 'int32',
    shape: [context],
    vocabulary,
    // The target's tokens are the input's.
    ...(merges && name === 'input' ? { merges } : {}),
  })
  const read = { vocabulary, merges }

  return {
    kind: 'text',
    columns: options.like?.columns ?? [column('input'), column('target')],
    samples: trainSamples + testSamples,
    totalBytes,
    ...(testTokens > 0 ? { testFrom: trainSamples } : {}),
    async *records(signal) {
      const capacity = Math.max(1, Math.floor(BATCH_TOKENS / context))
      const batch = new Int32Array(capacity * 2 * context)
      let rows = 0
      let position = 0
      const file = await SourceFile.open(path, limits)
      try {
        for await (const { tokens: encoded, bytesRead } of tokensOf(file, read, signal)) {
          for (const id of encoded) {
            const inTest = position >= cut
            const at = inTest ? position - cut : position
            const samples = inTest ? testSamples : trainSamples
            position++
            const sample = Math.floor(at / context)
            const place = at % context
            // Each token but the first is the target of the one before; each but the last begins or goes on a sample.
            if (at > 0 && Math.floor((at - 1) / context) < samples) {
              batch[rows * 2 * context + context + ((at - 1) % context)] = id
              if (place === 0 && ++rows === capacity) {
                yield { rows, data: new Uint8Array(batch.buffer), bytesRead }
                rows = 0
              }
            }
            if (sample < samples) batch[rows * 2 * context + place] = id
          }
        }
        if (rows > 0)
          yield { rows, data: new Uint8Array(batch.buffer, 0, rows * 2 * context * 4), bytesRead: file.bytes }
      } finally {
        await file.close()
      }
    },
  }
}
