import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BatchInput, type DatasetManifest, type FileRef, writeSafetensors } from '@pingo/wire'
import fc from 'fast-check'
import { MemoryFiles, says } from '../testing.ts'
import { logicalValues } from './convert.ts'
import { openDataset } from './dataset.ts'

/** Shards of the given sizes; sample i holds the bytes i, i + 1 and the class i. */
async function made(sizes: readonly number[], files: MemoryFiles): Promise<DatasetManifest> {
  const shards: DatasetManifest['shards'] = []
  let first = 0
  for (const samples of sizes) {
    const input = Uint8Array.from({ length: samples * 2 }, (_, i) => (first + (i >> 1) + (i & 1)) % 256)
    const target = Int32Array.from({ length: samples }, (_, i) => first + i)
    const file = await files.put(
      writeSafetensors([
        ['x', { dtype: 'uint8', shape: [samples, 2], data: input }],
        ['y', { dtype: 'int32', shape: [samples], data: target }],
      ]),
    )
    shards.push({ file, samples })
    first += samples
  }
  return {
    type: 'pingo/dataset',
    version: 1,
    name: 'made',
    kind: 'tensor',
    samples: first,
    columns: [
      { name: 'x', role: 'input', dtype: 'uint8', shape: [2], scale: 0.5, shift: 1 },
      { name: 'y', role: 'target', dtype: 'int32', shape: [] },
    ],
    shards,
    shuffleSeed: 0,
  }
}

const inputs: BatchInput[] = [
  { name: 'a', column: 'x', dtype: 'float32', shape: [1, 2] },
  { name: 'b', column: 'y', dtype: 'int64', shape: [] },
]

test('a batch holds the asked samples in the asked order, from whatever shards, however small the cache', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 40 }),
      fc.constantFrom(0, 300, 1000, 1 << 20),
      async (sizes, numbers, cacheBytes) => {
        const files = new MemoryFiles()
        const manifest = await made(sizes, files)
        const dataset = openDataset(manifest, files.read, { cacheBytes })
        const indices = Uint32Array.from(numbers, (n) => n % manifest.samples)
        const { a, b } = await dataset.batch(indices, inputs)
        assert.deepEqual(a, Float32Array.from([...indices].flatMap((i) => [i % 256, (i + 1) % 256])))
        assert.deepEqual(b, BigInt64Array.from([...indices], BigInt))
      },
    ),
    { numRuns: 200 },
  )
})

test('each shard is read once while the cache holds them, also when many ask at the same time', async () => {
  const files = new MemoryFiles()
  const dataset = openDataset(await made([10, 10, 10], files), files.read)
  dataset.prefetch([0, 29])
  await Promise.all(Array.from({ length: 20 }, (_, i) => dataset.batch([i, 29 - i], inputs)))
  await dataset.batch([0, 15, 29], inputs)
  assert.equal(files.reads, 3)
})

test('the cache stays within its bytes and drops what was used longest ago', async () => {
  const files = new MemoryFiles()
  const manifest = await made([10, 10, 10], files)
  const dataset = openDataset(manifest, files.read, { cacheBytes: 2 * manifest.shards[0]!.file.bytes })
  for (const index of [0, 10, 0, 20, 0, 10]) await dataset.batch([index], inputs)
  // 0 and 10 are read, 20 drops 10 (0 was used after it), so 10 is read again.
  assert.equal(files.reads, 4)
})

test('a failed read is told to all who wait and tried again by the next', async () => {
  const files = new MemoryFiles()
  let failures = 1
  const flaky = async (ref: FileRef) => {
    if (failures-- > 0) throw new Error('no route')
    return files.read(ref)
  }
  const dataset = openDataset(await made([5], files), flaky)
  const both = await Promise.allSettled([dataset.batch([0], inputs), dataset.batch([1], inputs)])
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal((await dataset.batch([1], inputs)).b![0], 1n)
})

test('who gives up does not stop the read for others, and closing stops it', async () => {
  const files = new MemoryFiles()
  let seen: AbortSignal | undefined
  let release: () => void = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const slow = async (ref: FileRef, signal?: AbortSignal) => {
    seen = signal
    await gate
    return files.read(ref)
  }
  const dataset = openDataset(await made([5], files), slow)
  const controller = new AbortController()
  const first = dataset.batch([0], inputs, controller.signal)
  const second = dataset.batch([0], inputs)
  controller.abort()
  await assert.rejects(first, says('ABORTED'))
  release()
  assert.equal((await second).b![0], 0n)
  assert.equal(seen?.aborted, false)
  dataset.close()
  assert.equal(seen?.aborted, true)
  await assert.rejects(dataset.batch([0], inputs), says('DATASET_CLOSED'))
})

test('what does not fit is named', async () => {
  const files = new MemoryFiles()
  const manifest = await made([5], files)
  const dataset = openDataset(manifest, files.read)
  await assert.rejects(dataset.batch([5], inputs), says('DATASET_INDEX', '5'))
  await assert.rejects(
    dataset.batch([0], [{ name: 'a', column: 'z', dtype: 'float32', shape: [2] }]),
    says('DATASET_COLUMN', "'z'", "'x', 'y'"),
  )
  await assert.rejects(
    dataset.batch([0], [{ name: 'a', column: 'x', dtype: 'float32', shape: [3] }]),
    says('DATA_SHAPE_MISMATCH', "'x' has 2 values", "'a' wants 3"),
  )
  const other = { ...manifest, columns: [{ ...manifest.columns[0]!, dtype: 'float32' as const }] }
  await assert.rejects(
    openDataset(other, files.read).batch([0], inputs.slice(0, 1)),
    says('DATASET_SHARD_INVALID', 'float32'),
  )
  const cut = async (ref: FileRef) => (await files.read(ref)).subarray(0, 50)
  await assert.rejects(openDataset(manifest, cut).batch([0], inputs), says('DATASET_SHARD_INVALID', '50 bytes'))
  assert.throws(() => openDataset({ ...manifest, samples: 6 }, files.read), says('DATASET_INVALID'))
})

test('whole numbers that do not fit are refused rather than bent', async () => {
  const files = new MemoryFiles()
  const data = Float32Array.of(1, 300, 0.5)
  const file = await files.put(writeSafetensors([['x', { dtype: 'float32', shape: [3], data }]]))
  const manifest: DatasetManifest = {
    ...(await made([1], files)),
    samples: 3,
    columns: [{ name: 'x', role: 'input', dtype: 'float32', shape: [] }],
    shards: [{ file, samples: 3 }],
  }
  const dataset = openDataset(manifest, files.read)
  const as = (dtype: BatchInput['dtype'], index: number) =>
    dataset.batch([index], [{ name: 'a', column: 'x', dtype, shape: [] }])
  assert.deepEqual((await as('uint8', 0)).a, Uint8Array.of(1))
  await assert.rejects(as('uint8', 1), says('DATA_DTYPE_MISMATCH', '300'))
  await assert.rejects(as('int32', 2), says('DATA_DTYPE_MISMATCH', '0.5'))
})

test('logical values are stored * scale + shift, or the stored ones', () => {
  assert.deepEqual(logicalValues({ scale: 0.5, shift: 1 }, Uint8Array.of(0, 4)), Float32Array.of(1, 3))
  const stored = Int32Array.of(7)
  assert.equal(logicalValues({}, stored), stored)
})
