import { stepBytesWithin } from '@pingo/engine'
import {
  buildProgram,
  type Model,
  type Program,
  restoreScale,
  type Scaling,
  standardize,
  withLora,
  writeModel,
} from '@pingo/graph'
import { pushFile } from '@pingo/storage'
import {
  type Column,
  encode,
  type FileRef,
  type JobSubmissionInput,
  PinGoError,
  type ProgramManifest,
  type QuoteRequest,
  sizeOf,
  writeSafetensors,
} from '@pingo/wire'
import { z } from 'zod'
import type { Gateway } from '../gateway.ts'
import { DEFAULT_BATCH, type Job, learnsItself } from '../job-file/settle.ts'
import { openStaging, type Staging } from '../staging.ts'
import { columnsOf } from './columns.ts'
import { type ImportedDataset, type ImportSettings, importData, openJobData } from './data.ts'
import { type Fit, fit } from './fit.ts'
import { loadModel } from './model.ts'
import { grantsFor, mustBeEncrypted } from './private.ts'
import type { Progress } from './progress.ts'

export interface PrepareContext {
  gateway: Gateway
  home: string
}
export interface PrepareOptions {
  signal?: AbortSignal
  onProgress?(progress: Progress): void
}

/** No contributor offers less. */
const LEAST_OFFER_BYTES = 256 << 20

/** Data and program of a job, in a staging folder. */
interface Prepared {
  train: ImportedDataset
  test?: ImportedDataset
  program: Program
  model: Model
  fit: Fit
  batch: number
}

/** From a job to its submission: imports data, fits the model to them, builds the program, uploads all. */
export async function prepare(job: Job, context: PrepareContext, options: PrepareOptions): Promise<JobSubmissionInput> {
  await mayStore(context.gateway, options.signal)
  return withStaging(context, async (staging) => {
    const prepared = await build(job, staging, context, options)
    const { ref: program, files } = await storeProgram(prepared, staging)
    const { train, test } = prepared
    await upload([...train.files, ...(test?.files ?? []), ...files, program], staging, context, options)
    await register([train, test], context, options)
    const grants = grantsFor([train, test], Date.now())
    if (grants) mustBeEncrypted(await context.gateway.endpoint())
    return {
      version: 1,
      name: job.name,
      type: 'train',
      program,
      train: train.ref,
      test: test?.ref,
      epochs: job.epochs,
      seed: job.seed,
      learningRate: job.learningRate,
      schedule: job.schedule,
      roundMs: job.roundMs,
      outer: job.outer,
      contributors: job.contributors,
      memoryBytes: job.memoryBytes,
      deadlineMs: job.deadlineMs,
      webhook: job.webhook,
      spec: job.spec,
      grants,
    }
  })
}

/** What a quote is asked with; nothing is uploaded. */
export async function measure(
  job: Job,
  context: PrepareContext,
  options: PrepareOptions,
): Promise<{ parameters: number; request: QuoteRequest }> {
  await context.gateway.json('/healthz', z.unknown(), { signal: options.signal })
  return withStaging(context, async (staging) => {
    const { program, train } = await build(job, staging, context, options)
    return {
      parameters: program.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
      request: {
        flopsPerSample: program.flopsPerSample,
        samples: train.manifest.samples,
        epochs: job.epochs,
        contributors: job.contributors,
        memoryBytes: job.memoryBytes,
      },
    }
  })
}

/** Imports a file or folder and uploads it as a dataset (and the test data split off it). */
export async function importAndUpload(
  path: string,
  context: PrepareContext,
  { signal, onProgress, ...settings }: ImportSettings & PrepareOptions,
): Promise<{ train: ImportedDataset; test?: ImportedDataset }> {
  await mayStore(context.gateway, signal)
  return withStaging(context, async (staging) => {
    const endpoint = () => context.gateway.endpoint()
    const imported = await importData(path, settings, { staging, home: context.home, endpoint, signal, onProgress })
    const { train, test } = imported
    await upload([...train.files, ...(test?.files ?? [])], staging, context, { signal, onProgress })
    await register([train, test], context, { signal })
    return imported
  })
}

async function build(job: Job, staging: Staging, context: PrepareContext, options: PrepareOptions): Promise<Prepared> {
  const { signal, onProgress } = options
  const endpoint = () => context.gateway.endpoint()
  const { train, test } = await openJobData(job, { staging, home: context.home, endpoint, signal, onProgress })
  signal?.throwIfAborted()
  onProgress?.({ stage: 'model', message: 'Building the training program' })
  const own = learnsItself(job.model)
  const columns = columnsOf(train.manifest, own)
  const given = await loadModel(job, columns)
  const found = fit(given, columns, { loss: job.loss, output: job.output })
  for (const message of found.notes) onProgress?.({ stage: 'note', message })
  const { samples } = train.manifest
  if (job.batch !== undefined && job.batch > samples)
    throw new PinGoError(
      'BATCH_TOO_LARGE',
      `'train.batch' is ${job.batch}; the training data have ${samples} samples.`,
      {
        hint: 'Make the batch smaller, or remove the setting.',
      },
    )
  const batch = job.batch ?? Math.min(DEFAULT_BATCH, samples)
  const standard = isStandardized(job, train)
  const whole = standard ? standardized(given, train, found) : given
  const model = job.lora ? withLora(whole, { ...job.lora, seed: job.seed }) : whole
  const logical = Object.fromEntries(
    found.inputs.map((input): [string, Scaling] => [
      input.name,
      scaleOf([...columns.inputs, columns.target], input.column),
    ]),
  )
  // A model that tells its own input is trained on it as it sees it: rows with mean 0 and deviation 1, pixels from 0 to 1.
  const rows = own && standard && train.manifest.kind === 'tabular' ? momentsOf(train, found.target.column) : undefined
  if (own)
    logical[found.target.name] = rows
      ? { scale: rows.std.map((s) => 1 / s), shift: rows.mean.map((m, i) => -m / rows.std[i]!) }
      : scaleOf(columns.inputs, found.target.column)
  const program = buildProgram(model, {
    loss: found.loss,
    optimizer: job.optimizer,
    frozen: job.freeze,
    accumulate: job.accumulate,
    memory: job.memoryBytes ? memoryFor(model, job.memoryBytes) : undefined,
    batch,
    inputs: found.inputs,
    logical,
    target: found.target,
    output: job.output,
  })
  for (const message of program.notes) onProgress?.({ stage: 'note', message })
  return { train, test, program, model: rows ? restoreScale(model, rows.mean, rows.std) : model, fit: found, batch }
}

const isStandardized = (job: Job, { manifest }: ImportedDataset): boolean =>
  (job.data.normalize ?? (manifest.kind === 'tabular' && !('onnx' in job.model) ? 'standard' : 'none')) === 'standard'

/** Bytes that a step may need on contributors that offer so much memory. */
function memoryFor({ graph }: Model, offered: number): number {
  const weights = [...graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0)
  return stepBytesWithin(Math.max(offered, LEAST_OFFER_BYTES), weights)
}

/** (x − mean) / deviation of the training data in front of the model's inputs. */
function standardized(model: Model, train: ImportedDataset, { inputs }: Fit): Model {
  return inputs.reduce((changed, input) => {
    const { mean, std } = momentsOf(train, input.column)
    return standardize(changed, input.name, mean, std)
  }, model)
}

/** Mean and deviation of a column of the training data; a deviation of 0 counts as 1. @throws PinGoError NORMALIZE_IMPOSSIBLE */
function momentsOf({ manifest }: ImportedDataset, column: string): { mean: number[]; std: number[] } {
  const { mean, std } = manifest.columns.find(({ name }) => name === column)!
  if (!mean || !std)
    throw new PinGoError('NORMALIZE_IMPOSSIBLE', `The data's '${column}' has no mean and deviation.`, {
      hint: 'Remove data.normalize.',
    })
  return { mean, std: std.map((value) => (value > 0 ? value : 1)) }
}

function scaleOf(columns: Column[], name: string): { scale?: number; shift?: number } {
  const { scale, shift } = columns.find((column) => column.name === name)!
  return { scale, shift }
}

async function storeProgram(
  { program, model, fit: { loss }, batch }: Prepared,
  { files }: Staging,
): Promise<{ ref: FileRef; files: FileRef[] }> {
  const step = await files.put(program.step)
  const evaluate = await files.put(program.evaluate)
  const inference = await files.put(writeModel(model))
  const initial = await files.put(writeSafetensors(program.initial))
  const manifest: ProgramManifest = {
    type: 'pingo/program',
    version: 1,
    step,
    evaluate,
    model: inference,
    initial,
    batch,
    parameters: program.parameters,
    buffers: program.buffers,
    state: program.state,
    inputs: program.inputs,
    target: program.target,
    loss,
    metric: program.metric,
    predictionsPerSample: program.predictionsPerSample,
    stats: program.stats,
    optimizer: program.optimizer,
    ...(program.noise ? { noise: program.noise } : {}),
    flopsPerSample: program.flopsPerSample,
  }
  return { ref: await files.put(encode(manifest)), files: [step, evaluate, inference, initial] }
}

async function upload(
  files: FileRef[],
  { blocks }: Staging,
  { gateway }: PrepareContext,
  { signal, onProgress }: PrepareOptions,
): Promise<void> {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  let done = 0
  for (const { cid, bytes } of files) {
    await pushFile(cid, blocks, await gateway.endpoint(), { signal })
    done += bytes
    onProgress?.({ stage: 'upload', message: 'Uploading', done, total })
  }
}

async function register(
  datasets: (ImportedDataset | undefined)[],
  { gateway }: PrepareContext,
  { signal }: PrepareOptions,
): Promise<void> {
  for (const dataset of datasets)
    if (dataset?.files.length)
      await gateway.json('/v1/datasets', z.unknown(), { method: 'POST', body: dataset.ref, signal })
}

/** Asks before any work is done whether the fog node answers and takes the token. */
async function mayStore(gateway: Gateway, signal?: AbortSignal): Promise<void> {
  await gateway.json('/v1/blocks/missing', z.unknown(), { method: 'POST', body: { cids: [] }, signal })
}

async function withStaging<T>({ home }: PrepareContext, work: (staging: Staging) => Promise<T>): Promise<T> {
  const staging = await openStaging(home)
  try {
    return await work(staging)
  } finally {
    await staging.remove()
  }
}
