import { BYTE_CHARACTERS, wordsOf } from './alphabet.ts'

/** Different words that are counted; those that come later are left out of the training. */
export const MAX_WORDS = 1 << 19
/** Longer words (UTF-8 bytes) do not take part in the training: they are data in a text. */
const MAX_WORD_BYTES = 256
/** Longest token, bytes. */
export const MAX_TOKEN_BYTES = 64
/** A pair must occur so often to become a token. */
const MIN_COUNT = 2
/** Pairs are numbers: left · PAIR + right. */
const PAIR = 1 << 20

/** How often each word of a text occurs. */
export class WordCounts {
  readonly counts = new Map<string, number>()

  add(text: string): void {
    for (const word of wordsOf(text)) {
      const count = this.counts.get(word)
      if (count !== undefined || this.counts.size < MAX_WORDS) this.counts.set(word, (count ?? 0) + 1)
    }
  }
}

export interface Merges {
  /** Tokens in the order of their ids: the 256 bytes, then what was merged. */
  vocabulary: string[]
  /** The two tokens of each merge, joined by a space. */
  merges: string[]
}

/**
 * Learns a byte-level vocabulary (Sennrich et al. 2016; bytes: Radford et al. 2019): again and again the pair of tokens that occurs most
 * often becomes one, until there are `size` tokens or no pair occurs twice. Of equally frequent pairs the one with the lower ids is
 * taken, so that equal counts give equal vocabularies.
 */
export function trainMerges(counts: ReadonlyMap<string, number>, size: number): Merges {
  const vocabulary = [...BYTE_CHARACTERS]
  const merges: string[] = []
  const words: { tokens: number[]; count: number }[] = []
  for (const [word, count] of counts) {
    const bytes = new TextEncoder().encode(word)
    if (bytes.length > 1 && bytes.length <= MAX_WORD_BYTES) words.push({ tokens: [...bytes], count })
  }
  const pairs = new Pairs()
  words.forEach(({ tokens, count }, at) => {
    for (let i = 0; i + 1 < tokens.length; i++) pairs.add(tokens[i]! * PAIR + tokens[i + 1]!, count, at)
  })
  const known = new Set(vocabulary)
  while (vocabulary.length < size) {
    const best = pairs.pop()
    if (best === undefined) break
    const [left, right] = [Math.floor(best / PAIR), best % PAIR]
    const token = vocabulary[left]! + vocabulary[right]!
    // The same bytes may be merged in two ways; a vocabulary holds them once.
    if (token.length > MAX_TOKEN_BYTES || known.has(token)) continue
    known.add(token)
    const id = vocabulary.push(token) - 1
    merges.push(`${vocabulary[left]} ${vocabulary[right]}`)
    for (const at of pairs.wordsWith(best)) {
      const word = words[at]!
      const merged = mergedWord(word.tokens, left, right, id)
      if (merged.length === word.tokens.length) continue
      for (let i = 0; i + 1 < word.tokens.length; i++)
        pairs.add(word.tokens[i]! * PAIR + word.tokens[i + 1]!, -word.count, at)
      for (let i = 0; i + 1 < merged.length; i++) pairs.add(merged[i]! * PAIR + merged[i + 1]!, word.count, at)
      word.tokens = merged
    }
  }
  return { vocabulary, merges }
}

function mergedWord(tokens: readonly number[], left: number, right: number, id: number): number[] {
  const merged: number[] = []
  for (let i = 0; i < tokens.length; i++)
    if (tokens[i] === left && tokens[i + 1] === right) {
      merged.push(id)
      i++
    } else merged.push(tokens[i]!)
  return merged
}

/** Counts of pairs with the most frequent at hand: a heap whose entries may be out of date, and are put right when they come up. */
class Pairs {
  readonly #counts = new Map<number, number>()
  readonly #words = new Map<number, Set<number>>()
  readonly #heap: { pair: number; count: number }[] = []

  add(pair: number, change: number, word: number): void {
    const count = (this.#counts.get(pair) ?? 0) + change
    this.#counts.set(pair, count)
    if (change < 0) return
    const words = this.#words.get(pair)
    if (words) words.add(word)
    else this.#words.set(pair, new Set([word]))
    this.#push({ pair, count })
  }

  /** Words that held the pair at some time. */
  wordsWith(pair: number): Iterable<number> {
    const words = this.#words.get(pair) ?? []
    this.#words.delete(pair)
    return words
  }

  /** The most frequent pair, which does not come up again; undefined when none occurs often enough. */
  pop(): number | undefined {
    for (;;) {
      const top = this.#take()
      if (!top) return undefined
      const count = this.#counts.get(top.pair) ?? 0
      if (count < MIN_COUNT) continue
      if (count !== top.count) {
        // A later entry with the right count exists unless the count has fallen since.
        if (count < top.count) this.#push({ pair: top.pair, count })
        continue
      }
      this.#counts.set(top.pair, 0)
      return top.pair
    }
  }

  #before(a: { pair: number; count: number }, b: { pair: number; count: number }): boolean {
    return a.count !== b.count ? a.count > b.count : a.pair < b.pair
  }

  #push(entry: { pair: number; count: number }): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(entry, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  #take(): { pair: number; count: number } | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (!top || !last || !heap.length) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++
      if (!this.#before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return top
  }
}
