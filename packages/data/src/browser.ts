/**
 * What a browser's bundle gets for `@pingo/data` (condition `browser` in package.json): all that reads datasets. Importing takes Node.
 * @module
 */
export { type SampleOrder, type SampleOrderOptions, sampleOrder } from './order/sample-order.ts'
export { logicalValues } from './store/convert.ts'
export { type Dataset, DEFAULT_CACHE_BYTES, openDataset } from './store/dataset.ts'
export { decodeDataset, type ReadableDataset, readDatasetManifest, type Unseal } from './store/read-manifest.ts'
export type { ReadFile } from './store/shard-cache.ts'
