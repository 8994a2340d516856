import { basename, resolve } from 'node:path'
import {
  CidText,
  type LoraSettings,
  type LossInput,
  type LossKind,
  lossKindOf,
  type OptimizerInput,
  parseCid,
  type Schedule,
} from '@pingo/wire'
import type { Problem } from './problems.ts'
import { parseBytes, parseCountRange, parseDuration } from './quantities.ts'
import { type JobFile, templateNames } from './schema.ts'

/** Data named in a job: a path on this machine or a dataset in the network. */
export type DataSource = { path: string } | { cid: string }

export type ModelSource = { onnx: string } | TemplateSource
/** A template and those of its options that the user set. */
export type TemplateSource =
  | { template: 'mlp'; hidden?: number[] }
  | { template: 'cnn'; channels?: number[]; dense?: number }
  | { template: 'resnet'; width?: number; blocks?: number[] }
  | { template: 'gpt'; layers?: number; heads?: number; width?: number; context?: number; dropout?: number }
  | { template: 'vit'; layers?: number; heads?: number; width?: number; patch?: number; dropout?: number }
  | { template: 'lstm'; layers?: number; width?: number; context?: number; dropout?: number }
  | { template: 'autoencoder'; latent?: number; channels?: number[]; hidden?: number[] }

/** Whether a model learns to tell its own input, whatever the data's target. */
export const learnsItself = (model: ModelSource): boolean => 'template' in model && model.template === 'autoencoder'

/** A job with all defaults settled and all paths absolute. */
export interface Job {
  name: string
  model: ModelSource
  loss?: LossInput
  /** Adapters to train in place of the model. */
  lora?: LoraSettings
  /** Which of the model's outputs is trained. */
  output?: string
  data: {
    train: DataSource
    /** Data to measure on: another source, or the fraction of `train` to set apart. */
    test?: DataSource | { fraction: number }
    target?: string
    features?: string[]
    format?: NonNullable<JobFile['data']['format']>
    task?: 'classification' | 'regression'
    normalize?: 'standard' | 'none'
    context?: number
    tokenizer?: 'char' | 'bpe'
    vocabulary?: number
    imageSize?: [number, number]
    labels?: string
    missing?: 'error' | 'mean' | 'drop'
    private?: boolean
  }
  optimizer: OptimizerInput
  /** Names of weights that are not trained, or patterns of them. */
  freeze?: string[]
  /** Micro-batches that a batch is cut into; as many as memory wants when left open. */
  accumulate?: number
  learningRate: number
  /** As asked; {@link DEFAULT_BATCH} or fewer when left open. */
  batch?: number
  epochs: number
  seed: number
  schedule: Schedule
  roundMs: number
  outer: { learningRate: number; momentum: number }
  contributors: { min: number; max: number }
  memoryBytes: number
  deadlineMs?: number
  webhook?: string
  /** Folder for the result, absolute. */
  resultFolder: string
  /** What the user wrote, without paths of this machine: for the record. */
  spec: Record<string, unknown>
}

export const DEFAULT_BATCH = 64
const DEFAULT_ROUND_MS = 4_000
const ROUND_MS = { min: 100, max: 600_000 }
const MAX_CONTRIBUTORS = 10_000

/** Fills defaults in, resolves paths, and checks what one setting means for another. */
export function settle(file: JobFile, where: { folder: string; name: string }): { job: Job } | { problems: Problem[] } {
  const problems: Problem[] = []
  const wrong = (path: string, sentence: string, at: 'key' | 'value' = 'value') => {
    problems.push({ path: path.split('.'), at, sentence })
  }
  const name = file.name ?? where.name
  const model = modelOf(file, where.folder, wrong)
  const data = dataOf(file, where.folder, wrong)
  const { min, max } = contributorsOf(file, wrong)
  const roundMs = parseDuration(file.train?.round ?? '') ?? DEFAULT_ROUND_MS
  if (roundMs < ROUND_MS.min || roundMs > ROUND_MS.max) wrong('train.round', "'train.round' must be from 100ms to 10m")
  const deadlineMs = file.service?.deadline === undefined ? undefined : parseDuration(file.service.deadline)
  if (deadlineMs === 0) wrong('service.deadline', "'service.deadline' must be longer than 0")
  const optimizer = optimizerOf(file, wrong)
  const schedule = scheduleOf(file, wrong)
  const { batch, accumulate = 1 } = file.train ?? {}
  if (batch !== undefined && batch % accumulate !== 0)
    wrong('train.accumulate', `'train.accumulate' (${accumulate}) must divide 'train.batch' (${batch})`)
  if (!model || !data || problems.length) return { problems }
  return {
    job: {
      name,
      model,
      loss: file.model.loss,
      lora: file.model.lora,
      output: file.model.output,
      data,
      optimizer,
      freeze: file.train?.freeze,
      accumulate: file.train?.accumulate,
      learningRate: file.train?.lr ?? 1e-3,
      batch: file.train?.batch,
      epochs: file.train?.epochs ?? 3,
      seed: file.train?.seed ?? 0,
      schedule,
      roundMs,
      outer: { learningRate: file.train?.outer?.lr ?? 0.7, momentum: file.train?.outer?.momentum ?? 0.9 },
      contributors: { min, max },
      memoryBytes: parseBytes((file.resources?.memory ?? '0').replace(/\.\.$/, '')) ?? 0,
      deadlineMs,
      webhook: file.notify?.webhook,
      resultFolder: resolve(where.folder, file.output ?? `result-${name.replace(/[^\p{L}\p{N}._-]+/gu, '-')}`),
      spec: withoutPaths(file),
    },
  }
}

type Wrong = (path: string, sentence: string, at?: 'key' | 'value') => void

/** Options of each template. */
const OPTIONS_OF = {
  mlp: ['hidden'],
  cnn: ['channels', 'dense'],
  resnet: ['width', 'blocks'],
  gpt: ['layers', 'heads', 'width', 'context', 'dropout'],
  vit: ['layers', 'heads', 'width', 'patch', 'dropout'],
  lstm: ['layers', 'width', 'context', 'dropout'],
  autoencoder: ['latent', 'channels', 'hidden'],
} as const satisfies Record<TemplateSource['template'], readonly (keyof JobFile['model'])[]>

/** Losses that compare numbers with numbers. */
const OF_NUMBERS: readonly LossKind[] = ['mse', 'l1', 'huber', 'smooth_l1', 'cosine']

/** Defaults that attention heads are checked against. */
const ATTENTION = { gpt: { width: 128, heads: 4 }, vit: { width: 96, heads: 3 } } as const

function modelOf({ model }: JobFile, folder: string, wrong: Wrong): ModelSource | undefined {
  if ((model.template === undefined) === (model.onnx === undefined)) {
    wrong('model', `'model' needs either a template (${templateNames.join(', ')}) or the path of an onnx file`)
    return undefined
  }
  const { template } = model
  const mine: readonly string[] = template ? OPTIONS_OF[template] : []
  for (const option of new Set(Object.values(OPTIONS_OF).flat()))
    if (model[option] !== undefined && !mine.includes(option)) {
      const owners = templateNames.filter((name) => (OPTIONS_OF[name] as readonly string[]).includes(option))
      const whose = owners.length > 1 ? `the templates ${owners.join(', ')}` : `the ${owners[0]} template`
      wrong(`model.${option}`, `'model.${option}' is an option of ${whose}; remove it`, 'key')
    }
  if (model.onnx !== undefined) return { onnx: resolve(folder, model.onnx) }
  if (model.output !== undefined)
    wrong('model.output', "'model.output' names an output of an ONNX file; a template has one; remove it", 'key')
  if (template === 'gpt' || template === 'vit') {
    const { width = ATTENTION[template].width, heads = ATTENTION[template].heads } = model
    if (width % heads !== 0) wrong('model.heads', `'model.heads' must divide the width (${width}), not be ${heads}`)
  }
  if (template === 'autoencoder' && model.loss !== undefined && !OF_NUMBERS.includes(lossKindOf(model.loss)))
    wrong(
      'model.loss',
      `'model.loss' of an autoencoder is one of ${OF_NUMBERS.join(', ')}, not ${lossKindOf(model.loss)}: it tells the numbers of its input`,
    )
  const set = mine.flatMap((option) => {
    const value = model[option as keyof typeof model]
    return value === undefined ? [] : [[option, value]]
  })
  return { template, ...Object.fromEntries(set) } as TemplateSource
}

/** Settings that test data from this machine have beside training data in the network. */
const OF_ANY_DATA = ['format', 'labels', 'private']

function dataOf({ data, model }: JobFile, folder: string, wrong: Wrong): Job['data'] | undefined {
  const source = (text: string, path: string): DataSource | undefined => {
    if (!/^(pingo|ipfs):\/\//.test(text) && !CidText.safeParse(text).success) return { path: resolve(folder, text) }
    try {
      return { cid: parseCid(text).toString() }
    } catch {
      wrong(path, `'${path}' is not a content address: write pingo:// and the CID that 'pingo data ls' shows`)
      return undefined
    }
  }
  const train = source(data.train, 'data.train')
  const test =
    data.test === undefined
      ? undefined
      : typeof data.test === 'number'
        ? { fraction: data.test }
        : source(data.test, 'data.test')
  if (!train) return undefined
  if ('cid' in train) {
    if (test && 'fraction' in test)
      wrong('data.test', "a dataset in the network is not split: let 'data.test' name another one (pingo://CID)")
    for (const option of [
      'target',
      'features',
      'format',
      'task',
      'context',
      'tokenizer',
      'vocabulary',
      'imageSize',
      'labels',
      'missing',
      'private',
    ] as const)
      if (data[option] !== undefined && !(test && 'path' in test && OF_ANY_DATA.includes(option)))
        wrong(`data.${option}`, `'data.${option}' is settled when data are imported; remove it for pingo://CID`, 'key')
  }
  if (data.context !== undefined && model.context !== undefined && data.context !== model.context)
    wrong('model.context', `'model.context' (${model.context}) and 'data.context' (${data.context}) must be equal`)
  if (data.vocabulary !== undefined && data.tokenizer !== 'bpe')
    wrong('data.vocabulary', "'data.vocabulary' is a size for data.tokenizer: bpe; characters are counted", 'key')
  const { imageSize } = data
  return {
    train,
    test,
    target: data.target,
    features: data.features,
    format: data.format,
    task: data.task,
    normalize: data.normalize,
    context: data.context ?? ('cid' in train ? undefined : model.context),
    tokenizer: data.tokenizer,
    vocabulary: data.vocabulary,
    imageSize: typeof imageSize === 'number' ? [imageSize, imageSize] : imageSize,
    labels: data.labels === undefined ? undefined : resolve(folder, data.labels),
    missing: data.missing,
    private: data.private,
  }
}

function contributorsOf({ resources }: JobFile, wrong: Wrong): { min: number; max: number } {
  const asked = resources?.contributors ?? '1..'
  const { min, max = MAX_CONTRIBUTORS } =
    typeof asked === 'number' ? { min: asked, max: asked } : (parseCountRange(asked) ?? { min: 1 })
  if (min < 1 || max < min || max > MAX_CONTRIBUTORS)
    wrong(
      'resources.contributors',
      `'resources.contributors' must rise within 1..${MAX_CONTRIBUTORS}, for example 2..20, not '${asked}'`,
    )
  return { min, max }
}

const DECAYED = ['adamw', 'lion', 'muon']

function optimizerOf({ train = {} }: JobFile, wrong: Wrong): OptimizerInput {
  const asked = train.optimizer ?? 'adamw'
  const { clip, clipValue, groups, momentum } = train
  const common = {
    weightDecay: train.weightDecay ?? (DECAYED.includes(asked) ? 0.01 : 0),
    ...(clip === undefined ? {} : { clip }),
    ...(clipValue === undefined ? {} : { clipValue }),
    ...(groups === undefined ? {} : { groups }),
  }
  if (asked === 'sgd' || asked === 'momentum' || asked === 'nesterov') {
    const nesterov = asked === 'nesterov' ? { nesterov: true } : {}
    return { kind: 'sgd', momentum: momentum ?? (asked === 'sgd' ? 0 : 0.9), ...nesterov, ...common }
  }
  if (asked === 'muon') return { kind: 'muon', momentum, ...common }
  if (momentum !== undefined)
    wrong(
      'train.momentum',
      `'train.momentum' is an option of sgd, momentum, nesterov and muon, not of ${asked}; remove it`,
      'key',
    )
  if (asked === 'adam' || asked === 'adamw') return { kind: asked, ...common, clip: clip ?? 1 }
  return { kind: asked, ...common }
}

/** Settings of one schedule, which mean nothing to the others. */
const SCHEDULE_OPTIONS = { decay: 'wsd', milestones: 'step', gamma: 'step' } as const

function scheduleOf({ train = {} }: JobFile, wrong: Wrong): Schedule {
  const kind = train.schedule ?? 'cosine'
  for (const [option, owner] of Object.entries(SCHEDULE_OPTIONS))
    if (train[option as keyof typeof SCHEDULE_OPTIONS] !== undefined && kind !== owner)
      wrong(
        `train.${option}`,
        `'train.${option}' is an option of the schedule ${owner}, not of ${kind}; remove it`,
        'key',
      )
  const { decay, milestones, gamma, warmup = 0.02 } = train
  return {
    kind,
    warmup,
    floor: 0.02,
    ...(decay === undefined ? {} : { decay }),
    ...(milestones === undefined ? {} : { milestones }),
    ...(gamma === undefined ? {} : { gamma }),
  }
}

/** The job file as a record: of paths only the last part, so that nothing of the user's machine leaves it. */
function withoutPaths(file: JobFile): Record<string, unknown> {
  const last = <T>(value: T): T | string =>
    typeof value === 'string' && !/^(pingo|ipfs):\/\//.test(value) ? basename(value) : value
  const { output: _output, notify: _notify, ...rest } = file
  return JSON.parse(
    JSON.stringify({
      ...rest,
      model: { ...file.model, onnx: last(file.model.onnx) },
      data: { ...file.data, train: last(file.data.train), test: last(file.data.test), labels: last(file.data.labels) },
    }),
  )
}
