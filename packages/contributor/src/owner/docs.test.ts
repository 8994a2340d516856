import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { readAssignment, WORD_NAMES, WORDS } from './words.ts'

test('the table of settings has each word once, in order, with the example of the help', async () => {
  const text = await readFile(new URL('../../../../docs/contribute.md', import.meta.url), 'utf8')
  const table = text.slice(text.indexOf('## Settings'), text.indexOf('## Commands'))
  const rows = [...table.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)].map(([, word, example]) => [word, example])
  assert.deepEqual(
    rows,
    WORD_NAMES.map((name) => [name, WORDS[name].example]),
  )
  const machine = { name: 'm', cores: 8, memoryBytes: 2 ** 34, freeMemoryBytes: 2 ** 33, freeDiskBytes: 2 ** 40 }
  for (const [word, example] of rows) readAssignment(`${word}=${example}`, machine)
})
