import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DatasetManifestSchema } from '@pingo/wire'
import fc from 'fast-check'
import { importDataset } from './import.ts'
import type { ImportOptions } from './import-options.ts'
import { everything, inDirectory, MemoryFiles, says } from './testing.ts'

const numbers = (count: number) => `x,y\n${Array.from({ length: count }, (_, i) => `${i},${i / 2}`).join('\n')}\n`

test('splits and shuffles hold every sample once, whatever the sizes, the same for the same seed', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'n.csv')
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 400 }),
        fc.constantFrom(0, 0.1, 0.5, 0.9),
        fc.nat(1000),
        fc.constantFrom(1, 1 << 20),
        fc.constantFrom(1024, 3000, 4 << 20),
        async (count, fraction, seed, memoryBytes, shardBytes) => {
          await writeFile(path, numbers(count))
          const files = new MemoryFiles()
          const { train, test } = await importDataset(path, files, {
            test: fraction,
            seed,
            shardBytes,
            limits: { memoryBytes },
          })
          DatasetManifestSchema.parse(train)
          const wanted = fraction === 0 ? 0 : Math.min(count - 1, Math.max(1, Math.round(count * fraction)))
          assert.equal(test?.samples ?? 0, wanted)
          const inputs = [
            ...(await everything(train, files)).input!,
            ...(test ? (await everything(test, files)).input! : []),
          ] as number[]
          assert.deepEqual(
            inputs.sort((a, b) => a - b),
            Array.from({ length: count }, (_, i) => i),
          )
          for (const { file } of train.shards.slice(0, -1)) assert.ok(file.bytes <= shardBytes + 500)
          const again = await importDataset(path, new MemoryFiles(), { test: fraction, seed, shardBytes })
          assert.deepEqual(again, test ? { train, test } : { train })
        },
      ),
      { numRuns: 60 },
    )
  })
})

test('another seed gives another order and another split', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'n.csv')
    await writeFile(path, numbers(200))
    const order = async (seed: number) => {
      const files = new MemoryFiles()
      const { train, test } = await importDataset(path, files, { test: 0.2, seed })
      return [(await everything(train, files)).input, (await everything(test!, files)).input]
    }
    const [a, b] = [await order(1), await order(2)]
    assert.notDeepEqual(a[0], b[0])
    assert.notDeepEqual(a[1], b[1])
  })
})

test('mean and deviation are those of the training split', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'n.csv')
    await writeFile(path, numbers(101))
    const files = new MemoryFiles()
    const { train, test } = await importDataset(path, files, { test: 0.3, seed: 4 })
    const values = [...(await everything(train, files)).input!] as number[]
    const mean = values.reduce((a, b) => a + b) / values.length
    const std = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)
    assert.ok(Math.abs(train.columns[0]!.mean![0]! - mean) < 1e-12)
    assert.ok(Math.abs(train.columns[0]!.std![0]! - std) < 1e-12)
    assert.deepEqual(test!.columns, train.columns)
  })
})

test('progress counts up to all samples and bytes', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'n.csv')
    const text = numbers(5000)
    await writeFile(path, text)
    const seen: number[] = []
    let last: object = {}
    await importDataset(path, new MemoryFiles(), {
      onProgress: (progress) => {
        seen.push(progress.samples)
        last = progress
      },
    })
    assert.deepEqual(last, { samples: 5000, bytes: text.length, totalBytes: text.length })
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    )
  })
})

test('an abort or a failing sink ends the import at once and leaves no temporary file', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'n.csv')
    await writeFile(path, numbers(200_000))
    const limits = { memoryBytes: 1 }
    const controller = new AbortController()
    let temporary: string[] = []
    const stopped = importDataset(path, new MemoryFiles(), {
      limits,
      signal: controller.signal,
      onProgress: ({ samples }) => {
        if (samples < 150_000 || controller.signal.aborted) return
        controller.abort()
        temporary = readdirSync(tmpdir())
      },
    })
    await assert.rejects(stopped, says('ABORTED'))
    assert.equal(temporary.length, 1)
    assert.deepEqual(await readdir(tmpdir()), [])

    const full = { put: () => Promise.reject(new Error('the disk is full')) }
    await assert.rejects(importDataset(path, full, { limits }), /the disk is full/)
    assert.deepEqual(await readdir(tmpdir()), [])
  })
})

test('a folder with train.csv and test.csv gives both, with the fields of the first', async () => {
  await inDirectory(async (directory) => {
    await writeFile(join(directory, 'train.csv'), 'a,c,label\n1,u,x\n2,v,y\n')
    await writeFile(join(directory, 'test.csv'), 'a,c,label\n5,v,y\n')
    const { train, test } = await importDataset(directory, new MemoryFiles(), { name: 'both' })
    assert.deepEqual([train.name, train.samples, test?.name, test?.samples], ['both', 2, 'both-test', 1])
    assert.deepEqual(test?.columns, train.columns)
    await assert.rejects(
      importDataset(directory, new MemoryFiles(), { test: 0.5 }),
      says('DATA_OPTION', 'test split already'),
    )
  })
})

test('formats are found by content where the extension does not tell', async () => {
  await inDirectory(async (directory) => {
    const kind = async (name: string, text: string | Buffer) => {
      await writeFile(join(directory, name), text)
      return (await importDataset(join(directory, name), new MemoryFiles(), { context: 4 })).train.kind
    }
    assert.equal(await kind('iris.data', '5.1,3.5,setosa\n4.9,3.0,virginica\n'), 'tabular')
    assert.equal(await kind('rows', '{"a":1,"label":"x"}\n{"a":2,"label":"y"}\n'), 'tabular')
    assert.equal(await kind('poem', 'the moon, the sea\nand nothing\nmore\n'), 'text')
    await assert.rejects(kind('x.npz', Buffer.from('PK\x03\x04 a zip archive')), says('DATA_FORMAT', 'zip', 'Unpack'))
    await assert.rejects(kind('x.json', '[{"a":1}]'), says('DATA_FORMAT', 'JSON array'))
    await assert.rejects(kind('x.bin', Buffer.from([1, 2, 0, 3, 0])), says('DATA_FORMAT', 'not known'))
  })
})

test('files packed by gzip are read, within the limit of their unpacked bytes', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'n.csv.gz')
    const text = numbers(1000)
    await writeFile(path, gzipSync(text))
    const { train } = await importDataset(path, new MemoryFiles())
    assert.deepEqual([train.name, train.samples, train.columns[0]!.fields], ['n', 1000, ['x']])
    await assert.rejects(
      importDataset(path, new MemoryFiles(), { limits: { fileBytes: text.length - 1 } }),
      says('DATA_TOO_LARGE', 'unpacks'),
    )
    await writeFile(path, gzipSync(text).subarray(0, -9))
    await assert.rejects(importDataset(path, new MemoryFiles()), says('DATA_TRUNCATED', 'gzip'))
    await writeFile(path, Buffer.concat([gzipSync(text).subarray(0, 200), Buffer.alloc(500, 7)]))
    await assert.rejects(importDataset(path, new MemoryFiles()), says('DATA_TRUNCATED', 'gzip'))

    const idx = (shape: number[], bytes: Buffer) => {
      const header = Buffer.alloc(4 + 4 * shape.length)
      header.set([0, 0, 8, shape.length])
      for (const [i, n] of shape.entries()) header.writeUInt32BE(n, 4 + 4 * i)
      return gzipSync(Buffer.concat([header, bytes]))
    }
    await writeFile(join(directory, 'train-images-idx3-ubyte.gz'), idx([3, 2, 2], Buffer.alloc(12, 9)))
    await writeFile(join(directory, 'train-labels-idx1-ubyte.gz'), idx([3], Buffer.of(1, 0, 1)))
    const images = await importDataset(join(directory, 'train-images-idx3-ubyte.gz'), new MemoryFiles())
    assert.deepEqual([images.train.kind, images.train.samples], ['image', 3])
  })
})

test('options that make no sense are refused before anything is read', async () => {
  const refused = (options: object) =>
    assert.rejects(importDataset('nowhere.csv', new MemoryFiles(), options as ImportOptions), says('DATA_OPTION'))
  await refused({ test: 1 })
  await refused({ test: Number.NaN })
  await refused({ seed: -1 })
  await refused({ format: 'xls' })
  await refused({ shardBytes: 1 })
  await refused({ missing: 'zero' })
  await refused({ limits: { nothing: 1 } })
  await refused({ channels: 2 })
})

test('a missing file, a folder of nothing, too many samples', async () => {
  await inDirectory(async (directory) => {
    await assert.rejects(
      importDataset(join(directory, 'gone.csv'), new MemoryFiles()),
      says('DATA_FILE_MISSING', 'gone.csv', 'Check the path'),
    )
    await mkdir(join(directory, 'nothing'))
    await assert.rejects(importDataset(join(directory, 'nothing'), new MemoryFiles()), says('DATA_NO_IMAGES'))
    await writeFile(join(directory, 'n.csv'), numbers(100))
    const limited = (limits: object) => importDataset(join(directory, 'n.csv'), new MemoryFiles(), { limits })
    await assert.rejects(limited({ samples: 50 }), says('DATA_TOO_LARGE', '100 samples'))
    await assert.rejects(limited({ datasetBytes: 50 }), says('DATA_TOO_LARGE', '800 bytes'))
    await assert.rejects(limited({ fileBytes: 50 }), says('DATA_TOO_LARGE', 'limits.fileBytes'))
  })
})
