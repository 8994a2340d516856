import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { importDataset } from '../import.ts'
import type { ImportOptions } from '../import-options.ts'
import { everything, inDirectory, MemoryFiles, says } from '../testing.ts'

async function load(text: string, options: ImportOptions = {}) {
  let loaded: { train: Awaited<ReturnType<typeof importDataset>>['train']; samples: string[] } | undefined
  await inDirectory(async (directory) => {
    const path = join(directory, 'rows.jsonl')
    await writeFile(path, text)
    const files = new MemoryFiles()
    const { train } = await importDataset(path, files, options)
    const { input, target } = await everything(train, files)
    const size = train.columns[0]!.shape[0]!
    const samples = Array.from(target as Int32Array, (id, i) =>
      [...(input as Float32Array).subarray(i * size, (i + 1) * size), id].join(),
    )
    loaded = { train, samples: samples.sort() }
  })
  return loaded!
}

test('objects of numbers, texts, booleans and lists', async () => {
  const { train, samples } = await load(
    '{"a":1.5,"tag":"u","ok":true,"v":[1,2],"label":"x"}\n\n{"label":"y","a":2,"v":[3,4],"ok":false,"tag":"w"}',
  )
  assert.deepEqual(train.columns[0]!.fields, ['a', 'tag=u', 'tag=w', 'ok', 'v[0]', 'v[1]'])
  assert.deepEqual(samples, ['1.5,1,0,1,1,2,0', '2,0,1,0,3,4,1'])
  const again = await load('{"tag":"w","v":[9,8],"ok":false,"a":0,"label":"x"}', { like: train })
  assert.deepEqual(again.samples, ['0,0,1,0,9,8,0'])
})

test('lists of values are rows without names', async () => {
  const { train, samples } = await load('[1,2,"x"]\n[3,4,"y"]\n')
  assert.deepEqual(train.columns[0]!.fields, ['column1', 'column2'])
  assert.deepEqual(samples, ['1,2,0', '3,4,1'])
})

test('an absent key is a missing value, null too', async () => {
  const text = '{"a":1,"label":"x"}\n{"label":"y"}\n{"a":null,"label":"x"}\n{"a":3,"label":"y"}\n'
  await assert.rejects(load(text), says('DATA_MISSING_VALUE', 'line 2', "column 'a'"))
  assert.deepEqual((await load(text, { missing: 'mean' })).samples, ['1,0', '2,0', '2,1', '3,1'])
})

test('mistakes are named with their line', async () => {
  await assert.rejects(load('{"a":1,"label":2}\n{"a":1,\n'), says('DATA_JSON', 'line 2'))
  await assert.rejects(load('{"a":1,"label":2}\n5\n'), says('DATA_JSON', 'line 2'))
  await assert.rejects(load('{"a":{"b":1},"label":2}\n'), says('DATA_NESTED', 'line 1', "'a'", 'flatten'))
  await assert.rejects(load('[1,2,3]\n[1,2]\n'), says('DATA_ROW_RAGGED', 'line 2'))
  await assert.rejects(load('{"v":[1,2],"label":0}\n{"v":[1],"label":1}\n'), says('DATA_ROW_RAGGED', "'v'"))
  await assert.rejects(load('\n\n'), says('DATA_EMPTY'))
  await assert.rejects(
    load(`{"a":"${'x'.repeat(500)}"}`, { limits: { cellChars: 100 } }),
    says('DATA_TOO_LARGE', 'line 1'),
  )
})
