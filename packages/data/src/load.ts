import {
  type BatchInput,
  type Column,
  cidOf,
  type DatasetManifest,
  type FileRef,
  PinGoError,
  sizeOf,
  type Tensor,
} from '@pingo/wire'
import { importDataset } from './import.ts'
import type { FileSink, ImportOptions } from './import-options.ts'
import { openDataset } from './store/dataset.ts'

/** Most bytes of a dataset that is held in memory. */
export const MAX_LOADED_BYTES = 2 ** 30

/** A dataset in memory. */
export interface LoadedDataset {
  /** All samples of each column, [samples, ...shape], by the column's name: `input` (or several) and `target`. */
  tensors: Record<string, Tensor>
  /** What is known of each column: class names, mean and standard deviation, fields. */
  columns: Record<string, Column>
  samples: number
}

/**
 * Imports a file or folder as {@link importDataset} does and holds all of it in memory, already shuffled.
 * @throws PinGoError what `importDataset` throws; DATA_TOO_LARGE beyond {@link MAX_LOADED_BYTES}
 */
export async function loadDataset(
  path: string,
  options: ImportOptions = {},
): Promise<{ train: LoadedDataset; test?: LoadedDataset }> {
  const files = new MemorySink()
  const { train, test } = await importDataset(path, files, options)
  return { train: await loaded(train, files), ...(test ? { test: await loaded(test, files) } : {}) }
}

class MemorySink implements FileSink {
  readonly #files = new Map<string, Uint8Array>()
  #bytes = 0

  async put(content: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileRef> {
    const parts: Uint8Array[] = []
    for await (const part of content instanceof Uint8Array ? [content] : content) {
      this.#bytes += part.byteLength
      if (this.#bytes > MAX_LOADED_BYTES)
        throw new PinGoError('DATA_TOO_LARGE', 'The data have more than 1 GiB: too much to hold in memory.', {
          hint: 'Import them with importDataset and read batches from openDataset.',
        })
      parts.push(part.slice())
    }
    const bytes = parts.length === 1 ? parts[0]! : new Uint8Array(Buffer.concat(parts))
    const cid = cidOf(bytes).toString()
    this.#files.set(cid, bytes)
    return { cid, bytes: bytes.byteLength }
  }

  read = async ({ cid }: FileRef): Promise<Uint8Array> => this.#files.get(cid)!
}

async function loaded(manifest: DatasetManifest, { read }: MemorySink): Promise<LoadedDataset> {
  const dataset = openDataset(manifest, read)
  const { samples } = dataset
  const inputs = manifest.columns.map(
    ({ name, dtype, shape }): BatchInput => ({ name, column: name, dtype, shape: [...shape] }),
  )
  const bytes = inputs.reduce((sum, { shape }) => sum + samples * sizeOf(shape), 0)
  if (bytes > MAX_LOADED_BYTES)
    throw new PinGoError('DATA_TOO_LARGE', `Dataset '${manifest.name}' is too large to hold in memory.`)
  const arrays = await dataset.batch(
    Uint32Array.from({ length: samples }, (_, i) => i),
    inputs,
  )
  dataset.close()
  const tensors = inputs.map(({ name, dtype, shape }): [string, Tensor] => [
    name,
    { dtype, shape: [samples, ...shape], data: arrays[name]! },
  ])
  return {
    tensors: Object.fromEntries(tensors),
    columns: Object.fromEntries(manifest.columns.map((column) => [column.name, column])),
    samples,
  }
}
