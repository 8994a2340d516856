import { basename } from 'node:path'
import { type DatasetManifest, PinGoError } from '@pingo/wire'
import { detectFormat, findSplits, statOf } from './detect.ts'
import { imageSource } from './image/image-source.ts'
import { type FileSink, FORMATS, type ImportOptions } from './import-options.ts'
import { DEFAULT_LIMITS, DEFAULT_SHARD_BYTES, type ImportLimits, MAX_SHARD_BYTES, MIN_SHARD_BYTES } from './limits.ts'
import type { Source } from './store/source.ts'
import { writeDataset } from './store/write-dataset.ts'
import { openCsv } from './table/csv-table.ts'
import { openJsonl } from './table/jsonl-table.ts'
import { openParquet } from './table/parquet-table.ts'
import { tableSource } from './table/table-source.ts'
import { TemporaryDirectory } from './temporary-directory.ts'
import { openIdx } from './tensor/idx.ts'
import { labelPath } from './tensor/label-path.ts'
import { openNpy } from './tensor/npy.ts'
import { openSafetensors } from './tensor/safetensors-file.ts'
import { pairOf, tensorSource } from './tensor/tensor-source.ts'
import { textSource } from './text/text-source.ts'
import { unpacked } from './unpack.ts'

/** Largest fraction of the samples for testing. */
export const MAX_TEST_FRACTION = 0.9

/**
 * Imports a file (also packed by gzip) or folder as a dataset: finds out what it is, shuffles its samples by the seed in bounded memory, puts
 * shards of about `shardBytes` into the sink and describes them by a manifest. A folder that holds both splits
 * (train-images… and t10k-images…, train.csv and test.csv, folders train and test) gives both.
 *
 * @throws PinGoError DATA_FILE_MISSING, DATA_EMPTY, DATA_FORMAT, DATA_TRUNCATED, DATA_ROW_RAGGED, DATA_NOT_A_NUMBER,
 *   DATA_MISSING_VALUE, DATA_LABEL_COUNT, DATA_NO_COLUMN, DATA_TOO_LARGE, … and ABORTED; nothing is left behind but shards
 *   that no manifest names
 */
export async function importDataset(
  path: string,
  sink: FileSink,
  options: ImportOptions = {},
): Promise<{ train: DatasetManifest; test?: DatasetManifest }> {
  checkOptions(options)
  const limits: ImportLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const name = options.name ?? nameOf(path)
  const splits = options.format === undefined && (await statOf(path)).isDirectory() ? await findSplits(path) : undefined
  if (splits) {
    if (options.test)
      throw new PinGoError('DATA_OPTION', `'${path}' holds a test split already.`, {
        hint: 'Leave out test, or import the training part alone.',
      })
    const { train } = await importDataset(splits.train, sink, { ...options, name })
    const { train: test } = await importDataset(splits.test, sink, {
      ...options,
      name: `${name}-test`,
      labels: undefined,
      like: train,
    })
    return { train, test }
  }
  const opened: Closable[] = []
  const workspace = new TemporaryDirectory()
  const unpack = (file: string) => unpacked(file, limits, workspace, options.signal)
  try {
    const plain = await unpack(path)
    const format = options.format ?? (await detectFormat(plain, limits))
    const source = await openSource(format, plain, path, { options, limits, opened, unpack })
    return await writeDataset(source, sink, {
      name,
      source: basename(path),
      seed: options.seed ?? 0,
      test: options.test ?? 0,
      shardBytes: options.shardBytes ?? DEFAULT_SHARD_BYTES,
      limits,
      workspace,
      ...(options.signal ? { signal: options.signal } : {}),
      ...(options.onProgress ? { onProgress: options.onProgress.bind(options) } : {}),
    })
  } finally {
    for (const file of opened) await file.close?.()
    await workspace.remove()
  }
}

/** What stays open while an import reads from it. */
interface Closable {
  close?(): Promise<void>
}

interface Opening {
  options: ImportOptions
  limits: ImportLimits
  opened: Closable[]
  unpack(path: string): Promise<string>
}

/** @param given the path as the caller named it, beside which label files lie */
async function openSource(
  format: (typeof FORMATS)[number],
  path: string,
  given: string,
  { options, limits, opened, unpack }: Opening,
): Promise<Source> {
  const keep = async <T extends Closable>(opening: Promise<T>): Promise<T> => {
    const file = await opening
    opened.push(file)
    return file
  }
  switch (format) {
    case 'csv':
      return tableSource(await openCsv(path, { ...options, known: knownNames(options.like), limits }), options)
    case 'jsonl':
      return tableSource(await openJsonl(path, limits), options)
    case 'parquet':
      return tableSource(await keep(openParquet(path, limits)), options)
    case 'text':
      return textSource(path, options, limits)
    case 'images':
      return imageSource(path, options, limits)
    case 'safetensors': {
      const { inputs, target } = pairOf(path, await openSafetensors(path, limits), options.target)
      return tensorSource(inputs, target, options, false)
    }
    case 'idx':
    case 'npy': {
      const open = format === 'idx' ? openIdx : openNpy
      const input = await keep(open(path, limits))
      const target = await keep(open(await unpack(options.labels ?? (await labelPath(given))), limits))
      return tensorSource(new Map([['input', input]]), target, options, format === 'idx')
    }
  }
}

/** Names that the header of a table would hold if it is like this dataset. */
export function knownNames(like: Pick<DatasetManifest, 'columns'> | undefined): ReadonlySet<string> | undefined {
  if (!like) return undefined
  return new Set(
    like.columns.flatMap(({ fields, categories }) => [...(fields ?? []), ...Object.keys(categories ?? {})]),
  )
}

function nameOf(path: string): string {
  const name = basename(path)
  const stem = name
    .replace(/\.gz$/i, '')
    .replace(/\.(csv|tsv|parquet|pq|jsonl|ndjson|npy|txt|md|safetensors|idx)$/i, '')
  return (stem || name || 'dataset').slice(0, 400)
}

function checkOptions(options: ImportOptions): void {
  const wrong = (message: string) => new PinGoError('DATA_OPTION', message)
  const { format, test = 0, seed = 0, shardBytes = DEFAULT_SHARD_BYTES, limits } = options
  if (format !== undefined && !FORMATS.includes(format))
    throw wrong(`The format '${String(format)}' is not one of ${FORMATS.join(', ')}.`)
  if (!(test >= 0 && test <= MAX_TEST_FRACTION))
    throw wrong(`test must be a fraction of 0 … ${MAX_TEST_FRACTION}, it is ${test}.`)
  if (!Number.isSafeInteger(seed) || seed < 0) throw wrong(`seed must be a whole number from 0 on, it is ${seed}.`)
  if (!(shardBytes >= MIN_SHARD_BYTES && shardBytes <= MAX_SHARD_BYTES))
    throw wrong(`shardBytes must be ${MIN_SHARD_BYTES} … ${MAX_SHARD_BYTES}, it is ${shardBytes}.`)
  if (options.missing !== undefined && !['error', 'mean', 'drop'].includes(options.missing))
    throw wrong("missing must be 'error', 'mean' or 'drop'.")
  if (options.task !== undefined && !['classification', 'regression'].includes(options.task))
    throw wrong("task must be 'classification' or 'regression'.")
  if (options.tokenizer !== undefined && !['char', 'bpe'].includes(options.tokenizer))
    throw wrong("tokenizer must be 'char' or 'bpe'.")
  if (options.channels !== undefined && options.channels !== 1 && options.channels !== 3)
    throw wrong('channels must be 1 or 3.')
  for (const [name, value] of Object.entries(limits ?? {}))
    if (!(name in DEFAULT_LIMITS) || !(typeof value === 'number' && value > 0))
      throw wrong(`limits.${name} must be a number above 0 of a limit that exists.`)
}
