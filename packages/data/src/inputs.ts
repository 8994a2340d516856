import { type Column, type DatasetManifest, PinGoError, sizeOf, type Tensor, type TypedArray } from '@pingo/wire'
import { throwIfAborted } from './abort.ts'
import { detectFormat, statOf } from './detect.ts'
import { SourceFile } from './files.ts'
import { classFolders, imagesIn } from './image/image-list.ts'
import { readImage, shapeLike } from './image/image-source.ts'
import { knownNames } from './import.ts'
import type { Format } from './import-options.ts'
import { DEFAULT_LIMITS, type ImportLimits } from './limits.ts'
import { logicalValues } from './store/convert.ts'
import { openCsv } from './table/csv-table.ts'
import { RowEncoder } from './table/encode.ts'
import { openJsonl } from './table/jsonl-table.ts'
import { openParquet } from './table/parquet-table.ts'
import { encodedRows, inputPlan } from './table/table-source.ts'
import { TemporaryDirectory } from './temporary-directory.ts'
import type { ArrayFile } from './tensor/array-file.ts'
import { openIdx } from './tensor/idx.ts'
import { inputArrayLike } from './tensor/input-array.ts'
import { openNpy } from './tensor/npy.ts'
import { openSafetensors } from './tensor/safetensors-file.ts'
import { tokensOf } from './text/codec.ts'
import { unpacked } from './unpack.ts'

/** Rows of a batch when none are asked for: about so many bytes of stored values, and no more than MAX_BATCH_ROWS. */
const BATCH_BYTES = 4 << 20
const MAX_BATCH_ROWS = 65_536

/** Inputs of some samples, without targets. */
export interface InputBatch {
  /** By column name: [rows, ...shape of the column]. */
  inputs: Record<string, Tensor>
  rows: number
  /** How many rows came before this batch. */
  first: number
  /** Text: how many tokens of each row are real; the rest is padding (token 0) at the end of the text. */
  lengths?: number[]
}

export interface InputOptions {
  /** Default: as `importDataset` finds out, or by the kind of the dataset. */
  format?: Format
  header?: boolean
  delimiter?: string
  /** A number cell without a value: refuse the file (default), or take the mean of the training data. */
  missing?: 'error' | 'mean'
  /** Most rows of a batch. Default: about 4 MiB of them. */
  batchRows?: number
  /**
   * `stored` (default): the values as a dataset stores them, what the training graph takes. `logical`: stored * scale + shift
   * as float32 where the column has a scale or shift, what the exported model takes.
   */
  values?: 'stored' | 'logical'
  limits?: Partial<ImportLimits>
  signal?: AbortSignal
}

/**
 * Reads a file as inputs for a model that was trained on `like`, in the file's order, batch by batch: CSV (with or without
 * the target column), JSONL, Parquet, npy, idx, safetensors, an image or a folder of images, a text.
 * @throws PinGoError as `importDataset` does, DATA_UNLIKE when the file is of another kind
 */
export async function* importInputs(
  path: string,
  like: Pick<DatasetManifest, 'columns' | 'kind'>,
  options: InputOptions = {},
): AsyncIterable<InputBatch> {
  const limits: ImportLimits = { ...DEFAULT_LIMITS, ...options.limits }
  const columns = like.columns.filter(({ role }) => role === 'input')
  const recordBytes = columns.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
  const rows =
    options.batchRows ?? Math.max(1, Math.min(MAX_BATCH_ROWS, Math.floor(BATCH_BYTES / Math.max(1, recordBytes))))
  if (!Number.isInteger(rows) || rows < 1 || rows > MAX_BATCH_ROWS)
    throw new PinGoError('DATA_OPTION', `batchRows must be a whole number of 1 … ${MAX_BATCH_ROWS}.`)
  const workspace = new TemporaryDirectory()
  try {
    yield* plainInputs(await unpacked(path, limits, workspace, options.signal), like, options, columns, rows, limits)
  } finally {
    await workspace.remove()
  }
}

async function* plainInputs(
  path: string,
  like: Pick<DatasetManifest, 'columns' | 'kind'>,
  options: InputOptions,
  columns: readonly Column[],
  rows: number,
  limits: ImportLimits,
): AsyncIterable<InputBatch> {
  const format = await formatFor(path, like, options, limits)
  let first = 0
  for await (const batch of batches(path, format, like, columns, rows, options, limits)) {
    throwIfAborted(options.signal)
    const inputs = Object.fromEntries(
      batch.values.map(([column, stored]): [string, Tensor] => {
        const data = options.values === 'logical' ? logicalValues(column, stored) : stored
        const dtype = data instanceof Float32Array ? 'float32' : column.dtype
        return [column.name, { dtype, shape: [batch.rows, ...column.shape], data }]
      }),
    )
    yield { inputs, rows: batch.rows, first, ...(batch.lengths ? { lengths: batch.lengths } : {}) }
    first += batch.rows
  }
  if (first === 0)
    throw new PinGoError('DATA_EMPTY', `'${path}' holds no sample.`, { hint: 'Give a file that holds data.' })
}

interface StoredBatch {
  values: [Column, TypedArray][]
  rows: number
  lengths?: number[]
}

async function formatFor(
  path: string,
  like: Pick<DatasetManifest, 'kind'>,
  options: InputOptions,
  limits: ImportLimits,
): Promise<Format> {
  if (options.format) return options.format
  if (like.kind === 'text') return 'text'
  const found = await detectFormat(path, limits)
  // A table of one column has no separator to know it by.
  return like.kind === 'tabular' && found === 'text' ? 'csv' : found
}

async function* batches(
  path: string,
  format: Format,
  like: Pick<DatasetManifest, 'columns' | 'kind'>,
  columns: readonly Column[],
  rows: number,
  options: InputOptions,
  limits: ImportLimits,
): AsyncIterable<StoredBatch> {
  const { signal } = options
  switch (format) {
    case 'csv':
    case 'jsonl':
    case 'parquet': {
      const known = knownNames(like)
      const table =
        format === 'csv'
          ? await openCsv(path, { ...options, ...(known ? { known } : {}), limits })
          : await (format === 'jsonl' ? openJsonl(path, limits) : openParquet(path, limits))
      try {
        const { fields, means } = inputPlan(table, like)
        const encoder = new RowEncoder(table, fields, undefined, options.missing ?? 'error', means)
        for await (const batch of encodedRows(table, encoder, signal, rows))
          yield { rows: batch.rows, values: [[columns[0]!, batch.floats.slice(0, batch.rows * encoder.inputSize)]] }
      } finally {
        await table.close?.()
      }
      return
    }
    case 'idx':
    case 'npy': {
      const file = await (format === 'idx' ? openIdx : openNpy)(path, limits)
      try {
        yield* arrayBatches(path, new Map([[columns[0]!.name, file]]), columns, rows, signal)
      } finally {
        await file.close()
      }
      return
    }
    case 'safetensors':
      yield* arrayBatches(path, await openSafetensors(path, limits), columns, rows, signal)
      return
    case 'images':
      yield* imageBatches(path, columns, rows, limits, signal)
      return
    case 'text':
      yield* textBatches(path, like, columns[0]!, rows, limits, signal)
  }
}

async function* arrayBatches(
  path: string,
  files: ReadonlyMap<string, ArrayFile>,
  columns: readonly Column[],
  rows: number,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredBatch> {
  const parts = columns.map((column) => {
    const file = files.get(column.name)
    if (!file)
      throw new PinGoError('DATA_UNLIKE', `'${path}' has no input '${column.name}'.`, {
        hint: 'Prepare it as the training data were.',
      })
    return { samples: file.shape[0]!, ...inputArrayLike(file, column) }
  })
  const samples = parts[0]?.samples ?? 0
  if (parts.some((part) => part.samples !== samples))
    throw new PinGoError('DATA_LABEL_COUNT', `'${path}' has inputs of different lengths.`, {
      hint: 'Give each input equally many samples.',
    })
  for (let first = 0; first < samples; first += rows) {
    throwIfAborted(signal)
    const count = Math.min(rows, samples - first)
    const values: StoredBatch['values'] = []
    for (const part of parts) values.push([part.column, await part.read(first, count)])
    yield { rows: count, values }
  }
}

async function* imageBatches(
  path: string,
  columns: readonly Column[],
  rows: number,
  limits: ImportLimits,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredBatch> {
  const column = columns[0]!
  const shape = shapeLike(columns, path)
  const images = await imagesAt(path)
  const pixels = sizeOf(column.shape)
  for (let first = 0; first < images.length; first += rows) {
    const some = images.slice(first, first + rows)
    const data = new Uint8Array(some.length * pixels)
    for (const [i, image] of some.entries()) {
      throwIfAborted(signal)
      data.set((await readImage(image, shape, limits)).planes, i * pixels)
    }
    yield { rows: some.length, values: [[column, data]] }
  }
}

/** The image itself, or those of a folder and of the folders in it, by name. */
async function imagesAt(path: string): Promise<string[]> {
  if (!(await statOf(path)).isDirectory()) return [path]
  const images = await imagesIn(path)
  for (const folder of await classFolders(path)) images.push(...(await imagesIn(`${path}/${folder}`)))
  if (images.length === 0)
    throw new PinGoError('DATA_NO_IMAGES', `'${path}' has no PNG or JPEG images.`, {
      hint: 'Give an image or a folder of images.',
    })
  return images
}

async function* textBatches(
  path: string,
  like: Pick<DatasetManifest, 'kind'>,
  column: Column,
  rows: number,
  limits: ImportLimits,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredBatch> {
  if (!column.vocabulary)
    throw new PinGoError('DATA_UNLIKE', `'${path}' is a text, the dataset to follow holds ${like.kind} data.`, {
      hint: 'Give a file of the same kind.',
    })
  const context = sizeOf(column.shape)
  const file = await SourceFile.open(path, limits)
  try {
    let data = new Int32Array(rows * context)
    let filled = 0
    const batch = (): StoredBatch => {
      const count = Math.ceil(filled / context)
      const lengths = Array.from({ length: count }, (_, i) => Math.min(context, filled - i * context))
      return { rows: count, values: [[column, data.subarray(0, count * context)]], lengths }
    }
    for await (const { tokens } of tokensOf(file, column, signal)) {
      for (let at = 0; at < tokens.length; ) {
        const part = tokens.subarray(at, at + data.length - filled)
        data.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < data.length) continue
        yield batch()
        data = new Int32Array(rows * context)
        filled = 0
      }
    }
    if (filled > 0) yield batch()
  } finally {
    await file.close()
  }
}
