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

export { BlockStore, type BlockStoreOptions } from './blocks/block-store.ts'
export { type Disk, nodeDisk } from './blocks/disk.ts'
export { type CidLike, keyOf } from './blocks/key.ts'
export type { Pin } from './blocks/pins.ts'
export { DiskCache } from './cache/disk-cache.ts'
export { SizedCache, type SizedCacheOptions } from './cache/s3-fifo.ts'
export { NetworkFinder, type NetworkFinderOptions } from './cdn/finder.ts'
export type * from './cdn/port.ts'
export { type Prefetched, type PrefetchOptions, prefetch } from './cdn/prefetch.ts'
export { ReadThrough, type ReadThroughOptions } from './cdn/read-through.ts'
export {
  backupOf,
  MIN_PASSWORD_LENGTH,
  PHRASE_WORDS,
  phraseOf,
  secretOf,
  secretOfBackup,
} from './crypto/backup.ts'
export { openGrant, sealGrant } from './crypto/grant.ts'
export { GrantBook } from './crypto/grant-book.ts'
export { hasKeyring, KEYRING_FILE, Keyring, loadKeyring, restoreKeyring } from './crypto/keyring.ts'
export { paddedBytes } from './crypto/padding.ts'
export { openSealedFile, SealedParts, sealedBytes, sealFile } from './crypto/sealed-file.ts'
export { KEY_BYTES, keyCheck, newObjectKey, openRecord, RECORD_BYTES, sealRecord, TAG_BYTES } from './crypto/segment.ts'
export { isShareLink, type OpenShare, openShareLink, shareLink } from './crypto/share.ts'
export { type Receiver, receiverOf, unwrap, wrap } from './crypto/wrap.ts'
export { Caretaker, type CaretakerOptions } from './durability/care.ts'
export { leafCount, type MerkleProof, merkleProof, merkleRoot, verifyProof } from './durability/merkle.ts'
export {
  type Durability,
  type DurabilityAssumptions,
  durability,
  lossWithin,
  poissonInterval,
} from './durability/model.ts'
export type { CareEvent } from './durability/part-care.ts'
export { type CaredObject, type CaredPart, type CaretakerStore, FORGOTTEN_KEPT_MS } from './durability/ports.ts'
export { ReputationBook, type Standing, type StandingState, type StandingStore } from './durability/reputation.ts'
export { type ErasureCode, erasureCode, type Shard } from './erasure/erasure-code.ts'
export type { CarImport } from './files/car.ts'
export { carOf } from './files/dag-walk.ts'
export { type ByteRange, type Extent, type FileSink, FileStore } from './files/file-store.ts'
export {
  dagBytesOf,
  type Entry,
  type FolderNode,
  folderNodes,
  isSafeName,
  listFolder,
  type ReadBlock,
  readFolder,
  resolvePath,
  type Step,
  type WalkedEntry,
  walkFolder,
} from './files/folder.ts'
export { type FolderEntry, makeFolder } from './files/make-folder.ts'
export { type BlockHandler, type BlockHandlerOptions, blockHandler, type DataPlane } from './gateway/block-handler.ts'
export type { Reads } from './gateway/hot-blocks.ts'
export { nameHandler } from './gateway/name-handler.ts'
export { originForm } from './gateway/read-request.ts'
export * from './limits.ts'
export { Names, type SignedVersion } from './names/names.ts'
export { checkName, type NameVersion, nameOf, parseName, signName } from './names/record.ts'
export { AccessTokens } from './nodes/access.ts'
export { askAllowance } from './nodes/ask-allowance.ts'
export { GroupedDatabase } from './nodes/database.ts'
export { hello } from './nodes/hello.ts'
export { HttpStorageNode } from './nodes/http-node.ts'
export { LocalStorageNode } from './nodes/local-node.ts'
export { Membership, type MembershipOptions } from './nodes/membership.ts'
export { HttpNodeMap, type HttpNodeMapOptions } from './nodes/node-map.ts'
export type { NodeSettings } from './nodes/own-record.ts'
export type { NodeMap, ObjectHealth, ObjectState, StorageNode } from './nodes/port.ts'
export { networkOf } from './nodes/rate.ts'
export { SCRUB_SCHEMA, Scrubber, type ScrubberOptions } from './nodes/scrubber.ts'
export { StorageService, type StorageServiceOptions } from './nodes/service.ts'
export { type StorageHandlerOptions, storageHandler } from './nodes/storage-handler.ts'
export { type ChunkHint, type ChunkSource, type OpenOptions, openObject, type StoredObject } from './objects/get.ts'
export { type JournalStripe, MemoryJournal, type PutJournal, type PutStart } from './objects/journal.ts'
export { type Mended, mendObject } from './objects/mend.ts'
export { forgetObject, type ObjectStatus, statObject } from './objects/owner.ts'
export { proveObject, type ShardProof } from './objects/prove.ts'
export {
  type PutOptions,
  type PutProgress,
  type PutResult,
  type PutSource,
  putCutFile,
  putFolder,
  putObject,
} from './objects/put.ts'
export { shardsAt } from './objects/shards-at.ts'
export { codeFor, DEFAULT_CODE } from './placement/codes.ts'
export type * from './s3/port.ts'
export { isPublicBucketPath } from './s3/public-backend.ts'
export { type Certificate, makeCertificate } from './transfer/certificate.ts'
export { type FetchOptions, type FetchProgress, fetchFile } from './transfer/fetch.ts'
export { fetchBlock } from './transfer/fetch-block.ts'
export { type HttpAnswer, HttpPool, type HttpRequest, type Pace, request, type Source } from './transfer/http-client.ts'
export { isPrivateHost, publicLookup } from './transfer/private-host.ts'
export { type PushOptions, type PushProgress, pushFile } from './transfer/push.ts'
