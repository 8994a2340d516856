import { PinGoError } from '@pingo/wire'
import { SourceFile } from '../files.ts'
import type { ImportOptions } from '../import-options.ts'
import {
  DEFAULT_BPE_VOCABULARY,
  type ImportLimits,
  MAX_BPE_VOCABULARY,
  MAX_VOCABULARY,
  MIN_BPE_VOCABULARY,
} from '../limits.ts'
import { trainMerges, WordCounts } from './bpe/train.ts'
import { type TokenColumn, tokensOf, wholeWords } from './codec.ts'
import { vocabularyOf } from './vocabulary.ts'

/** Bytes of a text that a vocabulary is learnt from at most. */
const MAX_TRAINED_BYTES = 64 << 20

/** A vocabulary and how many tokens of it a text has. */
interface Vocabulary {
  vocabulary: string[]
  merges?: string[] | undefined
  tokens: number
  totalBytes: number
}

/** Learns a text's vocabulary: its characters, or the byte-level tokens that its first 64 MiB are best said with. */
export async function freshVocabulary(path: string, options: ImportOptions, limits: ImportLimits): Promise<Vocabulary> {
  const { tokenizer = 'char', vocabulary: size = DEFAULT_BPE_VOCABULARY, signal } = options
  if (tokenizer === 'bpe') {
    if (!Number.isInteger(size) || size < MIN_BPE_VOCABULARY || size > MAX_BPE_VOCABULARY)
      throw new PinGoError(
        'DATA_OPTION',
        `vocabulary must be a whole number of ${MIN_BPE_VOCABULARY} … ${MAX_BPE_VOCABULARY}, it is ${size}.`,
      )
    const learnt = await SourceFile.with(path, limits, async (file) => {
      const words = new WordCounts()
      for await (const { text, bytesRead } of wholeWords(file, signal)) {
        words.add(text)
        if (bytesRead >= MAX_TRAINED_BYTES) break
      }
      return trainMerges(words.counts, size)
    })
    return { ...learnt, ...(await counted(path, learnt, limits, signal)) }
  }
  if (options.vocabulary !== undefined)
    throw new PinGoError('DATA_OPTION', "vocabulary is a size for the tokenizer 'bpe'; characters are counted.")
  const { tokens, characters, totalBytes } = await vocabularyOf(path, limits, signal)
  if (characters.length > MAX_VOCABULARY)
    throw new PinGoError(
      'DATA_TOO_LARGE',
      `'${path}' holds ${characters.length} different characters, at most ${MAX_VOCABULARY} make a vocabulary.`,
      {
        hint: "Give a text in one language, use the tokenizer 'bpe', or check that the file is text.",
      },
    )
  return { vocabulary: characters, tokens, totalBytes }
}

/** The vocabulary of a dataset to follow, and how many tokens of it a text has. */
export const countedLike = async (
  path: string,
  column: TokenColumn,
  limits: ImportLimits,
  signal?: AbortSignal,
): Promise<Vocabulary> => ({
  vocabulary: column.vocabulary ?? [],
  merges: column.merges,
  ...(await counted(path, column, limits, signal)),
})

const counted = (path: string, column: TokenColumn, limits: ImportLimits, signal?: AbortSignal) =>
  SourceFile.with(path, limits, async (file) => {
    let tokens = 0
    for await (const piece of tokensOf(file, column, signal)) tokens += piece.tokens.length
    return { tokens, totalBytes: file.bytes }
  })
