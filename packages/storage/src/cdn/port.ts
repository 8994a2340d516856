import type { CID } from '@pingo/wire'
import type { Source } from '../transfer/http-client.ts'

export interface FindOptions {
  signal?: AbortSignal
  /** The root of the file or object that the block is of: who has the one has the other, or knows who has. */
  root?: CID
}

/** Where a gateway gets blocks that are not on its disk. */
export interface BlockSource {
  /**
   * A block's bytes, matching its CID.
   * @throws PinGoError BLOCK_MISSING (nobody who could be asked has it), OVERLOADED, TRANSFER_TIMEOUT, or the signal's reason
   */
  get(cid: CID, o?: FindOptions): Promise<Uint8Array>
  /** The same as it comes, for a reader that checks it. Rejects as `get` does, as long as nothing has come. */
  stream?(cid: CID, o?: FindOptions): Promise<BlockStream>
}

/** A block on its way. */
export interface BlockStream {
  /** How long it is, as the first holder says; when that is wrong, `parts` fails. */
  bytes: number
  /** Unchecked until they end: they end only when all were checked, and else throw. */
  parts: AsyncGenerator<Uint8Array>
  /** The whole, checked. */
  block: Promise<Uint8Array>
}

/** Told of what has come of a block, from its first byte on, and of how long the sender says that it is. Unchecked. */
export type OnProgress = (came: Uint8Array, total: number) => void

/**
 * Told of a block's first leaf of 64 KiB as soon as it is there, with the hashes of all its leaves, 32 bytes each. Unchecked: who knows the root of
 * the block's Merkle tree checks both.
 */
export type OnFirstLeaf = (leaf: Uint8Array, hashes: Uint8Array) => void

/** Somebody who may have a block. What it sends is checked by whoever asks. */
export interface BlockHolder {
  /** PeerId, or URL of one that has none. */
  id: string
  /** Round trip, ms; undefined when it was never measured. */
  rtt: number | undefined
  get(cid: CID, o?: { signal?: AbortSignal; onProgress?: OnProgress }): Promise<Uint8Array>
}

/** Finds who has a block. */
export interface Finder {
  /** Batches of holders, the likeliest first; each batch nearest first. Ends when there is nobody left to ask. */
  find(cid: CID, o?: FindOptions): AsyncIterable<BlockHolder[]>
}

/** Provider records (libp2p's kad-dht): one for each manifest or root, never for chunks. */
export interface Providers {
  /** Who says that it has the file or object of this root. Not proven: may lie, may be gone. */
  find(root: CID, o?: { signal?: AbortSignal }): AsyncIterable<Source & { peerId: string }>
  /** Tells others that this node has it; renewed by the implementation until `signal` ends it. */
  provide(root: CID, o?: { signal?: AbortSignal }): Promise<void>
}

/** Where blocks that came from elsewhere are kept as long as they are wanted; it decides by itself, and may take none. */
export interface BlockCache {
  /** Offers a block that was checked; its bytes are not changed afterwards. */
  offer(cid: CID, bytes: Uint8Array): void
}
