/**
 * Content-addressed storage: blocks on disk, files as UnixFS over them, and their way between machines over HTTP, verified by
 * the reader. The formats are those of IPFS (CIDv1, UnixFS, CAR, trustless gateway). Knows nothing of models.
 *
 * @example
 * ```ts
 * const blocks = await BlockStore.open('/var/lib/pingo/blocks', { quotaBytes: 100e9 })
 * const files = new FileStore(blocks)
 * const ref = await files.put(createReadStream('train.safetensors'), { pin: 'dataset' }) // { cid, bytes }
 *
 * const handle = blockHandler(blocks, { authorize: (request) => request.headers.authorization === `Bearer ${token}` })
 * createServer((request, response) => handle(request, response) || response.writeHead(404).end()).listen(4002)
 *
 * // elsewhere: only what is missing travels, and every block is checked
 * await fetchFile(ref, [{ url: 'http://192.0.2.7:4002' }], otherBlocks, { signal })
 * const bytes = await new FileStore(otherBlocks).readAll(ref)
 * ```
 * @module
 */
export { type BlockHandler, type BlockHandlerOptions, blockHandler } from './block-handler.ts'
export { BlockStore, type BlockStoreOptions } from './block-store.ts'
export type { CarImport } from './car.ts'
export { type Certificate, makeCertificate } from './certificate.ts'
export { type Disk, nodeDisk } from './disk.ts'
export { type FetchOptions, type FetchProgress, fetchFile } from './fetch.ts'
export { type ByteRange, type FileSink, FileStore } from './file-store.ts'
export { type HttpAnswer, HttpPool, type HttpRequest, request, type Source } from './http-client.ts'
export type { CidLike } from './key.ts'
export * from './limits.ts'
export type { Pin } from './pins.ts'
export { type PushOptions, type PushProgress, pushFile } from './push.ts'
