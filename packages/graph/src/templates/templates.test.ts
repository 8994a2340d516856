import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BatchInput, isPinGoError, type Tensor } from '@pingo/wire'
import { buildProgram, checkModel, type LossKind, type Model, templates } from '../index.ts'
import { Random } from '../templates/random.ts'
import { tensorOf } from '../tensors.ts'
import { losses } from '../testing/train.ts'

const random = new Random(3)
const BATCH = 24
const classOf = (i: number) => i % 3
const column = (name: string, dtype: BatchInput['dtype'], shape: readonly number[]): BatchInput => ({
  name,
  column: name,
  dtype,
  shape: [...shape],
})
const classes = tensorOf(
  'int32',
  [BATCH],
  Array.from({ length: BATCH }, (_, i) => classOf(i)),
)

/** Samples of three classes: noise on a pattern of their own. */
function patterns(shape: number[]): Tensor {
  const size = shape.reduce((a, n) => a * n, 1)
  const kinds = [0, 1, 2].map(() => Float32Array.from({ length: size }, () => random.normal()))
  const values = Array.from({ length: BATCH }, (_, i) =>
    Float32Array.from(kinds[classOf(i)]!, (x) => x + 0.3 * random.normal()),
  )
  return tensorOf(
    'float32',
    [BATCH, ...shape],
    values.flatMap((row) => [...row]),
  )
}

/** Texts that count up: the next token follows from this one. */
const counting = (context: number, shift: number): Tensor =>
  tensorOf(
    'int32',
    [BATCH, context],
    Array.from({ length: BATCH * context }, (_, i) => (Math.floor(i / context) + (i % context) + shift) % 5),
  )

interface Case {
  name: string
  model: Model
  input: Tensor
  target: Tensor
  loss: LossKind
  /** Steps, and the part of the first loss that the last one must fall below. */
  steps: number
  below: number
  rate?: number
}

const image = [1, 8, 8]
const row = [6]
const images = patterns(image)
const rows = patterns(row)
const CASES: Case[] = [
  {
    name: 'mlp',
    model: templates.mlp({ inputs: row, classes: 3, hidden: [16] }),
    input: rows,
    target: classes,
    loss: 'cross_entropy',
    steps: 30,
    below: 0.3,
  },
  {
    name: 'cnn',
    model: templates.cnn({ shape: image, classes: 3, channels: [4, 8], dense: 16 }),
    input: images,
    target: classes,
    loss: 'cross_entropy',
    steps: 30,
    below: 0.3,
  },
  {
    name: 'resnet',
    model: templates.resnet({ shape: image, classes: 3, width: 4, blocks: [1, 1] }),
    input: images,
    target: classes,
    loss: 'cross_entropy',
    steps: 30,
    below: 0.3,
  },
  {
    name: 'vit',
    model: templates.vit({ shape: image, classes: 3, layers: 2, heads: 2, width: 16, patch: 2 }),
    input: images,
    target: classes,
    loss: 'cross_entropy',
    steps: 40,
    below: 0.3,
  },
  {
    name: 'gpt',
    model: templates.gpt({ vocabulary: 5, context: 6, layers: 1, heads: 2, width: 16 }),
    input: counting(6, 0),
    target: counting(6, 1),
    loss: 'cross_entropy',
    steps: 60,
    below: 0.3,
  },
  {
    name: 'lstm on text',
    model: templates.lstm({ tokens: { context: 6, vocabulary: 5 }, outputs: 5, everyToken: true, width: 16 }),
    input: counting(6, 0),
    target: counting(6, 1),
    loss: 'cross_entropy',
    steps: 60,
    below: 0.3,
  },
  {
    name: 'lstm on numbers',
    model: templates.lstm({ shape: [4, 3], outputs: 3, width: 12, layers: 1 }),
    input: patterns([4, 3]),
    target: classes,
    loss: 'cross_entropy',
    steps: 60,
    below: 0.3,
  },
  {
    name: 'autoencoder of images',
    model: templates.autoencoder({ shape: image, latent: 4, channels: [4, 8] }),
    input: images,
    target: images,
    loss: 'mse',
    steps: 80,
    below: 0.4,
  },
  {
    name: 'autoencoder of rows',
    model: templates.autoencoder({ shape: row, latent: 3, hidden: [16] }),
    input: rows,
    target: rows,
    loss: 'mse',
    steps: 80,
    below: 0.3,
  },
]

for (const each of CASES)
  test(`the template ${each.name} learns: its loss falls below ${each.below} of the first`, async () => {
    const { model, input, target, loss, steps, below, rate = 1e-2 } = each
    assert.deepEqual(checkModel(model).blocking, [])
    const optimizer = { kind: 'adamw' as const }
    const program = buildProgram(model, {
      loss,
      optimizer,
      batch: BATCH,
      inputs: [column('input', input.dtype as BatchInput['dtype'], input.shape.slice(1))],
      target: column('target', target.dtype as BatchInput['dtype'], target.shape.slice(1)),
    })
    const found = await losses(program, optimizer, rate, steps, { input, target })
    assert.ok(found.at(-1)! < below * found[0]!, `from ${found[0]} to ${found.at(-1)}`)
  })

test('sizes are those of the papers', () => {
  const parameters = (model: Model) => checkModel(model).parameters
  // torchvision's ResNet-18 with a 3×3 stem and 10 classes; its running statistics are not parameters.
  assert.equal(parameters(templates.resnet({ shape: [3, 32, 32], classes: 10, width: 64 })), 11_173_962)
  // ViT-Tiny/4 on 32×32 without a class token: 12 blocks of 444,864, patches, positions, norm and head.
  assert.equal(
    parameters(templates.vit({ shape: [3, 32, 32], classes: 10, width: 192, layers: 12, patch: 4 })),
    12 * 444_864 + (48 * 192 + 192) + 64 * 192 + 384 + 1930,
  )
  // GPT of the benchmark C.
  assert.equal(parameters(templates.gpt({ vocabulary: 65, context: 64 })), 809_856)
})

test('a template that cannot be built says what it wants', () => {
  const refused = (make: () => Model, word: string) =>
    assert.throws(make, (error: unknown) => isPinGoError(error, 'TEMPLATE_INVALID') && error.message.includes(word))
  refused(() => templates.gpt({ vocabulary: 5, context: 6, heads: 3, width: 16 }), 'divide')
  refused(() => templates.vit({ shape: [1, 8, 8], classes: 2, heads: 5 }), 'divide')
  refused(() => templates.cnn({ shape: [1, 2, 2], classes: 2 }), '4 pixels')
  refused(() => templates.resnet({ shape: [64], classes: 2 }), '[64]')
  refused(() => templates.autoencoder({ shape: [1, 7, 7] }), '7 × 7')
  refused(() => templates.lstm({ outputs: 2 }), 'tokens')
  refused(() => templates.mlp({ inputs: [2] }), 'classes')
})
