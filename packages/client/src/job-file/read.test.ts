import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isPinGoError, PinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { MAX_JOB_FILE_BYTES, parseJob, parseJobFile, readJobFile } from './read.ts'

const FILE = '/jobs/iris/job.yaml'
const parse = (text: string) => parseJobFile(text, { file: FILE })
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
/** A job file that is right but for what is added to it. */
const with_ = (lines: string) => `version: 1\nmodel: { template: mlp }\ndata: { train: iris.csv }\n${lines}\n`

function messageOf(text: string): string {
  try {
    parse(text)
  } catch (error) {
    assert.ok(isPinGoError(error, 'JOB_FILE_INVALID'), String(error))
    return error.message
  }
  return assert.fail(`was taken: ${text}`)
}

test('a short job file gets all defaults', () => {
  const job = parse(with_(''))
  assert.equal(job.name, 'iris', 'job.yaml is named after its folder')
  assert.deepEqual(job.data.train, { path: '/jobs/iris/iris.csv' })
  assert.equal(job.resultFolder, '/jobs/iris/result-iris')
  assert.deepEqual(job.optimizer, { kind: 'adamw', weightDecay: 0.01, clip: 1 })
  assert.deepEqual([job.learningRate, job.batch, job.epochs, job.seed, job.roundMs], [1e-3, undefined, 3, 0, 4000])
  assert.deepEqual(job.schedule, { kind: 'cosine', warmup: 0.02, floor: 0.02 })
  assert.deepEqual(job.contributors, { min: 1, max: 10_000 })
})

test('every setting arrives', () => {
  const job = parse(`
version: 1
name: all of it
type: train
model: { onnx: ../model.onnx, loss: mse, output: y }
data:
  train: data/train.csv
  test: data/test.csv
  target: price
  features: [a, b]
  format: csv
  task: regression
  normalize: standard
  missing: mean
train:
  optimizer: momentum
  lr: 1e-2
  batch: 32
  epochs: 2.5
  seed: 7
  schedule: linear
  warmup: 0.1
  weightDecay: 0.1
  momentum: 0.8
  clip: 2
  round: 500ms
  outer: { lr: 1, momentum: 0 }
resources: { contributors: 2..20, memory: 512Mi.. }
service: { deadline: 20m, trust: 0 }
notify: { webhook: "https://example.org/hook" }
output: out
`)
  assert.deepEqual(job.model, { onnx: '/jobs/model.onnx' })
  assert.deepEqual(job.data.test, { path: '/jobs/iris/data/test.csv' })
  assert.deepEqual(job.optimizer, { kind: 'sgd', momentum: 0.8, weightDecay: 0.1, clip: 2 })
  assert.deepEqual([job.loss, job.output, job.epochs, job.roundMs, job.deadlineMs], ['mse', 'y', 2.5, 500, 1_200_000])
  assert.deepEqual(job.contributors, { min: 2, max: 20 })
  assert.equal(job.memoryBytes, 512 * 2 ** 20)
  assert.deepEqual(job.outer, { learningRate: 1, momentum: 0 })
  assert.equal(job.resultFolder, '/jobs/iris/out')
  assert.ok(!JSON.stringify(job.spec).includes('/jobs'), 'the record tells nothing of the machine')
  assert.deepEqual((job.spec as { data: { train: string } }).data.train, 'train.csv')
})

test('losses with settings, schedules, optimisers, groups and adapters arrive', () => {
  const job = parse(`
version: 1
model:
  onnx: model.onnx
  loss: { kind: cross_entropy, ignoreIndex: -100, smoothing: 0.1 }
  lora: { rank: 8, alpha: 16, match: ["*.attn.*"] }
data: { train: data.csv }
train:
  optimizer: muon
  batch: 32
  accumulate: 4
  schedule: wsd
  decay: 0.3
  clipValue: 0.5
  freeze: ["backbone.*"]
  groups: [{ match: [head.*], rate: 10, weightDecay: 0 }]
`)
  assert.deepEqual(job.loss, { kind: 'cross_entropy', ignoreIndex: -100, smoothing: 0.1 })
  assert.deepEqual(job.lora, { rank: 8, alpha: 16, match: ['*.attn.*'] })
  assert.deepEqual(job.optimizer, {
    kind: 'muon',
    momentum: undefined,
    weightDecay: 0.01,
    clipValue: 0.5,
    groups: [{ match: ['head.*'], rate: 10, weightDecay: 0 }],
  })
  assert.deepEqual([job.accumulate, job.freeze], [4, ['backbone.*']])
  assert.deepEqual(job.schedule, { kind: 'wsd', warmup: 0.02, floor: 0.02, decay: 0.3 })
  const steps = parse(with_('train: { optimizer: nesterov, schedule: step, milestones: [0.3, 0.9], gamma: 0.5 }'))
  assert.deepEqual(steps.schedule, { kind: 'step', warmup: 0.02, floor: 0.02, milestones: [0.3, 0.9], gamma: 0.5 })
  assert.deepEqual(steps.optimizer, { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0 })
  assert.deepEqual(parse(with_('train: { optimizer: lion, lr: 1e-4 }')).optimizer, { kind: 'lion', weightDecay: 0.01 })
})

test('JSON is read as well, an object too', () => {
  const value = { version: 1 as const, model: { template: 'mlp' as const }, data: { train: `pingo://${CID}` } }
  assert.deepEqual(parse(JSON.stringify(value)).data.train, { cid: CID })
  assert.deepEqual(parseJob(value).data.train, { cid: CID })
  assert.throws(() => parseJob({ ...value, epochs: 3 } as never), {
    message: "job: unknown setting 'epochs'; 'epochs' belongs in train.",
  })
})

const SENTENCES: [what: string, text: string, message: string][] = [
  ['a typo', with_('train:\n  epoch: 3'), "job.yaml:5:3: unknown setting 'epoch' in train; did you mean 'epochs'?"],
  [
    'another case',
    with_('train: { Batch: 3 }'),
    "job.yaml:4:10: unknown setting 'Batch' in train; did you mean 'batch'?",
  ],
  ['a section', with_('resource: {}'), "job.yaml:4:1: unknown setting 'resource'; did you mean 'resources'?"],
  ['a wrong place', with_('epochs: 3'), "job.yaml:4:1: unknown setting 'epochs'; 'epochs' belongs in train."],
  [
    'nothing near',
    with_('zzzzzz: 3'),
    "job.yaml:4:1: unknown setting 'zzzzzz'; known are version, name, type, model, data, train, resources, service, notify, output.",
  ],
  [
    'gamma for a cosine',
    with_('train: { gamma: 0.5 }'),
    "job.yaml:4:10: 'train.gamma' is an option of the schedule step, not of cosine; remove it.",
  ],
  [
    'a batch that cannot be cut',
    with_('train: { batch: 10, accumulate: 4 }'),
    "job.yaml:4:33: 'train.accumulate' (4) must divide 'train.batch' (10).",
  ],
  [
    'a loss that is none',
    'version: 1\nmodel: { template: mlp, loss: hubert }\ndata: { train: d.csv }\n',
    "job.yaml:2:31: 'model.loss' must be one of cross_entropy, bce, mse, l1, huber, smooth_l1, kl, cosine, output, or one with its settings such as {kind: huber, delta: 0.5}, not 'hubert'; did you mean 'huber'?",
  ],
  [
    'a setting of another loss',
    'version: 1\nmodel: { template: mlp, loss: { kind: mse, delta: 1 } }\ndata: { train: d.csv }\n',
    "job.yaml:2:44: unknown setting 'delta' in model.loss; it must be one of cross_entropy, bce, mse, l1, huber, smooth_l1, kl, cosine, output, or one with its settings such as {kind: huber, delta: 0.5}.",
  ],
  [
    'a wrong word',
    with_('train: { optimizer: adma }'),
    "job.yaml:4:21: 'train.optimizer' must be one of sgd, momentum, nesterov, adam, adamw, lion, adafactor, muon, not 'adma'; did you mean 'adam'?",
  ],
  [
    'text for a number',
    with_('train: { lr: fast }'),
    "job.yaml:4:14: 'train.lr' must be a number above 0 and at most 100, not 'fast'.",
  ],
  [
    'too small',
    with_('train: { epochs: 0 }'),
    "job.yaml:4:18: 'train.epochs' must be a number above 0 and at most 100000, not 0.",
  ],
  [
    'not whole',
    with_('train: { batch: 1.5 }'),
    "job.yaml:4:17: 'train.batch' must be a whole number from 1 to 65536, not 1.5.",
  ],
  [
    'no duration',
    with_('train: { round: 4 }'),
    "job.yaml:4:17: 'train.round' must be a duration such as 4s, 20m or 1h, not 4.",
  ],
  ['too short a round', with_('train: { round: 1ms }'), "job.yaml:4:17: 'train.round' must be from 100ms to 10m."],
  [
    'no version',
    'model: { template: mlp }\ndata: { train: x }',
    "job.yaml:1:1: the setting 'version' is missing; it must be 1.",
  ],
  ['a later version', with_('').replace('1', '2'), "job.yaml:1:10: 'version' must be 1, not 2."],
  ['no data', 'version: 1\nmodel: { template: mlp }', "job.yaml:1:1: the setting 'data' is missing."],
  [
    'no model',
    'version: 1\nmodel: {}\ndata: { train: x }',
    "job.yaml:2:8: 'model' needs either a template (mlp, cnn, resnet, gpt, vit, lstm, autoencoder) or the path of an onnx file.",
  ],
  [
    'two models',
    'version: 1\nmodel: { template: mlp, onnx: m.onnx }\ndata: { train: x }',
    "job.yaml:2:8: 'model' needs either a template (mlp, cnn, resnet, gpt, vit, lstm, autoencoder) or the path of an onnx file.",
  ],
  [
    'a size for a vocabulary of characters',
    'version: 1\nmodel: { template: gpt }\ndata: { train: x, vocabulary: 512 }',
    "job.yaml:3:19: 'data.vocabulary' is a size for data.tokenizer: bpe; characters are counted.",
  ],
  [
    'an option of one other template',
    'version: 1\nmodel: { template: cnn, patch: 3 }\ndata: { train: x }',
    "job.yaml:2:25: 'model.patch' is an option of the vit template; remove it.",
  ],
  [
    'heads of a vit',
    'version: 1\nmodel: { template: vit, heads: 5 }\ndata: { train: x }',
    "job.yaml:2:32: 'model.heads' must divide the width (96), not be 5.",
  ],
  [
    'an autoencoder of classes',
    'version: 1\nmodel: { template: autoencoder, loss: cross_entropy }\ndata: { train: x }',
    "job.yaml:2:39: 'model.loss' of an autoencoder is one of mse, l1, huber, smooth_l1, cosine, not cross_entropy: it tells the numbers of its input.",
  ],
  [
    'an option of another template',
    'version: 1\nmodel: { template: cnn, hidden: [3] }\ndata: { train: x }',
    "job.yaml:2:25: 'model.hidden' is an option of the templates mlp, autoencoder; remove it.",
  ],
  [
    'heads that do not divide',
    'version: 1\nmodel: { template: gpt, width: 10, heads: 3 }\ndata: { train: x }',
    "job.yaml:2:43: 'model.heads' must divide the width (10), not be 3.",
  ],
  [
    'a scalar for a section',
    with_('train: fast'),
    "job.yaml:4:8: 'train' must hold settings (optimizer, lr, batch, epochs, seed, schedule, decay, milestones, gamma, warmup, weightDecay, momentum, clip, clipValue, accumulate, freeze, groups, round, outer), not 'fast'.",
  ],
  [
    'momentum for adam',
    with_('train: { momentum: 0.9 }'),
    "job.yaml:4:10: 'train.momentum' is an option of sgd, momentum, nesterov and muon, not of adamw; remove it.",
  ],
  [
    'a falling range',
    with_('resources: { contributors: 9..2 }'),
    "job.yaml:4:28: 'resources.contributors' must rise within 1..10000, for example 2..20, not '9..2'.",
  ],
  [
    'no CID',
    'version: 1\nmodel: { template: mlp }\ndata: { train: "pingo://abc" }',
    "job.yaml:3:16: 'data.train' is not a content address: write pingo:// and the CID that 'pingo data ls' shows.",
  ],
  [
    'a fraction of a dataset in the network',
    `version: 1\nmodel: { template: mlp }\ndata: { train: "pingo://${CID}", test: 0.2 }`,
    "job.yaml:3:93: a dataset in the network is not split: let 'data.test' name another one (pingo://CID).",
  ],
  [
    'import settings for a dataset in the network',
    `version: 1\nmodel: { template: mlp }\ndata: { train: "pingo://${CID}", target: y }`,
    "job.yaml:3:87: 'data.target' is settled when data are imported; remove it for pingo://CID.",
  ],
  [
    'not honoured: cpu',
    with_('resources: { cpu: 0.25..8 }'),
    "job.yaml:4:14: 'resources.cpu' is not honoured yet: a contributor gives what its owner lends; remove it.",
  ],
  [
    'not honoured: class',
    with_('service: { class: idle }'),
    "job.yaml:4:12: 'service.class' is not honoured yet: every job runs at the same class; remove it.",
  ],
  [
    'not honoured: retries',
    with_('service: { retries: 5 }'),
    "job.yaml:4:12: 'service.retries' is not honoured yet: lost work is always leased again; remove it.",
  ],
  [
    'not honoured: trust',
    with_('service: { trust: 0.99 }'),
    "job.yaml:4:19: 'service.trust' above 0 is not honoured yet: contributions are not checked; set it to 0 or remove it.",
  ],
  [
    'not honoured: price',
    with_('price: { max: "12 PINGO" }'),
    "job.yaml:4:1: 'price' is not honoured yet: jobs cost nothing; remove it.",
  ],
  [
    'not honoured: privacy',
    with_('privacy: { encrypt: true }'),
    "job.yaml:4:1: 'privacy' is not a setting of its own: write private: true in data, which encrypts them, and remove it.",
  ],
  ...['infer', 'sweep', 'federated'].map((type): [string, string, string] => [
    `not honoured: ${type}`,
    with_(`type: ${type}`),
    `job.yaml:4:7: jobs of type '${type}' are not honoured yet; only 'train' is.`,
  ]),
  ['a double key', 'version: 1\nversion: 1', 'job.yaml:2:1: map keys must be unique.'],
  [
    'cut off',
    'version: 1\nmodel: { template: ml',
    'job.yaml:2:22: flow map in block collection must be sufficiently indented and end with a }.',
  ],
  ['nothing', '', 'job.yaml:1:1: the job file must hold settings (version, model, data, …).'],
  ['a list', '- version: 1', 'job.yaml:1:1: the job file must hold settings (version, model, data, …).'],
  [
    'an alias',
    'version: 1\nmodel: &m { template: mlp }\ndata: *m',
    'job.yaml: write each value out; anchors and aliases are not read.',
  ],
]

for (const [what, text, message] of SENTENCES)
  test(`${what}: ${message}`, () => {
    assert.equal(messageOf(text), message)
  })

test('further problems are told too, in the order of the file', () => {
  try {
    parse(with_('train:\n  lr: fast\n  epoch: 1'))
    assert.fail('was taken')
  } catch (error) {
    const { message, hint, details } = error as PinGoError
    assert.match(message, /^job\.yaml:5:7: 'train\.lr'/)
    assert.match(hint!, /^Also: job\.yaml:6:3: unknown setting 'epoch'/)
    assert.deepEqual([details?.line, details?.column, details?.path], [5, 7, 'train.lr'])
  }
})

test('a file that cannot be read says why', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-job-'))
  try {
    await assert.rejects(readJobFile(join(folder, 'no.yaml')), {
      code: 'JOB_FILE_UNREADABLE',
      message: /does not exist/,
    })
    await assert.rejects(readJobFile(folder), { message: /is a folder/ })
    const file = join(folder, 'job.yaml')
    await writeFile(file, Buffer.from([0xff, 0xfe, 0x00, 0x80]))
    await assert.rejects(readJobFile(file), { message: /is not UTF-8 text/ })
    await writeFile(file, 'x'.repeat(MAX_JOB_FILE_BYTES + 1))
    await assert.rejects(readJobFile(file), { message: /more than the 262144 that are read/ })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('whatever stands in a file, it is taken or refused with a sentence', () => {
  const base = with_('train: { lr: 1e-3, epochs: 3 }\nresources: { contributors: 2..4 }')
  const mutant = fc
    .array(fc.tuple(fc.nat(base.length), fc.string({ maxLength: 4 }), fc.nat(3)), { minLength: 1, maxLength: 4 })
    .map((changes) =>
      changes.reduce((text, [at, insert, cut]) => text.slice(0, at) + insert + text.slice(at + cut), base),
    )
  fc.assert(
    fc.property(fc.oneof(mutant, fc.string()), (text) => {
      try {
        parse(text)
      } catch (error) {
        assert.ok(error instanceof PinGoError && error.code === 'JOB_FILE_INVALID', String(error))
        assert.match(error.message, /^job\.yaml/)
      }
    }),
    { numRuns: 2_000 },
  )
})
