import { type FileSink, type ImportOptions, importDataset } from '@pingo/data'
import { fetchFile } from '@pingo/storage'
import {
  type DatasetManifest,
  DatasetManifestSchema,
  decode,
  encode,
  type FileRef,
  MAX_MANIFEST_BYTES,
  PinGoError,
} from '@pingo/wire'
import type { Endpoint } from '../connection.ts'
import { type DataSource, type Job, learnsItself } from '../job-file/settle.ts'
import type { Staging } from '../staging.ts'
import type { Progress } from './progress.ts'

/** A dataset and its manifest's place in the network; `isNew` until it is uploaded. */
export interface ImportedDataset {
  ref: FileRef
  manifest: DatasetManifest
  isNew: boolean
}

export type ImportSettings = Omit<ImportOptions, 'limits' | 'signal' | 'onProgress'>

interface Context {
  staging: Staging
  endpoint(): Promise<Endpoint>
  signal?: AbortSignal
  onProgress?(progress: Progress): void
}

/** A job's training data and, when it names some, its test data: imported from disk or read from the network. */
export async function openJobData(
  job: Job,
  context: Context,
): Promise<{ train: ImportedDataset; test?: ImportedDataset }> {
  const { data } = job
  const settings = importSettingsOf(job)
  const fraction = data.test && 'fraction' in data.test ? data.test.fraction : undefined
  const { train, test } = await open(data.train, { ...settings, test: fraction }, context)
  if (!data.test || 'fraction' in data.test) return { train, test }
  const like = train.manifest
  // Labels named for the training file are not those of the test file: its own are found by the usual names.
  const other = await open(data.test, { ...settings, labels: undefined, like }, context)
  mustHaveColumnsOf(other.train.manifest, like)
  return { train, test: other.train }
}

/** Imports a file or folder of this machine into the staging store. */
export async function importData(
  path: string,
  settings: ImportSettings,
  { staging, signal, onProgress }: Context,
): Promise<{ train: ImportedDataset; test?: ImportedDataset }> {
  const { train, test } = await importDataset(path, staging.files, {
    ...defined(settings),
    signal,
    onProgress: ({ samples, bytes, totalBytes }) =>
      onProgress?.({ stage: 'import', message: `Importing data, ${samples} samples`, done: bytes, total: totalBytes }),
  })
  return {
    train: await store(train, staging.files),
    ...(test ? { test: await store(test, staging.files) } : {}),
  }
}

async function open(source: DataSource, settings: ImportSettings, context: Context) {
  return 'path' in source
    ? importData(source.path, settings, context)
    : { train: await readFromNetwork(source.cid, context), test: undefined }
}

async function store(manifest: DatasetManifest, files: FileSink): Promise<ImportedDataset> {
  return { ref: await files.put(encode(manifest)), manifest, isNew: true }
}

async function readFromNetwork(cid: string, { staging, endpoint, signal }: Context): Promise<ImportedDataset> {
  try {
    await fetchFile(cid, [await endpoint()], staging.blocks, { signal })
    const bytes = await staging.files.readAll(cid, MAX_MANIFEST_BYTES)
    return {
      ref: { cid, bytes: bytes.byteLength },
      manifest: decode(DatasetManifestSchema, bytes, MAX_MANIFEST_BYTES),
      isNew: false,
    }
  } catch (cause) {
    if (signal?.aborted) throw signal.reason
    if (cause instanceof PinGoError && /UNREACHABLE|TIMEOUT|DISK_FULL/.test(cause.code)) throw cause
    throw new PinGoError('DATASET_UNKNOWN', `The fog node has no dataset pingo://${cid}.`, {
      hint: 'See `pingo data ls`, or let the job file name a path.',
      cause,
    })
  }
}

/** The job's seed is not among them: jobs that differ in it alone share one dataset and one split. */
function importSettingsOf({ data, model }: Job): ImportSettings {
  const { target, features, format, task, context, tokenizer, vocabulary, imageSize, labels, missing } = data
  const unlabelled = learnsItself(model)
  return { target, features, format, task, context, tokenizer, vocabulary, imageSize, labels, missing, unlabelled }
}

function mustHaveColumnsOf(test: DatasetManifest, train: DatasetManifest): void {
  for (const column of train.columns) {
    const other = test.columns.find(({ name }) => name === column.name)
    if (!other || String(other.shape) !== String(column.shape))
      throw new PinGoError(
        'DATA_SHAPE_MISMATCH',
        `The test data's ${column.role} '${column.name}' is ${other ? `[${other.shape}]` : 'missing'}, the training data's is [${column.shape}].`,
        { hint: 'Import both from files of the same form.' },
      )
  }
}

const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T
