import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { PinGoError } from '@pingo/wire'
import fc from 'fast-check'
import type { SchemaElement } from 'hyparquet'
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer'
import { importDataset } from '../import.ts'
import type { ImportOptions } from '../import-options.ts'
import { DEFAULT_LIMITS } from '../limits.ts'
import { everything, inDirectory, MemoryFiles, says } from '../testing.ts'
import { ParquetDecoder } from './parquet-decoder.ts'

const rows = 300
const column = {
  a: Array.from({ length: rows }, (_, i) => i / 4),
  big: Array.from({ length: rows }, (_, i) => BigInt(i * 1000)),
  colour: Array.from({ length: rows }, (_, i) => ['red', 'blue', 'green'][i % 3]!),
  flag: Array.from({ length: rows }, (_, i) => i % 2 === 0),
  label: Array.from({ length: rows }, (_, i) => (i % 4) + 5),
}
const columnData: ColumnSource[] = [
  { name: 'a', data: column.a, type: 'DOUBLE' },
  { name: 'big', data: column.big, type: 'INT64' },
  { name: 'colour', data: column.colour, type: 'STRING' },
  { name: 'flag', data: column.flag, type: 'BOOLEAN' },
  { name: 'label', data: column.label, type: 'INT32' },
]
const wanted = Array.from({ length: rows }, (_, i) => {
  const oneHot = ['blue', 'green', 'red'].map((c) => (column.colour[i] === c ? 1 : 0))
  return [column.a[i], i * 1000, ...oneHot, column.flag[i] ? 1 : 0, i % 4].join()
}).sort()

async function load(bytes: Uint8Array, options: ImportOptions = {}) {
  let loaded: { train: Awaited<ReturnType<typeof importDataset>>['train']; samples: string[] } | undefined
  await inDirectory(async (directory) => {
    const path = join(directory, 'table.parquet')
    await writeFile(path, bytes)
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

const written = (options: Partial<Parameters<typeof parquetWriteBuffer>[0]> = {}) =>
  new Uint8Array(parquetWriteBuffer({ columnData, ...options }))

test('reads what hyparquet-writer writes: every type, codec, several pages and row groups', async () => {
  const compressors = {
    GZIP: (input: Uint8Array) => gzipSync(input),
    BROTLI: (input: Uint8Array) => brotliCompressSync(input),
    ZSTD: (input: Uint8Array) => zstdCompressSync(input),
  }
  const forms: Parameters<typeof written>[0][] = [
    {},
    { codec: 'UNCOMPRESSED' },
    { codec: 'GZIP', compressors },
    { codec: 'BROTLI', compressors },
    { codec: 'ZSTD', compressors },
    { rowGroupSize: 70 },
    { pageSize: 200, rowGroupSize: 111 },
  ]
  for (const form of forms) {
    const { train, samples } = await load(written(form))
    assert.deepEqual(train.columns[0]!.fields, ['a', 'big', 'colour=blue', 'colour=green', 'colour=red', 'flag'])
    assert.deepEqual(train.columns[1]!.classes, ['5', '6', '7', '8'])
    assert.deepEqual(samples, wanted, JSON.stringify(form))
  }
})

test('lists of numbers are vectors, missing values are null', async () => {
  const y: ColumnSource = { name: 'y', data: [0.5, 1.5], type: 'DOUBLE' }
  const v: ColumnSource = {
    name: 'v',
    data: [
      [1, 2],
      [3, 4],
    ],
  }
  const schema: SchemaElement[] = [
    { name: 'root', num_children: 2 },
    { name: 'v', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'OPTIONAL', type: 'DOUBLE' },
    { name: 'y', repetition_type: 'REQUIRED', type: 'DOUBLE' },
  ]
  for (const bytes of [
    written({ columnData: [v, y] }),
    written({ columnData: [v, { name: 'y', data: y.data }], schema }),
  ]) {
    const { train, samples } = await load(bytes)
    assert.deepEqual(train.columns[0]!.fields, ['v[0]', 'v[1]'])
    assert.deepEqual(samples, ['1,2,0.5', '3,4,1.5'])
  }
  const x: ColumnSource = { name: 'x', data: [1, null, 3] as never, type: 'DOUBLE', nullable: true }
  const holes = written({ columnData: [x, { name: 'y', data: [0.5, 1.5, 2.5], type: 'DOUBLE' }] })
  await assert.rejects(load(holes), says('DATA_MISSING_VALUE', 'row 2', "column 'x'"))
  assert.deepEqual((await load(holes, { missing: 'mean' })).samples, ['1,0.5', '2,1.5', '3,2.5'])
})

test('columns that are no numbers are named, and may be left out', async () => {
  const dated = written({
    columnData: [...columnData, { name: 'when', data: column.a.map((d) => new Date(d)), type: 'TIMESTAMP' }],
  })
  await assert.rejects(load(dated, { target: 'label' }), says('DATA_DTYPE', "'when'", 'TIMESTAMP', 'features'))
  assert.deepEqual((await load(dated, { features: ['a'], target: 'label' })).train.columns[0]!.fields, ['a'])
})

test('a file that is cut off, or says more than it holds, is refused before it is unpacked', async () => {
  const whole = written()
  for (const length of [3, 50, whole.length - 1, whole.length - 30])
    await assert.rejects(load(whole.subarray(0, length), { format: 'parquet' }), says('DATA_PARQUET', 'Download'))
  await assert.rejects(load(whole, { limits: { groupBytes: 100 } }), says('DATA_TOO_LARGE', 'row group 0'))
  await assert.rejects(load(whole, { limits: { samples: 100 } }), says('DATA_TOO_LARGE', '300 rows'))
  await assert.rejects(load(whole, { limits: { columns: 2 } }), says('DATA_TOO_LARGE', '5 columns'))
})

test('a damaged file is refused by a PinGoError, whatever the damage', async () => {
  const whole = written({ pageSize: 300 })
  await inDirectory(async (directory) => {
    const path = join(directory, 'table.parquet')
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 9), fc.nat(255)), { minLength: 1, maxLength: 4 })
    const damaged = async (changes: [number, number][]) => {
      const bytes = Buffer.from(whole)
      for (const [at, value] of changes) bytes[at] = value
      await writeFile(path, bytes)
    }
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        await damaged(changes)
        let decoder: ParquetDecoder | undefined
        try {
          decoder = await ParquetDecoder.open(path, DEFAULT_LIMITS)
          for (const { name } of decoder.outline.columns) await decoder.column(0, name)
        } catch (error) {
          if (!(error instanceof PinGoError)) throw error
        } finally {
          await decoder?.close()
        }
      }),
      // A fixed seed: some damages make the decoder count to billions, which only the worker's limits end.
      { numRuns: 300, seed: 4 },
    )
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        await damaged(changes)
        try {
          await importDataset(path, new MemoryFiles())
        } catch (error) {
          if (!(error instanceof PinGoError)) throw error
        }
      }),
      { numRuns: 6 },
    )
  })
})

test('a column that unpacks to far more values than it has ends the decoder, not the process', async () => {
  const sides = Array.from({ length: 1000 }, (_, i) => (i < 600 ? 'left' : 'right'))
  const bytes = Buffer.from(
    written({
      codec: 'UNCOMPRESSED',
      columnData: [
        { name: 'side', data: sides, type: 'STRING' },
        { name: 'y', data: sides.map((_, i) => i / 2), type: 'DOUBLE' },
      ],
    }),
  )
  // The indices into the dictionary are two runs, 600 of 0 and 400 of 1; the first is made 2^27 - 1 long.
  const runs = bytes.indexOf('01b00900a00601', 'hex')
  assert.ok(runs > 0)
  Buffer.from('feffff7f0000', 'hex').copy(bytes, runs + 1)
  await assert.rejects(load(bytes, { limits: { groupBytes: 1 << 20 } }), says('DATA_TOO_LARGE', '64 MB', 'damaged'))
})

test('the extension does not matter', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'data.bin')
    await writeFile(path, written())
    assert.equal((await importDataset(path, new MemoryFiles())).train.samples, rows)
    assert.ok((await readFile(path)).length > 0)
  })
})
