import type { ChunkProof, CID, Commit, Locations, NodeRecord } from '@pingo/wire'
import type { OnFirstLeaf, OnProgress } from '../cdn/port.ts'

export interface CallOptions {
  signal?: AbortSignal
}

export interface ChunkOptions extends CallOptions {
  rtt?: number
  bytes?: number
  onProgress?: OnProgress
  onFirstLeaf?: OnFirstLeaf
}

/** What an object's caretaker tells of it. */
export interface ObjectState {
  /** Sealed by its owner (`OBJECT_RECORD_TYPE`). */
  record: Uint8Array
  health: ObjectHealth
  /** The owner's sealed word that it is kept no longer (`FORGET_TYPE`); remembered long after the object is gone. */
  forgotten?: Uint8Array
}

export interface ObjectHealth {
  /** ms since epoch; undefined before the first check. */
  checkedAt: number | undefined
  /** Stripes by how many shards were there at the last check: `{ 16: 409, 15: 1 }`. */
  stripesByShards: Record<number, number>
}

/**
 * A fog node as clients and other fog nodes use it. Whatever it returns was verified against what was asked for: no holder is trusted.
 * Every call rejects with a PinGoError: SOURCE_UNREACHABLE, or what the node said (BLOCK_MISSING, QUOTA_EXCEEDED, UNAUTHORIZED …).
 */
export interface StorageNode {
  readonly record: NodeRecord
  /** Stores a chunk under the lease of an upload; synced to disk when it resolves. */
  putChunk(cid: CID, bytes: Uint8Array, o: CallOptions & { upload: string }): Promise<void>
  /**
   * A chunk's bytes, whole and matching its CID.
   * @param o.rtt round trip to the node, ms: over a long link more connections are opened for what somebody waits for
   * @param o.bytes how long it is, where that is known
   * @param o.onProgress told of bytes before they are checked; a node may tell nothing
   * @param o.onFirstLeaf told of the first leaf over a long link; a node may tell nothing
   */
  getChunk(cid: CID, o?: ChunkOptions): Promise<Uint8Array>
  /** Those of `cids` that are not there. */
  missing(cids: readonly CID[], o?: CallOptions): Promise<CID[]>
  /**
   * Renews the leases of chunks for an object until `until` (ms since epoch); a later end that was promised stays.
   * @param o.record the object's record, sealed by its owner: then the chunks count to the owner, not to the caretaker that asks
   * @returns those that are not there
   */
  keep(object: string, cids: readonly CID[], until: number, o?: CallOptions & { record?: Uint8Array }): Promise<CID[]>
  /** Ends an object's leases. */
  drop(object: string, o?: CallOptions): Promise<void>
  /** Proves that it has leaf `leaf` of a chunk. The path and the signature are for the caller to check. */
  challenge(cid: CID, leaf: number, nonce: Uint8Array, o?: CallOptions): Promise<ChunkProof>
  /**
   * Makes it a caretaker of the object; durable when it resolves. The blocks of the manifest were put before. From the owner, or from
   * a caretaker that hands over. Of a part's locations the newer version stays. OBJECT_FORGOTTEN: its owner said so later than the record.
   */
  commit(commit: Commit, o?: CallOptions): Promise<void>
  /** What it knows as a caretaker, undefined when it is none. */
  object(id: string, o?: CallOptions): Promise<ObjectState | undefined>
  /** Where the shards of a part of the manifest are, as far as this caretaker knows. */
  locations(id: string, part: number, o?: CallOptions): Promise<Locations>
  /** Tells a caretaker where the shards of a part are by now; it keeps what it has when that is as new. OBJECT_MISSING: it is no caretaker. */
  relocate(id: string, part: number, locations: Locations, o?: CallOptions): Promise<void>
  /** Ends its care, by the owner's sealed word (`FORGET_TYPE`). */
  forget(id: string, sealed: Uint8Array, o?: CallOptions): Promise<void>
  /** The newest signed record of a name (IPNS), undefined when it knows none. */
  getName(name: string, o?: CallOptions): Promise<Uint8Array | undefined>
  /** All records of a name that it keeps, newest first. */
  nameVersions(name: string, o?: CallOptions): Promise<Uint8Array[]>
  putName(name: string, record: Uint8Array, o?: CallOptions): Promise<void>
}

/** The nodes that are known, and how near they are. */
export interface NodeMap {
  /** Nodes that answered lately, nearest first. */
  live(): StorageNode[]
  get(peerId: string): StorageNode | undefined
  /** How many take data as far as is known, those counted that do not answer now; absent where nobody knows more than who lives. */
  known?(): number
  /** Round trip, ms; undefined when it was never measured. */
  rtt(peerId: string): number | undefined
  /** 0 … 1, from audits; 0.5 for a node that was never audited. */
  reputation(peerId: string): number
  /** True when it passed enough audits to hold durable shards. */
  isVetted(peerId: string): boolean
  /** Asks for the newest records. */
  refresh(o?: CallOptions): Promise<void>
}
