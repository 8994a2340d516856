/**
 * Datasets: a file or a folder becomes shards of tensors, a manifest and a seeded order of samples.
 *
 * ```ts
 * const { train, test } = await importDataset('iris.csv', sink, { test: 0.2, seed: 1 })
 * const dataset = openDataset(train, readFile)
 * const order = sampleOrder({ samples: dataset.samples, seed: 1 })
 * const { input, target } = await dataset.batch(order.indices(0, 64), [
 *   { name: 'input', column: 'input', dtype: 'float32', shape: [4] },
 *   { name: 'target', column: 'target', dtype: 'int32', shape: [] },
 * ])
 * ```
 *
 * Knows files, tables, images and tensors; nothing of networks, models or jobs.
 * @module
 */
export { importDataset, MAX_TEST_FRACTION } from './import.ts'
export { type FileSink, FORMATS, type Format, type ImportOptions, type ImportProgress } from './import-options.ts'
export { type InputBatch, type InputOptions, importInputs } from './inputs.ts'
export { DEFAULT_LIMITS, DEFAULT_SHARD_BYTES, type ImportLimits } from './limits.ts'
export { type LoadedDataset, loadDataset, MAX_LOADED_BYTES } from './load.ts'
export {
  DEFAULT_BLOCK_SAMPLES,
  DEFAULT_WINDOW_BLOCKS,
  type SampleOrder,
  type SampleOrderOptions,
  sampleOrder,
} from './order/sample-order.ts'
export { logicalValues } from './store/convert.ts'
export { type Dataset, DEFAULT_CACHE_BYTES, openDataset } from './store/dataset.ts'
export { DEFAULT_PAGE_CACHE_BYTES, openPagedDataset, type ReadPart } from './store/paged-dataset.ts'
export { decodeDataset, type ReadableDataset, readDatasetManifest, type Unseal } from './store/read-manifest.ts'
export type { ReadFile } from './store/shard-cache.ts'
export { tokenizerJson } from './text/bpe/bpe-ids.ts'
export { type TextCodec, type TokenColumn, textCodec, tokenText } from './text/codec.ts'
