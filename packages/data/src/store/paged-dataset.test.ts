import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type BatchInput, type DatasetManifest, writeSafetensors } from '@pingo/wire'
import fc from 'fast-check'
import { MemoryFiles, says } from '../testing.ts'
import { openPagedDataset, type ReadPart } from './paged-dataset.ts'

/** A row of the large column fills a page by more than half, so that each is a page of its own. */
const WIDE = 70_000

/** Shards of the given sizes; sample i holds `width` bytes i, i + 1, … and the class i. */
async function made(sizes: readonly number[], width: number) {
  const files = new MemoryFiles()
  const shards: DatasetManifest['shards'] = []
  let first = 0
  for (const samples of sizes) {
    const input = Uint8Array.from({ length: samples * width }, (_, i) => first + Math.floor(i / width) + (i % width))
    const target = Int32Array.from({ length: samples }, (_, i) => first + i)
    const file = await files.put(
      writeSafetensors([
        ['x', { dtype: 'uint8', shape: [samples, width], data: input }],
        ['y', { dtype: 'int32', shape: [samples], data: target }],
      ]),
    )
    shards.push({ file, samples })
    first += samples
  }
  const manifest: DatasetManifest = {
    type: 'pingo/dataset',
    version: 1,
    name: 'made',
    kind: 'tensor',
    samples: first,
    columns: [
      { name: 'x', role: 'input', dtype: 'uint8', shape: [width] },
      { name: 'y', role: 'target', dtype: 'int32', shape: [] },
    ],
    shards,
    shuffleSeed: 0,
  }
  const inputs: BatchInput[] = [
    { name: 'a', column: 'x', dtype: 'uint8', shape: [width] },
    { name: 'b', column: 'y', dtype: 'int64', shape: [] },
  ]
  const reads: { start: number; bytes: number }[] = []
  const readPart: ReadPart = async (file, start, into) => {
    await nextTurn()
    reads.push({ start, bytes: into.byteLength })
    into.set(files.files.get(file.cid)!.subarray(start, start + into.byteLength))
  }
  return { manifest, inputs, reads, readPart }
}

const right = (indices: ArrayLike<number>, width: number, batch: Record<string, unknown>) => {
  const rows = Array.from(indices, (index) => Uint8Array.from({ length: width }, (_, i) => index + i))
  assert.ok(Buffer.concat(rows).equals(batch.a as Uint8Array))
  assert.deepEqual(batch.b, BigInt64Array.from(Array.from(indices), BigInt))
}

test('batches hold the asked samples in the asked order, many at once, however small the memory', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.array(fc.nat(), { maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      fc.constantFrom(1, 3, WIDE),
      fc.constantFrom(0, 200, 3 * WIDE, 1 << 20),
      async (sizes, asked, width, cacheBytes) => {
        const { manifest, inputs, readPart } = await made(sizes, width)
        const dataset = openPagedDataset(manifest, readPart, { cacheBytes })
        const batches = asked.map((numbers) => Uint32Array.from(numbers, (n) => n % manifest.samples))
        dataset.prefetch(batches.at(-1)!)
        const read = await Promise.all(batches.map((indices) => dataset.batch(indices, inputs)))
        for (const [i, indices] of batches.entries()) right(indices, width, read[i]!)
      },
    ),
    { numRuns: 40 },
  )
})

test('a page that is in memory is not read again, one that made room is, and no more is read than asked for', async () => {
  const { manifest, inputs, reads, readPart } = await made([10, 10], WIDE)
  const dataset = openPagedDataset(manifest, readPart, { cacheBytes: 4 * WIDE })
  const wide = () => reads.filter(({ bytes }) => bytes === WIDE).length
  for (const index of [0, 1, 10, 0, 1, 10]) await dataset.batch([index], inputs)
  assert.equal(wide(), 3)
  for (const index of [2, 3, 4, 0]) await dataset.batch([index], inputs)
  assert.equal(wide(), 7)
  // two headers with their lengths, the small columns once
  assert.ok(reads.length - wide() <= 8, `${reads.length - wide()} small reads`)
  assert.ok(reads.every(({ bytes }) => bytes <= WIDE))
})

test('it reads ahead no farther than its memory goes', async () => {
  const { manifest, readPart } = await made([20], WIDE)
  assert.equal(openPagedDataset(manifest, readPart, { cacheBytes: 8 * WIDE }).lookahead, 3)
  assert.equal(openPagedDataset((await made([20], 2)).manifest, readPart).lookahead, 512)
})

test('what was prefetched is not read again', async () => {
  const { manifest, inputs, reads, readPart } = await made([10, 10], WIDE)
  const dataset = openPagedDataset(manifest, readPart)
  dataset.prefetch([0, 15, 99])
  await dataset.batch([15, 0], inputs)
  assert.equal(reads.filter(({ bytes }) => bytes === WIDE).length, 2)
})

test('a failed read is told and tried again; closing ends it', async () => {
  const { manifest, inputs, readPart } = await made([10], 3)
  let fails = 1
  const dataset = openPagedDataset(manifest, async (...o) => {
    if (fails-- > 0) throw new Error('no disk')
    await readPart(...o)
  })
  await assert.rejects(dataset.batch([3], inputs), /no disk/)
  right([3], 3, await dataset.batch([3], inputs))
  await assert.rejects(dataset.batch([10], inputs), says('DATASET_INDEX'))
  await assert.rejects(dataset.batch([0], [{ ...inputs[0]!, column: 'z' }]), says('DATASET_COLUMN'))
  await assert.rejects(dataset.batch([0], inputs, AbortSignal.abort()), says('ABORTED'))
  dataset.close()
  await assert.rejects(dataset.batch([3], inputs), says('DATASET_CLOSED'))
})

test('a shard that is not what the manifest says is refused', async () => {
  const { manifest, inputs, readPart } = await made([10], 3)
  const other = { ...manifest, columns: manifest.columns.map((column) => ({ ...column, dtype: 'int32' as const })) }
  await assert.rejects(openPagedDataset(other, readPart).batch([0], inputs.slice(1)), says('DATASET_SHARD_INVALID'))
  const noise: ReadPart = async (_, start, into) => void into.fill(start === 0 ? 0 : 1).fill(9, 0, start === 0 ? 1 : 0)
  await assert.rejects(openPagedDataset(manifest, noise).batch([0], inputs), says('DATASET_SHARD_INVALID'))
  const short = { ...manifest, samples: 11 }
  assert.throws(() => openPagedDataset(short, readPart), says('DATASET_INVALID'))
})
