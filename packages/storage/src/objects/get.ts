import type { CID, ObjectManifest } from '@pingo/wire'
import type { ByteRange } from '../files/file-store.ts'
import type { NodeMap } from '../nodes/port.ts'

/** Where a chunk stands in its object; absent for the manifest's own blocks. */
export interface ChunkHint {
  stripe: number
  shard: number
}

/**
 * Where a reader gets blocks from: the network's nodes, or one fog node that a job's contributor may ask. Need not be trusted when it
 * is passed to {@link openObject}: every chunk is checked.
 */
export interface ChunkSource {
  /** Rejects with a PinGoError, BLOCK_MISSING when it cannot be had. */
  get(cid: CID, o: { hint?: ChunkHint; signal?: AbortSignal }): Promise<Uint8Array>
}

export interface OpenOptions {
  /** Public: the UnixFS root. Private: the manifest's CID. */
  id: string
  /** Of a private object. */
  key?: Uint8Array
  /** True length of a private object; with padding when it is not told. */
  bytes?: number
  /** The network's nodes, or one source of chunks. */
  from: NodeMap | ChunkSource
  /** The manifest's CID of a public object, where `from` is a source of chunks and cannot tell. */
  manifestCid?: string
  signal?: AbortSignal
}

/** An object that is open for reading. */
export interface StoredObject {
  readonly id: string
  readonly manifest: ObjectManifest
  /** Bytes that can be read. */
  readonly bytes: number
  /**
   * Its bytes in order, or those of a range, piece by piece, each checked. Several may run at once.
   * @throws PinGoError OBJECT_UNREADABLE (names the stripe, and how many of its shards are lacking), DATA_TAMPERED, or the signal's reason
   */
  read(range?: ByteRange, o?: { signal?: AbortSignal }): AsyncGenerator<Uint8Array>
}

/**
 * Opens an object: finds its caretakers, its manifest and where its shards are.
 * @throws PinGoError OBJECT_MISSING, MANIFEST_MALFORMED, KEY_MISSING (a private object without its key), or the signal's reason
 */
export async function openObject(_o: OpenOptions): Promise<StoredObject> {
  throw new Error('not yet')
}
