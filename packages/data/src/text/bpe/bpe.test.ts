import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Tokenizer } from '@huggingface/tokenizers'
import { ColumnSchema } from '@pingo/wire'
import fc from 'fast-check'
import { SourceFile } from '../../files.ts'
import { importDataset } from '../../import.ts'
import type { ImportOptions } from '../../import-options.ts'
import { DEFAULT_LIMITS } from '../../limits.ts'
import { everything, inDirectory, MemoryFiles, says } from '../../testing.ts'
import { textCodec, tokensOf, tokenText } from '../codec.ts'
import { BYTE_CHARACTERS, bytesOfToken, safeLength, wordsOf } from './alphabet.ts'
import { tokenizerJson } from './bpe-ids.ts'
import { MAX_TOKEN_BYTES, trainMerges, WordCounts } from './train.ts'

const BOOK = readFileSync(new URL('../../../../../examples/text/moby-dick.txt', import.meta.url), 'utf8')

function trained(text: string, size: number) {
  const words = new WordCounts()
  words.add(text)
  return trainMerges(words.counts, size)
}
const learnt = trained(BOOK, 600)
const codec = textCodec(learnt)
/** Any text that UTF-8 can hold. */
const anyText = fc.string({ unit: 'binary', maxLength: 200 })
const likeText = fc.string({
  unit: fc.constantFrom(..."ab tion the\n\t.,!'s 1é😀日\u0301\u00a0\r  ".split('')).filter((c) => c.isWellFormed()),
  maxLength: 200,
})

test('any text comes back from its tokens, whole and token by token', () => {
  fc.assert(
    fc.property(fc.oneof(anyText, likeText), (text) => {
      const ids = codec.encode(text)
      assert.equal(codec.decode(ids), text)
      const { next, end } = codec.decoder()
      const parts = Array.from(ids, next)
      for (const part of parts) assert.ok(part.isWellFormed())
      assert.equal(parts.join('') + end(), text)
      assert.ok(ids.length <= Buffer.byteLength(text), 'never more tokens than bytes')
    }),
    { numRuns: 500 },
  )
  assert.equal(codec.decode(codec.encode('\ufeffabc')), '\ufeffabc', 'a mark of byte order inside a text stays')
})

test('Hugging Face’s tokenizers read the vocabulary as a tokenizer.json and agree on tokens and text', () => {
  const theirs = new Tokenizer(JSON.parse(JSON.stringify(tokenizerJson(learnt))), {})
  fc.assert(
    fc.property(likeText, (text) => {
      const { ids } = theirs.encode(text, { add_special_tokens: false })
      assert.deepEqual([...codec.encode(text)], ids)
      // Their decoder tidies spaces in front of punctuation unless it is told not to.
      if (ids.length) assert.equal(theirs.decode(ids, { clean_up_tokenization_spaces: false }), text)
    }),
    { numRuns: 300 },
  )
})

/** Byte-pair encoding by the book: every merge in its order over all the word. */
function byTheBook(word: string, merges: readonly string[]): string[] {
  let tokens = Array.from(new TextEncoder().encode(word), (byte) => BYTE_CHARACTERS[byte]!)
  for (const merge of merges) {
    const [left, right] = merge.split(' ')
    const next: string[] = []
    for (let i = 0; i < tokens.length; i++)
      if (tokens[i] === left && tokens[i + 1] === right) {
        next.push(left! + right!)
        i++
      } else next.push(tokens[i]!)
    tokens = next
  }
  return tokens
}

test('the tokens of a text are those of applying the merges in their order', () => {
  for (const word of new Set(wordsOf(BOOK.slice(0, 30_000))))
    assert.deepEqual(
      Array.from(codec.encode(word), (id) => learnt.vocabulary[id]),
      byTheBook(word, learnt.merges),
    )
})

/** Learning by the book: all pairs are counted anew for each merge. */
function learnByTheBook(text: string, size: number): string[] {
  const counts = new Map<string, number>()
  for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1)
  const vocabulary = [...BYTE_CHARACTERS]
  const merges: string[] = []
  while (vocabulary.length < size) {
    const pairs = new Map<string, number>()
    for (const [word, count] of counts) {
      const tokens = byTheBook(word, merges)
      for (let i = 0; i + 1 < tokens.length; i++) {
        const pair = `${tokens[i]} ${tokens[i + 1]}`
        pairs.set(pair, (pairs.get(pair) ?? 0) + count)
      }
    }
    const key = (pair: string) => pair.split(' ').map((token) => vocabulary.indexOf(token)) as [number, number]
    const order = [...pairs]
      .filter(([pair, count]) => count >= 2 && !vocabulary.includes(pair.replace(' ', '')))
      .sort(([a, n], [b, m]) => m - n || key(a)[0] - key(b)[0] || key(a)[1] - key(b)[1])
    if (!order[0]) break
    merges.push(order[0][0])
    vocabulary.push(order[0][0].replace(' ', ''))
  }
  return merges
}

test('what is merged is the most frequent pair of the text as it stands, ties by the lower ids', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', 'é'), minLength: 5, maxLength: 120 }),
      fc.integer({ min: 257, max: 275 }),
      (text, size) => {
        assert.deepEqual(trained(text, size).merges, learnByTheBook(text, size))
      },
    ),
    { numRuns: 200 },
  )
})

test('a vocabulary is the bytes and what was merged, bounded, and the same each time', () => {
  assert.deepEqual(trained(BOOK, 600), learnt)
  assert.equal(learnt.vocabulary.length, 600)
  assert.equal(learnt.merges.length, 344)
  assert.equal(new Set(learnt.vocabulary).size, 600)
  assert.deepEqual(learnt.vocabulary.slice(0, 256), BYTE_CHARACTERS)
  assert.ok(learnt.vocabulary.includes('Ġthe'))
  const bytes = Buffer.byteLength(BOOK)
  assert.ok(codec.encode(BOOK).length < 0.55 * bytes, 'words take fewer tokens than letters')
  const long = trained(`${'-'.repeat(250)} `.repeat(10), 400)
  assert.ok(long.vocabulary.every((token) => token.length <= MAX_TOKEN_BYTES))
  assert.deepEqual(trained('abc', 400).merges, [], 'nothing occurs twice')
  ColumnSchema.parse({ name: 'input', role: 'input', dtype: 'int32', shape: [4], ...learnt })
})

test('the byte alphabet is one to one, and tokens are told as text', () => {
  assert.equal(new Set(BYTE_CHARACTERS).size, 256)
  for (const [byte, character] of BYTE_CHARACTERS.entries()) assert.deepEqual([...bytesOfToken(character)!], [byte])
  assert.equal(bytesOfToken(' '), undefined)
  assert.equal(BYTE_CHARACTERS[0x20], 'Ġ')
  assert.equal(tokenText(learnt, learnt.vocabulary.indexOf('Ġthe')), ' the')
  assert.equal(tokenText(learnt, 0xc3), '�')
  assert.equal(tokenText({ vocabulary: ['a'] }, 0), 'a')
  assert.throws(() => textCodec({ vocabulary: ['a'], merges: [] }).encode('a'), says('DATA_VOCABULARY'))
  assert.throws(() => textCodec({}), says('DATA_VOCABULARY'))
})

test('a text may be cut where it is safe: its words are those of the whole', () => {
  fc.assert(
    fc.property(likeText, fc.nat(200), (text, at) => {
      const safe = safeLength(text.slice(0, at))
      assert.deepEqual([...wordsOf(text.slice(0, safe)), ...wordsOf(text.slice(safe))], wordsOf(text))
    }),
    { numRuns: 500 },
  )
})

async function load(text: string, options: ImportOptions) {
  const files = new MemoryFiles()
  let result: Awaited<ReturnType<typeof importDataset>> | undefined
  await inDirectory(async (directory) => {
    const path = join(directory, 'book.txt')
    await writeFile(path, text)
    result = await importDataset(path, files, options)
  })
  return { ...result!, files }
}

test('a text imported with bpe: samples of tokens, targets one token on, merges with the input', async () => {
  const { train, test: tested, files } = await load(BOOK, { tokenizer: 'bpe', vocabulary: 400, context: 16, test: 0.2 })
  const [input, target] = train.columns
  assert.equal(input!.vocabulary!.length, 400)
  assert.equal(input!.merges!.length, 144)
  assert.equal(target!.merges, undefined)
  assert.deepEqual(target!.vocabulary, input!.vocabulary)
  const own = textCodec(input!)
  const ids = own.encode(BOOK)
  const samples = Math.floor((ids.length - Math.round(ids.length * 0.2) - 1) / 16)
  assert.equal(train.samples, samples)
  assert.ok(tested!.samples > 0.15 * samples)
  const rows = await everything(train, files)
  const expected = Array.from(
    { length: samples },
    (_, i) => `${ids.slice(16 * i, 16 * i + 16)}→${ids.slice(16 * i + 1, 16 * i + 17)}`,
  )
  const found = Array.from(
    { length: samples },
    (_, i) => `${rows.input!.slice(16 * i, 16 * i + 16)}→${rows.target!.slice(16 * i, 16 * i + 16)}`,
  )
  assert.deepEqual(found.sort(), expected.sort())
  // A second file follows the first's vocabulary, whatever characters it holds.
  const { train: second } = await load('Ω größer 日本 '.repeat(40), { like: train })
  assert.deepEqual(second.columns, train.columns)
})

test('a text longer than a piece of the file gives the tokens of the whole', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'long.txt')
    const text = 'the whale é'.repeat(150_000)
    await writeFile(path, text)
    const file = await SourceFile.open(path, { ...DEFAULT_LIMITS })
    const parts: number[] = []
    for await (const { tokens } of tokensOf(file, learnt)) for (const id of tokens) parts.push(id)
    await file.close()
    assert.deepEqual(Int32Array.from(parts), codec.encode(text))
    // Without white space there is no safe place to cut; nothing is lost all the same.
    await writeFile(path, '日本'.repeat(600_000))
    const endless = await SourceFile.open(path, { ...DEFAULT_LIMITS })
    const ids: number[] = []
    for await (const { tokens } of tokensOf(endless, learnt)) for (const id of tokens) ids.push(id)
    await endless.close()
    assert.equal(codec.decode(ids), '日本'.repeat(600_000))
  })
})

test('wrong options are refused', async () => {
  await assert.rejects(load('abc', { tokenizer: 'bpe', vocabulary: 256 }), says('DATA_OPTION', '257', '256'))
  await assert.rejects(load('abc', { tokenizer: 'bpe', vocabulary: 60_000 }), says('DATA_OPTION', '50000'))
  await assert.rejects(load('abc', { vocabulary: 300 }), says('DATA_OPTION', "'bpe'"))
  await assert.rejects(load('abc', { tokenizer: 'words' as 'bpe' }), says('DATA_OPTION', "'char' or 'bpe'"))
  await assert.rejects(load('short', { tokenizer: 'bpe' }), says('DATA_EMPTY', 'tokens', '64 + 1'))
})
