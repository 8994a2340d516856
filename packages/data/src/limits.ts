import { MAX_CLASSES } from '@pingo/wire'

/** Bounds of what an import reads; each can be raised by `ImportOptions.limits`. */
export interface ImportLimits {
  /** Largest file read, bytes (also of an unpacked .gz). */
  fileBytes: number
  /** Most samples of a dataset. */
  samples: number
  /** Most bytes of all samples, as they are stored. */
  datasetBytes: number
  /** Samples up to this many bytes are shuffled in memory, more by files in a temporary directory. */
  memoryBytes: number
  /** Most columns of a table. */
  columns: number
  /** Longest cell of a table or line of JSON, characters. */
  cellChars: number
  /** Most pixels of one image, as its header declares them. */
  imagePixels: number
  /** Most images of a folder. */
  images: number
  /** Most uncompressed bytes of one row group of a Parquet file, or of a safetensors file: these are held in memory. */
  groupBytes: number
}

export const DEFAULT_LIMITS: Readonly<ImportLimits> = {
  fileBytes: 64 * 2 ** 30,
  samples: 2 ** 31,
  datasetBytes: 64 * 2 ** 30,
  memoryBytes: 256 << 20,
  columns: 20_000,
  cellChars: 1 << 20,
  imagePixels: 64_000_000,
  images: 5_000_000,
  groupBytes: 1 << 30,
}

export const DEFAULT_SHARD_BYTES = 4 << 20
export const MIN_SHARD_BYTES = 1 << 10
export const MAX_SHARD_BYTES = 256 << 20
/** A text column of a table becomes one field per category up to this many. */
export const MAX_CATEGORIES = 100
/** Most different characters of a text. */
export const MAX_VOCABULARY = 65_536
/** Tokens of a byte-level vocabulary: the bytes themselves and at least one merge. */
export const MIN_BPE_VOCABULARY = 257
export const MAX_BPE_VOCABULARY = 50_000
export const DEFAULT_BPE_VOCABULARY = 512
/** Most fields of a packed column: one-hot fields count each. */
export const MAX_FIELDS = MAX_CLASSES
export const DEFAULT_CONTEXT = 64
export const MAX_CONTEXT = 65_536
/** Largest side of an image after resizing, pixels. */
export const MAX_IMAGE_SIDE = 4096
