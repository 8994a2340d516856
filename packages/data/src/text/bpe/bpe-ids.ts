import { Tokenizer } from '@huggingface/tokenizers'
import { PinGoError } from '@pingo/wire'
import { bytesOfToken, wordsOf } from './alphabet.ts'
import type { Merges } from './train.ts'

/** Words whose tokens are kept, so that frequent ones are merged once. */
const MAX_KEPT_WORDS = 1 << 16

/** The vocabulary in the form of a tokenizer.json, which Hugging Face's tokenizers read. */
export function tokenizerJson({ vocabulary, merges }: Merges): Record<string, unknown> {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges,
    },
  }
}

/** Text as ids of byte-level tokens, by Hugging Face's tokenizers. */
export class BpeIds {
  readonly #tokenizer: Tokenizer
  readonly #kept = new Map<string, readonly number[]>()

  /** @throws PinGoError DATA_VOCABULARY when it is none of bytes */
  constructor(merges: Merges) {
    const { vocabulary } = merges
    const bytes = new Set(vocabulary.filter((token) => token.length === 1 && bytesOfToken(token)))
    if (bytes.size !== 256 || vocabulary.some((token) => !bytesOfToken(token)))
      throw new PinGoError('DATA_VOCABULARY', 'The vocabulary is not one of bytes and what was merged of them.', {
        hint: 'Import the text again.',
      })
    this.#tokenizer = new Tokenizer(tokenizerJson(merges), {})
  }

  encode(text: string): Int32Array {
    const ids: number[] = []
    for (const word of wordsOf(text)) for (const id of this.#word(word)) ids.push(id)
    return Int32Array.from(ids)
  }

  #word(word: string): readonly number[] {
    const kept = this.#kept.get(word)
    if (kept) return kept
    const { ids } = this.#tokenizer.encode(word, { add_special_tokens: false })
    if (this.#kept.size < MAX_KEPT_WORDS) this.#kept.set(word, ids)
    return ids
  }
}
