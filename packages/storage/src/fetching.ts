/**
 * `@pingo/storage/fetching`: for who fetches files, keeps their blocks and serves none, as a contributor does. Of the whole package it loads a part alone,
 * because what is loaded stays in memory.
 * @module
 */
export { BlockStore, type BlockStoreOptions } from './blocks/block-store.ts'
export type { Disk } from './blocks/disk.ts'
export { keyOf } from './blocks/key.ts'
export { DiskCache } from './cache/disk-cache.ts'
export { GrantBook } from './crypto/grant-book.ts'
export { openSealedFile, SealedParts } from './crypto/sealed-file.ts'
export { type Extent, FileStore } from './files/file-store.ts'
export { GroupedDatabase } from './nodes/database.ts'
export { SCRUB_SCHEMA, Scrubber } from './nodes/scrubber.ts'
export { fetchFile } from './transfer/fetch.ts'
export { HttpPool, request, type Source } from './transfer/http-client.ts'
