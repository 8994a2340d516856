import type { Code, Identity, ObjectManifest, StorageClass } from '@pingo/wire'
import type { NodeMap } from '../nodes/port.ts'
import type { PutJournal } from './journal.ts'

/** Bytes in memory, a stream, or what opens a stream anew: only the last can begin again when its data changed since the last try. */
export type PutSource = Uint8Array | AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>)

export interface PutOptions {
  nodes: NodeMap
  /** Who owns the object: signs its record. */
  owner: Identity
  /** 'hot' by default. */
  class?: StorageClass
  /** Plain, as a UnixFS file that any IPFS client reads. False by default: encrypted. */
  isPublic?: boolean
  /** 32 random bytes that were never used for another object; fresh ones by default. */
  key?: Uint8Array
  /** That of the class by default; small objects and small networks have copies instead. */
  code?: Code
  /** How long the source is, when it is known: for progress, and checked. */
  bytes?: number
  /** Makes the put resumable. */
  journal?: PutJournal
  /**
   * Nodes that the network is known to have, also those that do not answer now: the code is chosen for as many, and the put waits for
   * them or is refused instead of keeping fewer copies. By default those that live.
   */
  minNodes?: number
  /** How long it waits for enough nodes, 30 s by default. */
  waitMs?: number
  /** ms since epoch. */
  clock?: () => number
  random?: (bytes: number) => Uint8Array
  signal?: AbortSignal
  onProgress?: (progress: PutProgress) => void
}

export interface PutProgress {
  /** Bytes of the source in stripes that are stored. */
  bytes: number
  totalBytes: number | undefined
  /** Shards that were stored by this put, and those that an earlier try had stored. */
  shards: number
  resumedShards: number
  /** Shards that went to another node because the first choice failed. */
  replaced: number
  /** Why nothing goes on at the moment. */
  waitingFor?: string
}

export interface PutResult {
  /** Public: the UnixFS root. Private: the manifest's CID. */
  id: string
  manifest: ObjectManifest
  /** The CID of the manifest. */
  manifestCid: string
  /** 32 bytes; lost with them, the object cannot be read. Absent of a public object. */
  key?: Uint8Array
  /** True length: nodes know the padded one only. */
  bytes: number
  /** Of all shards and the manifest's copies. */
  storedBytes: number
  code: Code
  /** Nodes that hold something of it. */
  nodes: number
  /** PeerIds of those that see to it. */
  caretakers: string[]
  /** Sentences that its owner should read. */
  warnings: string[]
}

/**
 * Stores an object on the network's nodes, in constant memory. It is acknowledged, by resolving, only when every shard is synced on a
 * node of its own and every caretaker has its manifest.
 * @throws PinGoError STORAGE_NODES_FEW, SOURCE_CHANGED (a resumed stream is not what it was: put it again), SOURCE_SIZE_MISMATCH, what all
 *   nodes agreed on (QUOTA_EXCEEDED, UNAUTHORIZED …), or the signal's reason
 */
export async function putObject(_source: PutSource, _o: PutOptions): Promise<PutResult> {
  throw new Error('not yet')
}
