import { decodeDataset, type FileSink, type ImportOptions, importDataset, readDatasetManifest } from '@pingo/data'
import { fetchFile } from '@pingo/storage'
import { type DatasetManifest, encode, type FileRef, MAX_MANIFEST_BYTES, PinGoError } from '@pingo/wire'
import type { Endpoint } from '../connection.ts'
import { type DataSource, type Job, learnsItself } from '../job-file/settle.ts'
import type { Staging } from '../staging.ts'
import { ownersUnseal, SealingSink } from './private.ts'
import type { Progress } from './progress.ts'

/** A dataset and its place in the network. */
export interface ImportedDataset {
  ref: FileRef
  manifest: DatasetManifest
  /** What is to be uploaded, its own file last; none when it is in the network. */
  files: FileRef[]
  /** Of private data. */
  key?: Uint8Array
}

export interface ImportSettings extends Omit<ImportOptions, 'limits' | 'signal' | 'onProgress'> {
  /** Encrypts the data on this machine, by a key that is derived from the owner's storage key. Default false. */
  private?: boolean
}

interface Context {
  staging: Staging
  /** Where the owner's storage key is. */
  home: string
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
  { private: isPrivate, ...settings }: ImportSettings,
  { staging, home, signal, onProgress }: Context,
): Promise<{ train: ImportedDataset; test?: ImportedDataset }> {
  const sink = isPrivate ? await SealingSink.open(staging.files, home) : staging.files
  const { train, test } = await importDataset(path, sink, {
    ...defined(settings),
    signal,
    onProgress: ({ samples, bytes, totalBytes }) =>
      onProgress?.({ stage: 'import', message: `Importing data, ${samples} samples`, done: bytes, total: totalBytes }),
  })
  return {
    train: await store(train, sink),
    ...(test ? { test: await store(test, sink) } : {}),
  }
}

async function open(source: DataSource, settings: ImportSettings, context: Context) {
  return 'path' in source
    ? importData(source.path, settings, context)
    : { train: await readFromNetwork(source.cid, context), test: undefined }
}

async function store(manifest: DatasetManifest, sink: FileSink): Promise<ImportedDataset> {
  const shards = manifest.shards.map(({ file }) => file)
  const ref = await sink.put(encode(manifest))
  if (!(sink instanceof SealingSink)) return { ref, manifest, files: [...shards, ref] }
  const files = await sink.finish(ref, shards)
  return { ref: files.at(-1)!, manifest, files, key: sink.key }
}

async function readFromNetwork(cid: string, { staging, home, endpoint, signal }: Context): Promise<ImportedDataset> {
  try {
    const source = await endpoint()
    const read = async (file: string) => {
      await fetchFile(file, [source], staging.blocks, { signal })
      return staging.files.readAll(file, 2 * MAX_MANIFEST_BYTES)
    }
    const bytes = await read(cid)
    const ref = { cid, bytes: bytes.byteLength }
    const stored = decodeDataset(bytes)
    if (stored.type === 'pingo/dataset') return { ref, manifest: stored, files: [] }
    const { unseal, keyOf } = await ownersUnseal(home)
    const { manifest } = await readDatasetManifest(ref, (file) => read(file.cid), unseal)
    return { ref, manifest, files: [], key: keyOf(stored) }
  } catch (cause) {
    if (signal?.aborted) throw signal.reason
    if (cause instanceof PinGoError && /UNREACHABLE|TIMEOUT|DISK_FULL|KEYRING/.test(cause.code)) throw cause
    if (cause instanceof PinGoError && cause.code === 'DATA_TAMPERED')
      throw new PinGoError('DATASET_PRIVATE', `The dataset pingo://${cid} is private, and not yours.`, {
        hint: 'If you imported it on another machine, restore its storage key here: pingo store keys restore.',
        cause,
      })
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
  return {
    target,
    features,
    format,
    task,
    context,
    tokenizer,
    vocabulary,
    imageSize,
    labels,
    missing,
    unlabelled,
    private: data.private,
  }
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
