import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DatasetManifest, writeSafetensors } from '@pingo/wire'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { importDataset } from './import.ts'
import type { ImportOptions } from './import-options.ts'
import { type InputBatch, type InputOptions, importInputs } from './inputs.ts'
import { inDirectory, MemoryFiles, says } from './testing.ts'

const fixtures = join(import.meta.dirname, '../fixtures')

async function collect(path: string, like: DatasetManifest, options?: InputOptions): Promise<InputBatch[]> {
  const batches: InputBatch[] = []
  for await (const batch of importInputs(path, like, options)) batches.push(batch)
  return batches
}

async function trained(path: string, text: string | undefined, options?: ImportOptions): Promise<DatasetManifest> {
  if (text !== undefined) await writeFile(path, text)
  return (await importDataset(path, new MemoryFiles(), options)).train
}

test('table rows in the order of the file, with or without the target, from CSV, JSONL and Parquet', async () => {
  await inDirectory(async (directory) => {
    const like = await trained(join(directory, 'train.csv'), 'size,colour,label\n1,red,b\n2,blue,a\n3,red,b\n')
    const path = (name: string) => join(directory, name)
    await writeFile(path('with.csv'), 'label,colour,size\nb,blue,7\na,red,8\n?,red,9\n')
    await writeFile(path('without.csv'), 'colour,size\nblue,7\nred,8\nred,9\n')
    await writeFile(path('nameless.csv'), '7,blue\n8,red\n9,red\n')
    await writeFile(
      path('rows.jsonl'),
      '{"size":7,"colour":"blue"}\n{"size":8,"colour":"red"}\n{"colour":"red","size":9}\n',
    )
    const columnData = [
      { name: 'colour', data: ['blue', 'red', 'red'] },
      { name: 'size', data: [7, 8, 9] },
    ]
    await writeFile(path('rows.parquet'), new Uint8Array(parquetWriteBuffer({ columnData })))
    for (const name of ['with.csv', 'without.csv', 'nameless.csv', 'rows.jsonl', 'rows.parquet']) {
      const batches = await collect(path(name), like, { batchRows: 2 })
      assert.deepEqual(
        batches.map(({ rows, first }) => [rows, first]),
        [
          [2, 0],
          [1, 2],
        ],
        name,
      )
      assert.deepEqual(
        batches[0]!.inputs.input,
        { dtype: 'float32', shape: [2, 3], data: Float32Array.of(7, 1, 0, 8, 0, 1) },
        name,
      )
      assert.deepEqual(batches[1]!.inputs.input!.data, Float32Array.of(9, 0, 1), name)
    }
    await writeFile(path('bad.csv'), 'colour,size\nblue,7\nred,\n')
    await assert.rejects(collect(path('bad.csv'), like), says('DATA_MISSING_VALUE', 'line 3', "'size'"))
    const [filled] = await collect(path('bad.csv'), like, { missing: 'mean' })
    assert.deepEqual(filled!.inputs.input!.data, Float32Array.of(7, 1, 0, 2, 0, 1))
    await writeFile(path('bad.csv'), 'colour,weight\nblue,7\n')
    await assert.rejects(collect(path('bad.csv'), like), says('DATA_NO_COLUMN', "'size'"))
    await writeFile(path('bad.csv'), 'x,1,2,3,4\ny,1,2,3,4\n')
    await assert.rejects(collect(path('bad.csv'), like), says('DATA_NO_HEADER', '5 columns', 'size, colour'))
  })
})

test('a table of one column needs no separator', async () => {
  await inDirectory(async (directory) => {
    const like = await trained(join(directory, 'train.csv'), 'x,y\n1,2.5\n2,4.5\n')
    await writeFile(join(directory, 'new'), 'x\n5\n6\n')
    const [batch] = await collect(join(directory, 'new'), like)
    assert.deepEqual(batch!.inputs.input!.data, Float32Array.of(5, 6))
  })
})

test('a table without names is found by places, whether it has the target or not', async () => {
  await inDirectory(async (directory) => {
    const like = await trained(join(directory, 'train.csv'), '3,10,20\n4,30,40\n3,50,60\n', { target: 'column1' })
    assert.deepEqual(like.columns[0]!.fields, ['column2', 'column3'])
    await writeFile(join(directory, 'with.csv'), '4,70,80\n3,90,100\n')
    await writeFile(join(directory, 'without.csv'), '70,80\n90,100\n')
    for (const name of ['with.csv', 'without.csv']) {
      const [batch] = await collect(join(directory, name), like)
      assert.deepEqual(batch!.inputs.input!.data, Float32Array.of(70, 80, 90, 100), name)
    }
  })
})

test('an image and folders of images, stored or as the model sees them', async () => {
  await inDirectory(async (directory) => {
    const pictures = join(directory, 'pictures')
    for (const [name, file] of [
      ['a', 'colour.png'],
      ['b', 'palette.png'],
    ] as const) {
      await mkdir(join(pictures, name), { recursive: true })
      await copyFile(join(fixtures, 'images', file), join(pictures, name, file))
    }
    const like = await trained(pictures, undefined, { channels: 1, imageSize: [6, 8] })
    const image = join(fixtures, 'images/grey.png')
    const [stored] = await collect(image, like)
    assert.deepEqual([stored!.inputs.input!.dtype, stored!.inputs.input!.shape], ['uint8', [1, 1, 6, 8]])
    const [logical] = await collect(image, like, { values: 'logical' })
    assert.equal(logical!.inputs.input!.dtype, 'float32')
    assert.deepEqual(
      logical!.inputs.input!.data,
      Float32Array.from(stored!.inputs.input!.data as Uint8Array, (v) => v / 255),
    )
    assert.equal((await collect(pictures, like))[0]!.rows, 2)
    await mkdir(join(directory, 'none'))
    await assert.rejects(collect(join(directory, 'none'), like), says('DATA_NO_IMAGES'))
    await assert.rejects(collect(join(fixtures, 'X.npy'), like), says('DATA_UNLIKE', 'uint8 [1,6,8]'))
  })
})

test('arrays without labels: npy, idx and safetensors', async () => {
  await inDirectory(async (directory) => {
    const like = await trained(join(fixtures, 'X.npy'), undefined)
    const x = JSON.parse(await readFile(join(fixtures, 'expected.json'), 'utf8')).x as number[][]
    const [batch] = await collect(join(fixtures, 'X.npy'), like)
    assert.deepEqual(batch!.inputs.input, { dtype: 'float32', shape: [30, 4], data: Float32Array.from(x.flat()) })
    const path = join(directory, 'new.safetensors')
    const data = Float32Array.from({ length: 8 }, (_, i) => i)
    await writeFile(path, writeSafetensors([['input', { dtype: 'float32', shape: [2, 4], data }]]))
    assert.deepEqual((await collect(path, like))[0]!.inputs.input!.data, data)
  })
})

test('a text in windows of the context, the last one padded', async () => {
  await inDirectory(async (directory) => {
    const like = await trained(join(directory, 'train.txt'), 'abcabcabcabc', { context: 4 })
    await writeFile(join(directory, 'prompt'), 'cabca')
    const [batch] = await collect(join(directory, 'prompt'), like)
    assert.deepEqual(batch, {
      inputs: { input: { dtype: 'int32', shape: [2, 4], data: Int32Array.of(2, 0, 1, 2, 0, 0, 0, 0) } },
      rows: 2,
      first: 0,
      lengths: [4, 1],
    })
    const small = await collect(join(directory, 'prompt'), like, { batchRows: 1 })
    assert.deepEqual(
      small.map(({ first, lengths }) => [first, lengths]),
      [
        [0, [4]],
        [1, [1]],
      ],
    )
    await writeFile(join(directory, 'prompt'), 'cabx')
    await assert.rejects(collect(join(directory, 'prompt'), like), says('DATA_UNKNOWN_CHARACTER', 'character 4', '"x"'))
  })
})

test('empty and missing files are named', async () => {
  await inDirectory(async (directory) => {
    const like = await trained(join(directory, 'train.csv'), 'x,y\n1,2.5\n2,4.5\n')
    await assert.rejects(collect(join(directory, 'gone.csv'), like), says('DATA_FILE_MISSING', 'gone.csv'))
    await writeFile(join(directory, 'empty.csv'), 'x,y\n')
    await assert.rejects(collect(join(directory, 'empty.csv'), like), says('DATA_EMPTY'))
    const controller = new AbortController()
    controller.abort()
    await assert.rejects(collect(join(directory, 'train.csv'), like, { signal: controller.signal }), says('ABORTED'))
  })
})
