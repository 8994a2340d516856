import type { Column, DatasetManifest } from '@pingo/wire'

/** Some samples as records: for each sample, the bytes of its columns one after another, in the order of the columns. */
export interface RecordBatch {
  rows: number
  /** rows * recordBytes bytes, little-endian. Only valid until the next batch is asked for. */
  data: Uint8Array
  /** Bytes of the source read so far. */
  bytesRead: number
}

/** Samples that can be counted, described and read once, in the order of their file. Every importer makes one. */
export interface Source {
  kind: DatasetManifest['kind']
  /** As in the manifest; mean and std are measured unless they are given here. */
  columns: Column[]
  samples: number
  totalBytes?: number
  /** Samples from this one on are the test split (text); absent: drawn by the seed. */
  testFrom?: number
  /** True when NaN in a float32 input stands for a missing value, to be replaced by the mean of the training split. */
  fillMissing?: boolean
  records(signal?: AbortSignal): AsyncIterable<RecordBatch>
}
