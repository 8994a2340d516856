import {
  type Column,
  type DatasetManifest,
  type FileRef,
  PinGoError,
  readSafetensors,
  sizeOf,
  type TypedArray,
} from '@pingo/wire'

export type ReadFile = (ref: FileRef, signal?: AbortSignal) => Promise<Uint8Array>
export type ShardColumns = ReadonlyMap<string, TypedArray>

/**
 * The shards of a dataset, each read once: those last used stay in memory up to `cacheBytes`, and whoever asks for a shard
 * that is on its way waits for the same read. A shard is checked against the manifest before anyone sees it.
 */
export class ShardCache {
  readonly #manifest: DatasetManifest
  readonly #readFile: ReadFile
  readonly #cacheBytes: number
  /** In the order of last use. */
  readonly #shards = new Map<number, Promise<ShardColumns>>()
  readonly #stop = new AbortController()
  #bytes = 0

  constructor(manifest: DatasetManifest, readFile: ReadFile, cacheBytes: number) {
    this.#manifest = manifest
    this.#readFile = readFile
    this.#cacheBytes = cacheBytes
  }

  get(number: number): Promise<ShardColumns> {
    if (this.#stop.signal.aborted)
      return Promise.reject(new PinGoError('DATASET_CLOSED', 'The dataset has been closed.'))
    const shard = this.#shards.get(number) ?? this.#load(number)
    this.#shards.delete(number)
    this.#shards.set(number, shard)
    return shard
  }

  /** Starts reading a shard if there is room for it beside those in use. Failures show when it is asked for. */
  prefetch(number: number): void {
    if (this.#stop.signal.aborted || this.#shards.has(number)) return
    this.get(number).catch(() => {})
  }

  close(): void {
    this.#stop.abort(new PinGoError('DATASET_CLOSED', 'The dataset has been closed.'))
    this.#shards.clear()
    this.#bytes = 0
  }

  #load(number: number): Promise<ShardColumns> {
    const { file, samples } = this.#manifest.shards[number]!
    this.#makeRoom(file.bytes)
    this.#bytes += file.bytes
    const shard = (async () => {
      const bytes = await this.#readFile(file, this.#stop.signal)
      return checkedShard(this.#manifest, number, samples, bytes)
    })()
    shard.catch(() => {
      if (this.#shards.get(number) !== shard) return
      this.#shards.delete(number)
      this.#bytes -= file.bytes
    })
    return shard
  }

  #makeRoom(bytes: number): void {
    for (const number of this.#shards.keys()) {
      if (this.#bytes + bytes <= this.#cacheBytes) return
      this.#shards.delete(number)
      this.#bytes -= this.#manifest.shards[number]!.file.bytes
    }
  }
}

function checkedShard(manifest: DatasetManifest, number: number, samples: number, bytes: Uint8Array): ShardColumns {
  const expected = manifest.shards[number]!.file.bytes
  if (bytes.byteLength !== expected)
    throw wrongShard(manifest, number, `has ${bytes.byteLength} bytes, its manifest says ${expected}`)
  let tensors: ReturnType<typeof readSafetensors>['tensors']
  try {
    tensors = readSafetensors(bytes).tensors
  } catch (cause) {
    throw wrongShard(manifest, number, 'is not a safetensors file', cause)
  }
  const columns = new Map<string, TypedArray>()
  for (const { column, tensor } of columnsOf(manifest, number, tensors)) {
    if (tensor.data.length !== samples * sizeOf(column.shape))
      throw wrongShard(manifest, number, `has a column '${column.name}' of the wrong length`)
    columns.set(column.name, tensor.data)
  }
  return columns
}

/** The manifest's columns in what a shard holds. @throws PinGoError DATASET_SHARD_INVALID */
export function columnsOf<T extends { dtype: string; shape: readonly number[] }>(
  manifest: DatasetManifest,
  number: number,
  tensors: ReadonlyMap<string, T>,
): { column: Column; tensor: T }[] {
  const { samples } = manifest.shards[number]!
  return manifest.columns.map((column) => {
    const { name, dtype, shape } = column
    const tensor = tensors.get(name)
    if (!tensor) throw wrongShard(manifest, number, `has no column '${name}'`)
    if (tensor.dtype !== dtype || tensor.shape.join() !== [samples, ...shape].join())
      throw wrongShard(
        manifest,
        number,
        `has column '${name}' as ${tensor.dtype} [${tensor.shape}] instead of ${dtype} [${[samples, ...shape]}]`,
      )
    return { column, tensor }
  })
}

export const wrongShard = (manifest: DatasetManifest, number: number, why: string, cause?: unknown) =>
  new PinGoError('DATASET_SHARD_INVALID', `Shard ${number} of dataset '${manifest.name}' ${why}.`, {
    hint: 'Import the dataset again.',
    cause,
  })
