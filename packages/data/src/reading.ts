/**
 * `@pingo/data/reading`: for who reads datasets and imports none, as a contributor does. Of the whole package it loads a part alone, because what is
 * loaded stays in memory. In browsers too.
 * @module
 */
export { sampleOrder } from './order/sample-order.ts'
export { type Dataset, openDataset } from './store/dataset.ts'
export { openPagedDataset, type ReadPart } from './store/paged-dataset.ts'
export { type ReadableDataset, readDatasetManifest } from './store/read-manifest.ts'
