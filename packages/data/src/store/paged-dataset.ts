import {
  arrayView,
  bytesOf,
  type Column,
  type DatasetManifest,
  type FileRef,
  isPinGoError,
  PinGoError,
  readSafetensorsHeader,
  SAFETENSORS_PREFIX_BYTES,
  type SafetensorsEntry,
  safetensorsHeaderBytes,
  sizeOf,
  type TypedArray,
} from '@pingo/wire'
import type { Dataset } from './dataset.ts'
import { PageCache } from './page-cache.ts'
import { placesOf, targetsOf, unlessAborted } from './places.ts'
import { columnsOf, wrongShard } from './shard-cache.ts'

/** Fills `into` with bytes of a file from `start` on, or rejects. */
export type ReadPart = (file: FileRef, start: number, into: Uint8Array, signal?: AbortSignal) => Promise<void>

/** Memory of a dataset's pages: two windows of the order of a job's samples (2048 samples) where a sample has a kilobyte. */
export const DEFAULT_PAGE_CACHE_BYTES = 8 << 20
/** A page is as many neighbouring rows of a column of one shard as have room in it; a row that is larger is a page of its own. */
const PAGE_BYTES = 128 << 10
/** Reading of samples begins at most so many before they are wanted: enough for a disk, little beside a window of a job's order. */
const MAX_LOOKAHEAD = 512
/** Pages that are read at the same time. */
const PARALLEL_READS = 4

interface PageOf {
  shard: number
  column: number
  page: number
}

/**
 * Opens a dataset of which little is in memory: rows are read from its shards' files a page at a time, when they are asked for. For readers that
 * have the files at hand, on a disk; {@link openDataset} reads each file once, as a whole.
 * @throws PinGoError DATASET_INVALID
 */
export function openPagedDataset(
  manifest: DatasetManifest,
  readPart: ReadPart,
  { cacheBytes = DEFAULT_PAGE_CACHE_BYTES }: { cacheBytes?: number } = {},
): Dataset {
  const places = placesOf(manifest)
  const { columns, shards } = manifest
  const cache = new PageCache(cacheBytes)
  const stop = new AbortController()
  const rowBytes = columns.map(({ dtype, shape }) => sizeOf(shape) * bytesOf(dtype))
  const pageRows = rowBytes.map((bytes) => Math.max(1, Math.floor(PAGE_BYTES / Math.max(1, bytes))))
  /** Where the columns begin in a shard's file, by its header; what failed is tried again. */
  const starts = new Map<number, Promise<number[]>>()
  /** pages[s * columns + c] is the number of the first page of a column of a shard. */
  const firstPage = new Float64Array(shards.length * columns.length + 1)
  for (const [s, { samples }] of shards.entries())
    for (const [c, rows] of pageRows.entries()) {
      const i = s * columns.length + c
      firstPage[i + 1] = firstPage[i]! + Math.ceil(samples / rows)
    }

  const startsOf = (shard: number): Promise<number[]> => {
    const known = starts.get(shard)
    if (known) return known
    const read = readStarts(manifest, shard, (start, into) => readPart(shards[shard]!.file, start, into, stop.signal))
    starts.set(shard, read)
    read.catch(() => starts.delete(shard))
    return read
  }

  const usePage = ({ shard, column, page }: PageOf, take?: (rows: TypedArray) => void): Promise<void> => {
    const { file, samples } = shards[shard]!
    const from = page * pageRows[column]!
    const bytes = Math.min(pageRows[column]!, samples - from) * rowBytes[column]!
    const read = async (into: Uint8Array) => {
      const start = (await startsOf(shard))[column]! + from * rowBytes[column]!
      await readPart(file, start, into, stop.signal)
      return arrayView(columns[column]!.dtype, into)
    }
    return cache.use(firstPage[shard * columns.length + column]! + page, bytes, read, take)
  }

  /** Which rows of a batch lie in which page of a column. */
  const pagesOf = (indices: ArrayLike<number>, column: number): (PageOf & { rows: number[] })[] => {
    const pages = new Map<number, PageOf & { rows: number[] }>()
    for (let row = 0; row < indices.length; row++) {
      const shard = places.shardOf(indices[row]!)
      const page = Math.floor((indices[row]! - places.firstOf(shard)) / pageRows[column]!)
      const number = firstPage[shard * columns.length + column]! + page
      const found = pages.get(number)
      if (found) found.rows.push(row)
      else pages.set(number, { shard, column, page, rows: [row] })
    }
    return [...pages.values()]
  }

  const checkOpen = () => {
    if (stop.signal.aborted) throw new PinGoError('DATASET_CLOSED', 'The dataset has been closed.')
  }

  return {
    manifest,
    samples: places.samples,
    async batch(indices, inputs, signal) {
      checkOpen()
      const targets = targetsOf(manifest, inputs, indices.length)
      const work = targets.flatMap((target) =>
        pagesOf(indices, columns.indexOf(target.column)).map((page) => ({ ...target, ...page })),
      )
      let next = 0
      const worker = async (): Promise<void> => {
        for (let one = work[next++]; one; one = work[next++]) {
          const { shard, column, page, rows, size, copy, target } = one
          const first = places.firstOf(shard) + page * pageRows[column]!
          await usePage(one, (source) => {
            for (const row of rows) copy(source, (indices[row]! - first) * size, target, row * size, size)
          })
        }
      }
      await unlessAborted(Promise.all(Array.from({ length: PARALLEL_READS }, worker)), signal)
      return Object.fromEntries(targets.map(({ input, target }) => [input.name, target]))
    },
    prefetch(indices) {
      if (stop.signal.aborted) return
      const inside = Array.from(indices).filter((i) => Number.isInteger(i) && i >= 0 && i < places.samples)
      let room = cacheBytes / 2
      for (const column of columns.keys())
        for (const page of pagesOf(inside, column)) {
          room -= pageRows[column]! * rowBytes[column]!
          if (room < 0) return
          if (!cache.has(firstPage[page.shard * columns.length + column]! + page.page))
            usePage(page).catch(() => undefined)
        }
    },
    lookahead: Math.min(MAX_LOOKAHEAD, Math.floor(cacheBytes / 2 / rowBytes.reduce((sum, bytes) => sum + bytes, 0))),
    close() {
      stop.abort(new PinGoError('DATASET_CLOSED', 'The dataset has been closed.'))
      cache.clear()
    },
  }
}

/** Reads a shard's header, and checks it against the manifest. @returns where each column's first row begins in the file */
async function readStarts(
  manifest: DatasetManifest,
  number: number,
  read: (start: number, into: Uint8Array) => Promise<void>,
): Promise<number[]> {
  const { file } = manifest.shards[number]!
  let entries: ReadonlyMap<string, SafetensorsEntry>
  try {
    const prefix = new Uint8Array(Math.min(SAFETENSORS_PREFIX_BYTES, file.bytes))
    await read(0, prefix)
    const header = new Uint8Array(safetensorsHeaderBytes(prefix, file.bytes))
    await read(SAFETENSORS_PREFIX_BYTES, header)
    entries = readSafetensorsHeader(header, file.bytes).entries
  } catch (cause) {
    if (!isPinGoError(cause, 'SAFETENSORS_MALFORMED')) throw cause
    throw wrongShard(manifest, number, 'is not a safetensors file', cause)
  }
  return columnsOf(manifest, number, entries).map(
    ({ tensor }: { column: Column; tensor: SafetensorsEntry }) => tensor.start,
  )
}
