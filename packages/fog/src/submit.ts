import { decodeDataset, type ReadableDataset, readDatasetManifest, type Unseal } from '@pingo/data'
import { screen } from '@pingo/engine'
import type { FileStore } from '@pingo/storage'
import type { JobSettings } from '@pingo/training'
import {
  type DatasetManifest,
  decode,
  type FileRef,
  type JobSubmission,
  MAX_MANIFEST_BYTES,
  MAX_PARAMETERS,
  PinGoError,
  type ProgramManifest,
  ProgramManifestSchema,
  readSafetensors,
  sizeOf,
} from '@pingo/wire'
import { encodeBase, flatten } from './base.ts'
import { parametersOf, totalSamplesOf } from './jobs.ts'

/** Largest graph that is taken for a program, bytes. */
const MAX_GRAPH_BYTES = 512 << 20
const ROUNDS_MAX_TTL_MS = 3_600_000

/** The manifests that a submission names, read and checked. */
export interface Checked {
  program: ProgramManifest
  train: ReadableDataset
  test: ReadableDataset | undefined
}

/** Gives the key of a job's private dataset to what reads its files; undefined where there is none. */
export type UnsealOf = (dataset: string) => Unseal | undefined

/**
 * Reads a dataset's manifest and makes sure that all its shards are here.
 * @throws PinGoError FILE_MISSING, MESSAGE_INVALID, DATASET_PRIVATE, DATA_TAMPERED
 */
export async function readDataset(files: FileStore, ref: FileRef, unseal?: Unseal): Promise<ReadableDataset> {
  // a sealed manifest is a little longer than what is in it
  const read = (file: FileRef) => readWhole(files, file, 2 * MAX_MANIFEST_BYTES, 'dataset')
  const { manifest, sealed, stored } = await readDatasetManifest(ref, read, unseal)
  const total = manifest.shards.reduce((sum, shard) => sum + shard.samples, 0)
  if (total !== manifest.samples)
    throw new PinGoError('DATASET_INVALID', `The dataset says ${manifest.samples} samples, its shards hold ${total}.`)
  for (const { file } of manifest.shards) await present(files, file, `dataset '${manifest.name}'`)
  const readShard = async (file: FileRef) => files.readAll(file.cid)
  if (!sealed || !unseal) return { manifest, read: readShard, stored }
  return { manifest, sealed, stored, read: async (file) => unseal(await readShard(file), sealed) }
}

/** All files that are stored of a dataset, which must be here, and how it is listed: of a private one nothing but its size is known. */
export async function datasetFiles(
  files: FileStore,
  ref: FileRef,
): Promise<{ name: string; kind: string; samples: number; files: FileRef[] }> {
  const stored = decodeDataset(await readWhole(files, ref, MAX_MANIFEST_BYTES, 'dataset'))
  if (stored.type === 'pingo/dataset') {
    const { name, kind, samples, shards } = (await readDataset(files, ref)).manifest
    return { name, kind, samples, files: [ref, ...shards.map(({ file }) => file)] }
  }
  const all = [ref, stored.manifest, ...stored.files]
  for (const file of all) await present(files, file, 'private dataset')
  return { name: 'private dataset', kind: 'private', samples: 0, files: all }
}

/** Reads a program manifest. @throws PinGoError FILE_MISSING, MESSAGE_INVALID */
export async function readProgram(files: FileStore, ref: FileRef): Promise<ProgramManifest> {
  return decode(ProgramManifestSchema, await readWhole(files, ref, MAX_MANIFEST_BYTES, 'program'), MAX_MANIFEST_BYTES)
}

/** Reads what a job needs and refuses it with a sentence when something is missing, too large or does not fit. */
export async function checkSubmission(
  files: FileStore,
  submission: Omit<JobSubmission, 'grants'>,
  unsealOf: UnsealOf,
): Promise<Checked> {
  const program = await readProgram(files, submission.program)
  if (parametersOf(program) > MAX_PARAMETERS)
    throw new PinGoError(
      'MODEL_TOO_LARGE',
      `The model has ${parametersOf(program)} parameters; this fog node takes up to ${MAX_PARAMETERS}.`,
    )
  for (const [what, file] of Object.entries({ step: program.step, evaluate: program.evaluate }))
    screen(await readWhole(files, file, MAX_GRAPH_BYTES, `program's ${what} graph`))
  await present(files, program.model, 'model')
  const dataset = (ref: FileRef) => readDataset(files, ref, unsealOf(ref.cid))
  const train = await dataset(submission.train)
  const test = submission.test && (await dataset(submission.test))
  for (const { manifest } of test ? [train, test] : [train]) fits(program, manifest)
  return { program, train, test }
}

/** The initial theta and buffers as a base file, pinned as `pin`. */
export async function initialBase(files: FileStore, program: ProgramManifest, pin: string): Promise<FileRef> {
  const { tensors } = readSafetensors(await readWhole(files, program.initial, MAX_GRAPH_BYTES * 2, 'initial weights'))
  return files.put(
    encodeBase({ theta: flatten(tensors, program.parameters), buffers: flatten(tensors, program.buffers) }),
    { pin },
  )
}

export function settingsOf(
  job: string,
  submission: Omit<JobSubmission, 'grants'>,
  { program, train }: Checked,
  now: number,
): JobSettings {
  return {
    job,
    batch: program.batch,
    samples: train.manifest.samples,
    totalSamples: totalSamplesOf(train.manifest.samples, submission.epochs),
    parameters: parametersOf(program),
    seed: submission.seed,
    roundMs: Math.min(submission.roundMs, ROUNDS_MAX_TTL_MS / 4),
    learningRate: submission.learningRate,
    schedule: submission.schedule,
    outer: submission.outer,
    contributors: submission.contributors,
    deadlineAt: submission.deadlineMs === undefined ? undefined : now + submission.deadlineMs,
    flopsPerSample: program.flopsPerSample,
  }
}

function fits(program: ProgramManifest, dataset: DatasetManifest): void {
  for (const input of [...program.inputs, program.target]) {
    const column = dataset.columns.find(({ name }) => name === input.column)
    if (!column)
      throw new PinGoError(
        'DATA_COLUMN_MISSING',
        `The dataset '${dataset.name}' has no column '${input.column}', which the model's '${input.name}' wants.`,
      )
    if (sizeOf(column.shape) !== sizeOf(input.shape))
      throw new PinGoError(
        'DATA_SHAPE_MISMATCH',
        `Column '${column.name}' of '${dataset.name}' has the shape [${column.shape}] a sample, the model's '${input.name}' wants [${input.shape}].`,
      )
  }
}

async function readWhole(files: FileStore, ref: FileRef, maxBytes: number, what: string): Promise<Uint8Array> {
  await present(files, ref, what)
  if (ref.bytes > maxBytes)
    throw new PinGoError('FILE_TOO_LARGE', `The ${what} has ${ref.bytes} bytes; the limit is ${maxBytes}.`)
  return files.readAll(ref.cid, maxBytes)
}

async function present(files: FileStore, ref: FileRef, what: string): Promise<void> {
  const missing = (cause?: unknown) =>
    new PinGoError('FILE_MISSING', `The ${what} (${ref.cid}) is not whole on this fog node.`, {
      hint: 'Upload its blocks first.',
      cause,
    })
  const blocks = await files.chunks(ref.cid).catch((error) => {
    throw missing(error)
  })
  if (!blocks.every((cid) => files.blocks.has(cid))) throw missing()
}
