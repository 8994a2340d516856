import { type Column, PinGoError } from '@pingo/wire'
import type { SourceFile } from '../files.ts'
import { bytesOfToken, safeLength } from './bpe/alphabet.ts'
import { BpeIds } from './bpe/bpe-ids.ts'
import { readText } from './utf8.ts'
import { CharacterIds } from './vocabulary.ts'

/** A text column's tokens: characters, or byte-level tokens where it has `merges`. */
export type TokenColumn = Pick<Column, 'vocabulary' | 'merges'>

/** Turns a text into the token ids of a column, and ids back into text. */
export interface TextCodec {
  /** @throws PinGoError DATA_UNKNOWN_CHARACTER for characters that a vocabulary of characters lacks */
  encode(text: string): Int32Array
  /** A decoder for ids that come one by one: what it gives is whole characters, in the end all of them. */
  decoder(): { next(id: number): string; end(): string }
  decode(ids: Iterable<number>): string
}

/** The codec of a text column. @throws PinGoError DATA_VOCABULARY when the column has no vocabulary or a damaged one */
export function textCodec(column: TokenColumn): TextCodec {
  const vocabulary = column.vocabulary ?? []
  const ids = idsOf(column)
  const bytes = column.merges ? vocabulary.map((token) => bytesOfToken(token)!) : undefined
  const decoder = (): ReturnType<TextCodec['decoder']> => {
    if (!bytes) return { next: (id) => vocabulary[id] ?? '', end: () => '' }
    // Bytes that are no text become U+FFFD: a model may say anything.
    const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
    return { next: (id) => utf8.decode(bytes[id] ?? new Uint8Array(0), { stream: true }), end: () => utf8.decode() }
  }
  return {
    encode: (text) => (ids instanceof BpeIds ? ids.encode(text) : ids.encode(text, 'the text')),
    decoder,
    decode(list) {
      const { next, end } = decoder()
      let text = ''
      for (const id of list) text += next(id)
      return text + end()
    },
  }
}

/** A token as a person reads it: bytes that are no text by themselves as �. */
export function tokenText(column: TokenColumn, id: number): string {
  const token = column.vocabulary?.[id] ?? String(id)
  return column.merges ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytesOfToken(token)) : token
}

/** A file's tokens, piece by piece. @throws PinGoError DATA_NOT_UTF8, DATA_UNKNOWN_CHARACTER */
export async function* tokensOf(
  file: SourceFile,
  column: TokenColumn,
  signal?: AbortSignal,
): AsyncIterable<{ tokens: Int32Array; bytesRead: number }> {
  const ids = idsOf(column)
  if (ids instanceof BpeIds) {
    for await (const { text, bytesRead } of wholeWords(file, signal)) yield { tokens: ids.encode(text), bytesRead }
    return
  }
  let position = 0
  for await (const { text, bytesRead } of readText(file, signal)) {
    const tokens = ids.encode(text, file.path, position)
    position += tokens.length
    yield { tokens, bytesRead }
  }
}

/** A file's text in pieces that end between words, so that it is cut into the same tokens however it is read. */
export async function* wholeWords(
  file: SourceFile,
  signal?: AbortSignal,
): AsyncIterable<{ text: string; bytesRead: number }> {
  let held = ''
  let read = 0
  for await (const { text, bytesRead } of readText(file, signal)) {
    held += text
    read = bytesRead
    const safe = safeLength(held)
    if (safe > 0) yield { text: held.slice(0, safe), bytesRead }
    held = held.slice(safe)
  }
  if (held) yield { text: held, bytesRead: read }
}

/** Kept while its column lives: a codec of many merges is not made twice. */
const made = new WeakMap<readonly string[], BpeIds | CharacterIds>()

function idsOf({ vocabulary, merges }: TokenColumn): BpeIds | CharacterIds {
  if (!vocabulary)
    throw new PinGoError('DATA_VOCABULARY', 'The column has no vocabulary.', { hint: 'Import the text again.' })
  const known = made.get(vocabulary)
  if (known) return known
  const ids = merges ? new BpeIds({ vocabulary, merges }) : new CharacterIds(vocabulary)
  made.set(vocabulary, ids)
  return ids
}
