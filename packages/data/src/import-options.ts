import type { DatasetManifest, FileRef } from '@pingo/wire'
import type { ImportLimits } from './limits.ts'

/** Where files go; storage implements it. */
export interface FileSink {
  put(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<FileRef>
}

export const FORMATS = ['idx', 'csv', 'parquet', 'jsonl', 'npy', 'text', 'images', 'safetensors'] as const
export type Format = (typeof FORMATS)[number]

export interface ImportProgress {
  samples: number
  /** Bytes of the source read so far, and of all of it where known. */
  bytes: number
  totalBytes?: number | undefined
}

export interface ImportOptions {
  /** Default: by the file's extension, its first bytes, or that it is a directory. */
  format?: Format
  /** Name of the dataset. Default: the file's name without its extension. */
  name?: string
  /** Tables: the column to predict (several, parted by commas, for regression). Default: label, target, class or y, else the last. */
  target?: string
  /** Tables: true makes all columns inputs when no target is named. Default false. */
  unlabelled?: boolean
  /** Tables: the columns to predict from. Default: all but the target. */
  features?: string[]
  /** Default: guessed; texts, booleans and few different whole numbers are classes. */
  task?: 'classification' | 'regression'
  /** idx, npy: path of the label file. Default: the sibling by the usual names. Image folder: path of its labels.csv. */
  labels?: string
  /** CSV: whether the first row names the columns. Default: found out. */
  header?: boolean
  /** CSV: the character between cells. Default: found out among , ; tab |. */
  delimiter?: string
  /** Tables, a cell without a value: refuse the file (default), take the field's mean over the training split, or leave out the row. */
  missing?: 'error' | 'mean' | 'drop'
  /** Text: tokens per sample, default 64. */
  context?: number
  /** Text: characters as tokens (default), or byte-level tokens learnt from the text (byte-pair encoding), which take any text. */
  tokenizer?: 'char' | 'bpe'
  /** Text, bpe: how many tokens to learn, 257 … 50,000; a short text may give fewer. Default 512. */
  vocabulary?: number
  /** Images: [height, width] to resize to. Default: the size of the first image, which all must have. */
  imageSize?: readonly [number, number]
  /** Images: grey or colour. Default: as the first image. */
  channels?: 1 | 3
  /** Fraction of the samples for a test split, 0 … 0.9, drawn by the seed (text: its last part). Default 0: none. */
  test?: number
  /** Of the split and the shuffle, default 0. */
  seed?: number
  /** Import with the same fields, classes, categories and vocabulary as this dataset (e.g. a separate test file). */
  like?: DatasetManifest
  /** About how large a shard is, default 4 MiB. */
  shardBytes?: number
  limits?: Partial<ImportLimits>
  signal?: AbortSignal
  onProgress?(progress: ImportProgress): void
}
