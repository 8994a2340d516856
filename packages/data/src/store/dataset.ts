import { type BatchInput, type DatasetManifest, PinGoError, sizeOf, type TypedArray } from '@pingo/wire'
import { copier, emptyInput } from './convert.ts'
import { type ReadFile, ShardCache } from './shard-cache.ts'

export const DEFAULT_CACHE_BYTES = 128 << 20
/** Shards of one batch that are read at the same time. */
const PARALLEL_READS = 4

/** A dataset whose samples are read when they are asked for. */
export interface Dataset {
  readonly manifest: DatasetManifest
  readonly samples: number
  /**
   * The samples of `indices`, in this order: for each input its column's stored values (no scale, no shift) as its element
   * type, rows concatenated: indices.length * sizeOf(input.shape) elements. Int64 values come as BigInt64Array.
   * @throws PinGoError DATASET_INDEX, DATASET_COLUMN, DATA_SHAPE_MISMATCH, DATA_DTYPE_MISMATCH, DATASET_SHARD_INVALID, ABORTED
   */
  batch(
    indices: ArrayLike<number>,
    inputs: readonly BatchInput[],
    signal?: AbortSignal,
  ): Promise<Record<string, TypedArray>>
  /** Starts reading the shards of these samples, as many as the cache holds; returns at once and never fails. */
  prefetch(indices: ArrayLike<number>): void
  /** Stops pending reads and forgets the cache. */
  close(): void
}

/**
 * Opens a dataset over its shards. Each shard is read once by `readFile` and kept while it is among those last used, up to
 * `cacheBytes`; readers of the same shard share one read.
 */
export function openDataset(
  manifest: DatasetManifest,
  readFile: ReadFile,
  options: { cacheBytes?: number } = {},
): Dataset {
  const cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES
  const cache = new ShardCache(manifest, readFile, cacheBytes)
  /** ends[s] is the first sample after shard s. */
  const ends = new Float64Array(manifest.shards.length)
  let samples = 0
  for (const [i, shard] of manifest.shards.entries()) ends[i] = samples += shard.samples
  if (samples !== manifest.samples)
    throw new PinGoError(
      'DATASET_INVALID',
      `Dataset '${manifest.name}' says ${manifest.samples} samples, its shards have ${samples}.`,
    )

  /** Rows of the batch by the shard that holds them, in the order of first use. */
  const byShard = (indices: ArrayLike<number>): Map<number, number[]> => {
    const rows = new Map<number, number[]>()
    for (let row = 0; row < indices.length; row++) {
      const index = indices[row]!
      if (!Number.isInteger(index) || index < 0 || index >= samples)
        throw new PinGoError(
          'DATASET_INDEX',
          `Sample ${index} is not one of the ${samples} of dataset '${manifest.name}'.`,
        )
      const shard = shardOf(ends, index)
      const list = rows.get(shard)
      if (list) list.push(row)
      else rows.set(shard, [row])
    }
    return rows
  }

  return {
    manifest,
    samples,
    async batch(indices, inputs, signal) {
      const parts = inputs.map((input) => {
        const column = manifest.columns.find(({ name }) => name === input.column)
        if (!column)
          throw new PinGoError('DATASET_COLUMN', `Dataset '${manifest.name}' has no column '${input.column}'.`, {
            hint: `It has ${manifest.columns.map(({ name }) => `'${name}'`).join(', ')}.`,
          })
        return {
          input,
          size: sizeOf(input.shape),
          copy: copier(column, input),
          target: emptyInput(input, indices.length),
        }
      })
      const shards = [...byShard(indices)]
      /** Starts the reads of the shards after the one in use, as far as the cache can hold them all. */
      const ahead = (from: number) => {
        let room = cacheBytes - manifest.shards[shards[from - 1]![0]]!.file.bytes
        for (const [number] of shards.slice(from, from + PARALLEL_READS)) {
          room -= manifest.shards[number]!.file.bytes
          if (room >= 0) cache.prefetch(number)
        }
      }
      for (const [i, [number, rows]] of shards.entries()) {
        const wanted = cache.get(number)
        ahead(i + 1)
        const shard = await unlessAborted(wanted, signal)
        const first = number === 0 ? 0 : ends[number - 1]!
        for (const { input, size, copy, target } of parts) {
          const source = shard.get(input.column)!
          for (const row of rows) copy(source, (indices[row]! - first) * size, target, row * size, size)
        }
      }
      return Object.fromEntries(parts.map(({ input, target }) => [input.name, target]))
    },
    prefetch(indices) {
      let room = cacheBytes
      const inside = Array.from(indices).filter((i) => Number.isInteger(i) && i >= 0 && i < samples)
      for (const number of byShard(inside).keys()) {
        room -= manifest.shards[number]!.file.bytes
        if (room < 0) return
        cache.prefetch(number)
      }
    },
    close: () => cache.close(),
  }
}

function shardOf(ends: Float64Array, index: number): number {
  let low = 0
  let high = ends.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ends[middle]! <= index) low = middle + 1
    else high = middle
  }
  return low
}

/** Waits for a shared read; who gives up waiting does not stop it for the others. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  const aborted = () => new PinGoError('ABORTED', 'Reading the batch was stopped.', { cause: signal.reason })
  if (signal.aborted) throw aborted()
  let stop: () => void = () => {}
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(aborted())
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
