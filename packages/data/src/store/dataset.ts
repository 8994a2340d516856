import type { BatchInput, DatasetManifest, TypedArray } from '@pingo/wire'
import { placesOf, targetsOf, unlessAborted } from './places.ts'
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
   * type, rows concatenated: indices.length * sizeOf(input.shape) elements. Int64 values come as BigInt64Array. The arrays are the caller's own.
   * @throws PinGoError DATASET_INDEX, DATASET_COLUMN, DATA_SHAPE_MISMATCH, DATA_DTYPE_MISMATCH, DATASET_SHARD_INVALID, ABORTED
   */
  batch(
    indices: ArrayLike<number>,
    inputs: readonly BatchInput[],
    signal?: AbortSignal,
  ): Promise<Record<string, TypedArray>>
  /** Starts reading the shards of these samples, as many as the cache holds; returns at once and never fails. */
  prefetch(indices: ArrayLike<number>): void
  /** Samples that are well prefetched before those in use: more would push these out. 0 where reading ahead gains nothing. */
  readonly lookahead: number
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
  const places = placesOf(manifest)
  const { samples } = places

  /** Rows of the batch by the shard that holds them, in the order of first use. */
  const byShard = (indices: ArrayLike<number>): Map<number, number[]> => {
    const rows = new Map<number, number[]>()
    for (let row = 0; row < indices.length; row++) {
      const shard = places.shardOf(indices[row]!)
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
      const parts = targetsOf(manifest, inputs, indices.length)
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
        const first = places.firstOf(number)
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
    lookahead: 0,
    close: () => cache.close(),
  }
}
