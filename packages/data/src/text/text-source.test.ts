import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { importDataset } from '../import.ts'
import type { ImportOptions } from '../import-options.ts'
import { everything, inDirectory, MemoryFiles, says } from '../testing.ts'

/** The samples of each split as texts [input, target]. */
async function load(text: string | Buffer, options: ImportOptions = {}) {
  let loaded:
    | { manifest: Awaited<ReturnType<typeof importDataset>>['train']; train: string[][]; test: string[][] }
    | undefined
  await inDirectory(async (directory) => {
    const path = join(directory, 'book.txt')
    await writeFile(path, text)
    const files = new MemoryFiles()
    const { train, test } = await importDataset(path, files, options)
    const samples = async (manifest: typeof train | undefined) => {
      if (!manifest) return []
      const { input, target } = await everything(manifest, files)
      const [column] = manifest.columns
      const context = column!.shape[0]!
      const words = (ids: Int32Array, i: number) =>
        Array.from(ids.subarray(i * context, (i + 1) * context), (id) => column!.vocabulary![id]).join('')
      return Array.from({ length: manifest.samples }, (_, i) => [
        words(input as Int32Array, i),
        words(target as Int32Array, i),
      ]).sort()
    }
    loaded = { manifest: train, train: await samples(train), test: await samples(test) }
  })
  return loaded!
}

test('characters sorted by code point are the vocabulary; targets are the text one character on', async () => {
  const { manifest, train } = await load('hello wörld 😀!', { context: 4 })
  assert.equal(manifest.kind, 'text')
  assert.deepEqual(manifest.columns[0]!.vocabulary, [' ', '!', 'd', 'e', 'h', 'l', 'o', 'r', 'w', 'ö', '😀'])
  assert.deepEqual(manifest.columns[1]!.vocabulary, manifest.columns[0]!.vocabulary)
  assert.deepEqual(
    train,
    [
      ['hell', 'ello'],
      ['o wö', ' wör'],
      ['rld ', 'ld 😀'],
    ].sort(),
  )
})

test('samples cover the text in steps of the context, and the test split is its last part with no character in both', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀', '\n'), minLength: 40, maxLength: 200 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(0, 0.25, 0.5),
      async (text, context, fraction) => {
        const { train, test } = await load(text, { context, test: fraction })
        const characters = [...text]
        const cut = characters.length - Math.round(characters.length * fraction)
        const cutUp = (part: string[]) => {
          const samples: string[][] = []
          for (let i = 0; i + context + 1 <= part.length; i += context)
            samples.push([part.slice(i, i + context).join(''), part.slice(i + 1, i + context + 1).join('')])
          return samples.sort()
        }
        assert.deepEqual(train, cutUp(characters.slice(0, cut)))
        assert.deepEqual(test, cutUp(characters.slice(cut)))
      },
    ),
    { numRuns: 60 },
  )
})

test('a text longer than one piece of the file is read whole', async () => {
  const text = 'abcdefghij€'.repeat(200_000)
  const { train } = await load(text, { context: 1000 })
  assert.equal(train.length, Math.floor((2_200_000 - 1) / 1000))
})

test('a second text uses the vocabulary of the first, and a character it lacks is named', async () => {
  const { manifest: like } = await load('abcabcabc', { context: 3 })
  const { manifest } = await load('ccbbaacc', { like })
  assert.deepEqual(manifest.columns, like.columns)
  await assert.rejects(load('abcaxbc', { like }), says('DATA_UNKNOWN_CHARACTER', 'character 5', '"x"', 'U+0078'))
})

test('what is not UTF-8 is named by its byte, too short texts by their length', async () => {
  const bad = Buffer.concat([Buffer.from('ab'.repeat(1_000_000)), Buffer.of(0xc3, 0x28), Buffer.from('cd')])
  await assert.rejects(load(bad), says('DATA_NOT_UTF8', 'byte 2000001'))
  // A character that begins in one piece of 1 MiB and goes wrong in the next.
  const across = Buffer.concat([Buffer.alloc((1 << 20) - 1, 'a'), Buffer.of(0xe2, 0x28, 0xa1)])
  await assert.rejects(load(across), says('DATA_NOT_UTF8', `byte ${1 << 20}`))
  await assert.rejects(
    load(Buffer.concat([Buffer.from('abc'), Buffer.of(0xe2, 0x82)])),
    says('DATA_NOT_UTF8', 'cut off'),
  )
  await assert.rejects(load('short'), says('DATA_EMPTY', '5 characters', '64 + 1'))
  await assert.rejects(load('long enough', { context: 0 }), says('DATA_OPTION', 'context'))
})
