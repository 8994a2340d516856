import type { Identity, ObjectManifest, StorageClass } from '@pingo/wire'
import type { NodeMap, ObjectHealth } from '../nodes/port.ts'

/** What the network knows of an object. */
export interface ObjectStatus {
  id: string
  manifest: ObjectManifest
  manifestCid: string
  /** PeerId of the owner. */
  owner: string
  class: StorageClass
  storedBytes: number
  /** When its owner put it, ms since epoch. */
  at: number
  /** The newest check of any caretaker. */
  health: ObjectHealth
  /** Those that should care for it, in rank order, and whether they answer that they do. */
  caretakers: { peerId: string; cares: boolean }[]
  /** Sentences on what endangers it; none when all is well. */
  risks: string[]
}

/** Asks an object's caretakers of it. @throws PinGoError OBJECT_MISSING, or the signal's reason */
export async function statObject(_o: { id: string; nodes: NodeMap; signal?: AbortSignal }): Promise<ObjectStatus> {
  throw new Error('not yet')
}

/**
 * Tells an object's caretakers that it is kept no longer; its chunks are collected when their leases end.
 * @returns the caretakers that were told; those that do not answer forget it when they hear of the others
 * @throws PinGoError OBJECT_MISSING, STORAGE_NODES_FEW (none could be told), or the signal's reason
 */
export async function forgetObject(_o: {
  id: string
  owner: Identity
  nodes: NodeMap
  clock?: () => number
  signal?: AbortSignal
}): Promise<{ told: string[]; failed: string[] }> {
  throw new Error('not yet')
}

/** One challenge to one holder. */
export interface ShardProof {
  stripe: number
  shard: number
  cid: string
  peerId: string
  leaf: number
  /** From question to checked answer, ms. */
  ms: number
  holds: boolean
  /** Why not, as a sentence. */
  reason?: string
}

/** Draws `challenges` random leaves of random shards and lets their holders prove them against the manifest's Merkle roots. */
export async function proveObject(_o: {
  id: string
  nodes: NodeMap
  /** 16 by default. */
  challenges?: number
  clock?: () => number
  random?: (bytes: number) => Uint8Array
  signal?: AbortSignal
}): Promise<{ proofs: ShardProof[]; holds: number; fails: number }> {
  throw new Error('not yet')
}
