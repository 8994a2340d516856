import {
  GroupSchema,
  LOSS_KINDS,
  LossSchema,
  MAX_ACCUMULATE,
  MAX_GROUPS,
  MAX_LORA_RANK,
  MAX_MILESTONES,
  PatternsSchema,
} from '@pingo/wire'
import { z } from 'zod'
import { COUNT_RANGE, DURATION, MEMORY_FLOOR } from './quantities.ts'

/** What a setting must be, in words, for the sentences of {@link problemsOf}. Not part of the published JSON Schema. */
export const expectations = z.registry<{ expected: string }>()

/** A setting: its schema, what it must be (for errors) and what it does (for the JSON Schema and docs/job-file.md). */
function setting<S extends z.ZodType>(schema: S, expected: string, description: string): S {
  const described = schema.meta({ description }) as S
  expectations.add(described, { expected })
  return described
}

/** A number whose bounds are part of its sentence. */
const number = (min: number, max: number, description: string, o: { above?: boolean; integer?: boolean } = {}) => {
  const base = o.integer ? z.int() : z.number()
  return setting(
    (o.above ? base.gt(min) : base.min(min)).max(max),
    `a ${o.integer ? 'whole ' : ''}number ${o.above ? `above ${min}` : `from ${min}`} ${o.above ? 'and at most' : 'to'} ${max}`,
    description,
  ).optional()
}
const choice = <const T extends readonly [string, ...string[]]>(values: T, description: string) =>
  setting(z.enum(values), `one of ${values.join(', ')}`, description)
const text = (max: number, expected: string, description: string) =>
  setting(z.string().min(1).max(max), expected, description)
const duration = (description: string) =>
  setting(z.string().regex(DURATION), 'a duration such as 4s, 20m or 1h', description)
const widths = (max: number, description: string) =>
  setting(
    z.array(z.int().min(1).max(65_536)).min(1).max(max),
    `a list of 1 to ${max} whole numbers such as [32, 64]`,
    description,
  )

const patterns = (description: string) =>
  setting(
    PatternsSchema,
    "a list of weights' names, * standing for any characters, such as ['backbone.*']",
    description,
  )

export const templateNames = ['mlp', 'cnn', 'resnet', 'gpt', 'vit', 'lstm', 'autoencoder'] as const

const Model = z
  .strictObject({
    template: choice(
      templateNames,
      'A ready-made network: mlp (tables), cnn, resnet or vit (images), gpt (text), lstm (text and sequences of numbers), autoencoder (tables and images; learns to tell its own input, not the target).',
    ).optional(),
    onnx: text(
      4096,
      'the path of an .onnx file',
      "Your own network: an ONNX file, relative to the job file's folder.",
    ).optional(),
    loss: setting(
      LossSchema,
      `one of ${LOSS_KINDS.join(', ')}, or one with its settings such as {kind: huber, delta: 0.5}`,
      'What is minimised. Settings: cross_entropy takes ignoreIndex (a class id that counts nothing) and smoothing, bce positiveWeight (a number, or one for each output), huber delta, smooth_l1 beta. kl and cosine compare with a target of as many numbers; output means that the model gives its own loss. Default: cross_entropy for classes (bce when the model has one output and there are 2 classes), else mse.',
    ).optional(),
    lora: z
      .strictObject({
        rank: setting(
          z.int().min(1).max(MAX_LORA_RANK),
          `a whole number from 1 to ${MAX_LORA_RANK}`,
          'Width of the adapters.',
        ),
        alpha: number(0, 10_000, 'The adapters count alpha / rank. Default: the rank.', { above: true }),
        match: patterns('Weights of MatMul, Gemm and Conv that get adapters. Default: all.').optional(),
      })
      .meta({
        description:
          'Trains low-rank adapters beside the weights and nothing else. The result is the model with the adapters folded in; its checkpoint holds the adapters.',
      })
      .optional(),
    output: text(
      500,
      'the name of one of the model’s outputs',
      'Which output of the ONNX model is trained. Default: the first.',
    ).optional(),
    hidden: widths(
      20,
      'mlp: widths of the hidden layers, default [128]. autoencoder of tables: widths on the way to the latent numbers and, mirrored, back; default [64].',
    ).optional(),
    channels: widths(
      4,
      'cnn: channels of the convolutions, default [32, 64]. autoencoder of images: the same, each halves the size; default [16, 32].',
    ).optional(),
    dense: number(1, 65_536, 'cnn: width of the dense layer before the output. Default 128.', { integer: true }),
    blocks: widths(6, 'resnet: residual blocks of each stage. Default [2, 2, 2, 2], as ResNet-18.').optional(),
    layers: number(1, 100, 'gpt: blocks, default 4. vit: blocks, default 6. lstm: stacked LSTMs, default 2.', {
      integer: true,
    }),
    heads: number(1, 256, 'gpt, vit: attention heads; must divide the width. Default 4 (gpt), 3 (vit).', {
      integer: true,
    }),
    width: number(
      1,
      16_384,
      'gpt, vit: width of the residual stream, default 128 and 96. lstm: width of the states, default 128. resnet: channels of the first stage, default 32 (ResNet-18: 64).',
      { integer: true },
    ),
    patch: number(
      1,
      4096,
      'vit: side of a patch in pixels; must divide the height and the width. Default: about an eighth of the smaller one.',
      { integer: true },
    ),
    latent: number(
      1,
      65_536,
      'autoencoder: numbers that a sample is squeezed into. Default 32 for images; half the columns, at most 8, for tables.',
      { integer: true },
    ),
    dropout: number(0, 0.9, 'gpt, vit, lstm: part of the values dropped while training. Default 0.'),
    context: number(
      2,
      65_536,
      'gpt, lstm: tokens that the model sees at once. Default: the tokens of a sample (data.context).',
      {
        integer: true,
      },
    ),
  })
  .meta({ description: 'What is trained: either a template or an ONNX file.' })

const Data = z
  .strictObject({
    train: text(
      4096,
      'a path or pingo://CID',
      "Training data: a file or folder (idx, CSV, Parquet, JSONL, npy, text, a folder of images per class, safetensors), relative to the job file's folder, or a dataset already in the network.",
    ),
    test: setting(
      z.union([z.string().min(1).max(4096), z.number().gt(0).max(0.9)]),
      'a path, pingo://CID, or a fraction above 0 and at most 0.9',
      'Data to measure on, never trained on: a path, pingo://CID, or the fraction of the training data to set apart.',
    ).optional(),
    target: text(
      1000,
      'the name of a column',
      'The column to predict. Default: label, target, class or y, else the last.',
    ).optional(),
    features: setting(
      z.array(z.string().min(1).max(1000)).min(1).max(10_000),
      'a list of column names',
      'The columns to learn from. Default: all but the target.',
    ).optional(),
    format: choice(
      ['idx', 'csv', 'parquet', 'jsonl', 'npy', 'text', 'images', 'safetensors'],
      'How to read the files. Default: seen from the name and the first bytes.',
    ).optional(),
    task: choice(
      ['classification', 'regression'],
      'Whether the target holds classes or numbers. Default: seen from its values.',
    ).optional(),
    normalize: choice(
      ['standard', 'none'],
      "standard bakes (x − mean) / deviation of the training data into the model's input. Default: standard for templates on tables, else none.",
    ).optional(),
    context: number(2, 65_536, 'Text: tokens of a sample. Default 64.', { integer: true }),
    tokenizer: choice(
      ['char', 'bpe'],
      'Text: char makes each character a token; bpe learns frequent pieces of words (byte-pair encoding), which take any text. Default char.',
    ).optional(),
    vocabulary: number(
      257,
      50_000,
      'Text, bpe: tokens to learn, the 256 bytes among them; a short text may give fewer. Default 512.',
      { integer: true },
    ),
    imageSize: setting(
      z.union([z.int().min(1).max(4096), z.tuple([z.int().min(1).max(4096), z.int().min(1).max(4096)])]),
      'a whole number or [height, width], each from 1 to 4096',
      'Images: the size that all are brought to. Default: their own, when all agree.',
    ).optional(),
    labels: text(
      4096,
      'the path of a label file',
      'idx and npy: the file of labels. Default: the sibling of the usual name.',
    ).optional(),
    missing: choice(['error', 'mean', 'drop'], 'Tables: what to do about empty cells. Default: error.').optional(),
    private: setting(
      z.boolean(),
      'true or false',
      'true encrypts the data on this machine: fog nodes and the disks of contributors hold ciphertext, and the key is given to this job alone, until it ends. The contributors that train on the data see them all the same, in memory. Default false: then a dataset is stored once, found by its address and used again by any job.',
    ).optional(),
  })
  .meta({ description: 'What it is trained on.' })

const Train = z
  .strictObject({
    optimizer: choice(
      ['sgd', 'momentum', 'nesterov', 'adam', 'adamw', 'lion', 'adafactor', 'muon'],
      'How a contributor steps. lion wants a learning rate of about a tenth of adamw’s; muon steps hidden matrices, and leaves the rest to adamw. Default adamw.',
    ).optional(),
    lr: number(0, 100, 'Learning rate at its peak. Default 0.001.', { above: true }),
    batch: number(1, 65_536, 'Samples of one step. Default 64, or all when there are fewer.', { integer: true }),
    epochs: number(0, 100_000, 'How often every sample is seen. Default 3.', { above: true }),
    seed: number(0, 2 ** 32 - 1, 'Seed of the initial weights and of the order of samples. Default 0.', {
      integer: true,
    }),
    schedule: choice(
      ['constant', 'cosine', 'linear', 'wsd', 'step'],
      'How the learning rate falls. wsd stays at the peak and falls in a line over the last part (train.decay); step is multiplied by train.gamma at each of train.milestones. Default cosine.',
    ).optional(),
    decay: number(0, 1, 'wsd: part of all samples, at the end, over which the learning rate falls. Default 0.2.'),
    milestones: setting(
      z.array(z.number().gt(0).lt(1)).min(1).max(MAX_MILESTONES),
      `a list of 1 to ${MAX_MILESTONES} numbers between 0 and 1 such as [0.5, 0.75]`,
      'step: parts of all samples after which the learning rate falls. Default [0.5, 0.75].',
    ).optional(),
    gamma: number(0, 1, 'step: what the learning rate is multiplied by. Default 0.1.', { above: true }),
    warmup: number(0, 0.5, 'Part of all samples over which the learning rate rises from 0. Default 0.02.'),
    weightDecay: number(0, 1, 'Decay of weight matrices a step. Default 0.01 for adamw, lion and muon, else 0.'),
    momentum: number(
      0,
      0.9999,
      'Momentum of sgd (default 0), momentum and nesterov (default 0.9) and muon (default 0.95).',
    ),
    clip: number(0, 1e6, 'Greatest norm of a gradient. Default: 1 for adam and adamw, else none.', { above: true }),
    clipValue: number(0, 1e6, 'Greatest size of an element of a gradient. Default: none.', { above: true }),
    accumulate: number(
      1,
      MAX_ACCUMULATE,
      'Parts that a batch is handled in, one after the other, to need less memory; must divide the batch. Batch normalisation then uses the statistics of a part. Default 1, or as many as resources.memory makes necessary.',
      { integer: true },
    ),
    freeze: patterns('Weights that stay as they are. Default: none.').optional(),
    groups: setting(
      z.array(GroupSchema).min(1).max(MAX_GROUPS),
      'a list of groups such as [{match: [head.*], rate: 10}]',
      'Weights that are trained otherwise: match names them, rate multiplies their learning rate, weightDecay takes the place of the general one (also for vectors), freeze: true lets them be, adamw: true keeps muon off. The first group that matches a weight counts.',
    ).optional(),
    round: duration('How long contributors train between two merges, 100ms to 10m. Default 4s.').optional(),
    outer: z
      .strictObject({
        lr: number(0, 10, 'Outer learning rate. Default 0.7.', { above: true }),
        momentum: number(0, 0.999, 'Outer Nesterov momentum. Default 0.9.'),
      })
      .meta({ description: 'How the merge of a round is applied.' })
      .optional(),
  })
  .meta({ description: 'How it is trained.' })

const Resources = z
  .strictObject({
    contributors: setting(
      z.union([z.int().min(1).max(10_000), z.string().regex(COUNT_RANGE)]),
      'a number such as 4 or a range such as 2..20',
      'How many slices of contributors train together: a contributor works in one for each core that it lends. Default 1.. (as many as there are).',
    ).optional(),
    memory: setting(
      z.string().regex(MEMORY_FLOOR),
      'the memory a contributor must offer, such as 512Mi..',
      'Memory that a contributor must at least offer. A step that would need more is trained in parts of its batch, or computes some results twice, which changes no more than roundings. Default: none asked.',
    ).optional(),
  })
  .meta({ description: 'What is asked of contributors.' })

/**
 * A job file as a person writes it (YAML or JSON). Settings of the design that are not honoured yet are not in it:
 * `refusals.ts` says so for each. Published as docs/job-file.schema.json.
 */
export const JobFileSchema = z
  .strictObject({
    version: setting(z.literal(1), '1', 'The version of this format.'),
    name: text(
      200,
      'a name of 1 to 200 characters',
      'Name of the job. Default: the name of the file or its folder.',
    ).optional(),
    type: setting(z.literal('train'), 'train', 'Kind of job.').optional(),
    model: Model,
    data: Data,
    train: Train.optional(),
    resources: Resources.optional(),
    service: z
      .strictObject({
        deadline: duration('The job fails when it is not done by then.').optional(),
        trust: setting(
          z.literal(0),
          '0',
          'Probability that a wrong contribution is found; only 0 (no checks) is honoured yet.',
        ).optional(),
      })
      .meta({ description: 'What is asked of the service.' })
      .optional(),
    notify: z
      .strictObject({
        webhook: setting(
          z.url({ protocol: /^https?$/ }).max(2000),
          'an http or https address',
          'Address that gets a signed POST when the job ends.',
        ).optional(),
      })
      .meta({ description: 'Who is told when the job ends.' })
      .optional(),
    output: text(
      4096,
      'the path of a folder',
      'Folder for the trained model, relative to the job file. Default: result-NAME beside it.',
    ).optional(),
  })
  .meta({ title: 'PinGo job file' })

/** A job as written in a file or handed to `Client.submit` as an object. */
export type JobFile = z.infer<typeof JobFileSchema>
