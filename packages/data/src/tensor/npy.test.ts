import assert from 'node:assert/strict'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeSafetensors } from '@pingo/wire'
import { importDataset } from '../import.ts'
import type { ImportOptions } from '../import-options.ts'
import { everything, inDirectory, MemoryFiles, says } from '../testing.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const fixture = (name: string) => join(fixtures, name)
const expected = JSON.parse(await readFile(fixture('expected.json'), 'utf8'))

async function load(path: string, options: ImportOptions = {}) {
  const files = new MemoryFiles()
  const { train, test } = await importDataset(path, files, options)
  return { train, test, ...(await everything(train, files)) } as {
    train: typeof train
    test: typeof test
    input: Float32Array
    target: Int32Array
  }
}

/** Rows as texts, sorted, to compare sets of samples. */
function rowSet(values: ArrayLike<number>, size: number): string[] {
  const list = Array.from(values)
  return Array.from({ length: list.length / size }, (_, i) => list.slice(i * size, (i + 1) * size).join()).sort()
}

const close = (actual: readonly number[], wanted: readonly number[]) => {
  assert.equal(actual.length, wanted.length)
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - wanted[i]!) < 1e-9 * Math.max(1, Math.abs(wanted[i]!)), `${value} is not ${wanted[i]}`)
}

test('X.npy with y.npy beside it: numpy values, classes, numpy mean and standard deviation', async () => {
  const { train, input, target } = await load(fixture('X.npy'))
  assert.equal(train.kind, 'tensor')
  assert.deepEqual(train.columns[1]!.classes, ['0', '1', '2'])
  close(train.columns[0]!.mean!, expected.mean)
  close(train.columns[0]!.std!, expected.std)
  const pairs = Array.from(target, (id, i) => [...input.subarray(4 * i, 4 * i + 4), id].join()).sort()
  assert.deepEqual(pairs, expected.x.map((row: number[], i: number) => [...row, i % 3].join()).sort())
})

test('big-endian and half-precision arrays hold the same numbers', async () => {
  const labels = fixture('y.npy')
  assert.deepEqual(
    rowSet((await load(fixture('float32-big-endian.npy'), { labels })).input, 4),
    rowSet(expected.x.flat(), 4),
  )
  assert.deepEqual(
    rowSet((await load(fixture('float16.npy'), { labels })).input, 4),
    rowSet(expected.float16.flat(), 4),
  )
})

test('bytes [n, h, w, 3] become images [3, h, w] seen as value / 255', async () => {
  const { train, input } = await load(fixture('images.npy'))
  assert.equal(train.kind, 'image')
  assert.deepEqual(train.columns[0]!.shape, [3, 5, 4])
  assert.equal(train.columns[0]!.scale, 1 / 255)
  close([...train.columns[0]!.mean!, ...train.columns[0]!.std!], [expected.imageMean, expected.imageStd])
  assert.deepEqual(rowSet(input, 60), rowSet(expected.imagesChw.flat(), 60))
})

test('tokens with a target for each position stay whole numbers', async () => {
  const { train, input, target } = await load(fixture('tokens_inputs.npy'), { labels: fixture('tokens_targets.npy') })
  assert.deepEqual(
    train.columns.map(({ dtype, shape, mean }) => [dtype, shape, mean]),
    [
      ['int32', [6], undefined],
      ['int32', [6], undefined],
    ],
  )
  assert.deepEqual(rowSet(input, 6), rowSet(expected.tokensInputs.flat(), 6))
  assert.deepEqual(rowSet(target, 6), rowSet(expected.tokensTargets.flat(), 6))
})

test('several floats a sample are quantities, and whole numbers are when told so', async () => {
  const { train, target } = await load(fixture('X.npy'), { labels: fixture('quantities.npy') })
  assert.deepEqual([train.columns[1]!.dtype, train.columns[1]!.shape], ['float32', [2]])
  assert.deepEqual(rowSet(target, 2), rowSet(expected.quantities.flat(), 2))
  const { train: other } = await load(fixture('X.npy'), { task: 'regression' })
  assert.deepEqual(
    [other.columns[1]!.dtype, other.columns[1]!.shape, other.columns[1]!.classes],
    ['float32', [], undefined],
  )
  close(other.columns[1]!.mean!, [1])
})

test('a pair of tensors in a safetensors file', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'pair.safetensors')
    const input = { dtype: 'float32', shape: [4, 2], data: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7) } as const
    await writeFile(
      path,
      writeSafetensors([
        ['input', input],
        ['target', { dtype: 'int64', shape: [4], data: BigInt64Array.of(0n, 1n, 0n, 1n) }],
      ]),
    )
    const { train, input: values } = await load(path)
    assert.deepEqual(train.columns[1]!.classes, ['0', '1'])
    assert.deepEqual(rowSet(values, 2), rowSet(input.data, 2))
    await writeFile(
      path,
      writeSafetensors([
        ['input', input],
        ['tarqet', input],
      ]),
    )
    await assert.rejects(load(path), says('DATA_NO_COLUMN', "'target'", "Did you mean 'tarqet'?"))
    await writeFile(path, (await readFile(path)).subarray(0, -1))
    await assert.rejects(load(path), says('DATA_TRUNCATED', 'pair.safetensors'))
  })
})

test('a second file gets the classes of the first, and an unseen class is named', async () => {
  await inDirectory(async (directory) => {
    const { train: like } = await load(fixture('X.npy'))
    const { train } = await load(fixture('X.npy'), { like, seed: 5 })
    assert.deepEqual(train.columns, like.columns)
    const fewer = { ...like, columns: [like.columns[0]!, { ...like.columns[1]!, classes: ['0', '1'] }] }
    await assert.rejects(load(fixture('X.npy'), { like: fewer }), says('DATA_UNKNOWN_CLASS', "'2'", 'sample 2 '))
    await assert.rejects(load(fixture('images.npy'), { like }), says('DATA_UNLIKE', 'uint8 [3,5,4]', 'float32 [4]'))
    await copyFile(fixture('X.npy'), join(directory, 'alone.npy'))
    await assert.rejects(load(join(directory, 'alone.npy')), says('DATA_NO_LABELS', 'labels'))
  })
})

test('what cannot be read is named with the fix', async () => {
  const labels = fixture('y.npy')
  await assert.rejects(load(fixture('fortran.npy'), { labels }), says('DATA_NPY', 'ascontiguousarray'))
  await assert.rejects(load(fixture('strings.npy'), { labels }), says('DATA_DTYPE', '<U1', 'astype'))
  await assert.rejects(
    load(fixture('X.npy'), { labels: fixture('labels.npy') }),
    says('DATA_LABEL_COUNT', '30 samples', '6 labels'),
  )
  await inDirectory(async (directory) => {
    const path = join(directory, 'cut.npy')
    const whole = await readFile(fixture('X.npy'))
    for (const length of [5, 40, 127, whole.length - 1]) {
      await writeFile(path, whole.subarray(0, length))
      await assert.rejects(load(path, { labels, format: 'npy' }), says('DATA_TRUNCATED', 'cut off'))
    }
    const holed = Buffer.from(whole)
    holed.writeDoubleLE(Number.NaN, whole.length - 8)
    await writeFile(path, holed)
    await assert.rejects(load(path, { labels }), says('DATA_NOT_FINITE', 'sample 29'))
    const huge = Buffer.from(whole)
    huge.write('9999999999, 4), }', whole.indexOf('30, 4), }'))
    await writeFile(path, huge)
    await assert.rejects(load(path, { labels }), says('DATA_TRUNCATED'))
  })
})

test('idx: other element types, a missing label file, other label counts, cut off files', async () => {
  await inDirectory(async (directory) => {
    const idx = (type: number, shape: number[], bytes: Buffer) => {
      const header = Buffer.alloc(4 + 4 * shape.length)
      header.set([0, 0, type, shape.length])
      for (const [i, n] of shape.entries()) header.writeUInt32BE(n, 4 + 4 * i)
      return Buffer.concat([header, bytes])
    }
    const floats = Buffer.alloc(24)
    for (let i = 0; i < 6; i++) floats.writeFloatBE(i + 0.5, 4 * i)
    const path = join(directory, 'my-images.idx2')
    await writeFile(path, idx(13, [3, 2], floats))
    await assert.rejects(load(path), says('DATA_NO_LABELS', 'my-labels.idx1'))
    await writeFile(join(directory, 'my-labels.idx1'), idx(8, [3], Buffer.of(7, 9, 7)))
    const { train, input, target } = await load(path)
    assert.deepEqual(rowSet(input, 2), ['0.5,1.5', '2.5,3.5', '4.5,5.5'])
    assert.deepEqual(train.columns[1]!.classes, ['7', '9'])
    assert.deepEqual([...target].sort(), [0, 0, 1])
    await writeFile(join(directory, 'my-labels.idx1'), idx(8, [2], Buffer.of(7, 9)))
    await assert.rejects(load(path), says('DATA_LABEL_COUNT', '3 samples', '2 labels'))
    await writeFile(path, idx(13, [3, 2], floats.subarray(0, 23)))
    await assert.rejects(load(path), says('DATA_TRUNCATED', '3 x 2 float32', '23 bytes'))
    await writeFile(path, idx(99, [3, 2], floats))
    await assert.rejects(load(path, { format: 'idx' }), says('DATA_IDX'))
  })
})
