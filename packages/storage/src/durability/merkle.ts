import { createHash } from 'node:crypto'
import { LEAF_BYTES } from '@pingo/wire'

const HASH_BYTES = 32
const LEAF_PREFIX = Uint8Array.of(0)
const NODE_PREFIX = Uint8Array.of(1)

/** A leaf of a chunk and the hashes that lead from it to the root, nearest first. */
export interface MerkleProof {
  leaf: Uint8Array
  path: Uint8Array[]
}

/** Leaves of a chunk of `bytes` bytes: of 64 KiB, the last one shorter; one empty leaf of an empty chunk. */
export function leafCount(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / LEAF_BYTES))
}

/**
 * The root of the Merkle tree over a chunk's leaves of 64 KiB, 32 bytes: SHA-256, leaves and nodes told apart by a first byte, the left
 * side of a node the largest power of two of leaves. Unlike there an empty chunk has one empty leaf, so that it too can be proven.
 * @see RFC 9162, 2.1.1
 */
export function merkleRoot(chunk: Uint8Array): Uint8Array {
  return rootOf(leafHashes(chunk))
}

/** Leaf `leaf` (from 0) of a chunk with its audit path (RFC 9162, 2.1.3.1). @throws RangeError when there is none */
export function merkleProof(chunk: Uint8Array, leaf: number): MerkleProof {
  if (!isLeaf(leaf, chunk.byteLength)) throw new RangeError(`a chunk of ${chunk.byteLength} bytes has no leaf ${leaf}`)
  return { leaf: leafOf(chunk, leaf), path: pathOf(leafHashes(chunk), leaf) }
}

/**
 * Whether `leaf` is leaf number `leafIndex` of the chunk of `bytes` bytes with that root (RFC 9162, 2.1.3.2). Any bytes may be asked
 * about: false for whatever is not so.
 */
export function verifyProof(o: {
  root: Uint8Array
  /** Of the whole chunk. */
  bytes: number
  leafIndex: number
  leaf: Uint8Array
  path: readonly Uint8Array[]
}): boolean {
  if (!isLeaf(o.leafIndex, o.bytes) || o.path.some((hash) => hash.byteLength !== HASH_BYTES)) return false
  if (o.leaf.byteLength !== Math.min(LEAF_BYTES, o.bytes - o.leafIndex * LEAF_BYTES)) return false
  const root = rootByPath(leafHash(o.leaf), o.leafIndex, leafCount(o.bytes), o.path)
  return root !== undefined && Buffer.compare(root, o.root) === 0
}

export function leafHash(leaf: Uint8Array): Uint8Array {
  return createHash('sha256').update(LEAF_PREFIX).update(leaf).digest()
}

/** The root over leaf hashes, of which there is one at least. */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!
  const left = leftSide(hashes.length)
  return nodeHash(rootOf(hashes.slice(0, left)), rootOf(hashes.slice(left)))
}

export function pathOf(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length === 1) return []
  const left = leftSide(hashes.length)
  return index < left
    ? [...pathOf(hashes.slice(0, left), index), rootOf(hashes.slice(left))]
    : [...pathOf(hashes.slice(left), index - left), rootOf(hashes.slice(0, left))]
}

/** The root to which a path leads from leaf `index` of `count`; undefined when it is too short or too long. */
export function rootByPath(
  hash: Uint8Array,
  index: number,
  count: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (count === 1) return path.length === 0 ? hash : undefined
  const sibling = path.at(-1)
  if (sibling === undefined) return undefined
  const left = leftSide(count)
  const rest = path.slice(0, -1)
  if (index < left) {
    const root = rootByPath(hash, index, left, rest)
    return root && nodeHash(root, sibling)
  }
  const root = rootByPath(hash, index - left, count - left, rest)
  return root && nodeHash(sibling, root)
}

/** Of all leaves of a chunk, in order, 32 bytes each. */
export function leafHashes(chunk: Uint8Array): Uint8Array[] {
  return Array.from({ length: leafCount(chunk.byteLength) }, (_, i) => leafHash(leafOf(chunk, i)))
}

const leafOf = (chunk: Uint8Array, i: number) => chunk.subarray(i * LEAF_BYTES, (i + 1) * LEAF_BYTES)
const isLeaf = (i: number, bytes: number) => Number.isSafeInteger(i) && i >= 0 && i < leafCount(bytes)
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  createHash('sha256').update(NODE_PREFIX).update(left).update(right).digest()

/** The largest power of two below `count`, which is above 1. */
function leftSide(count: number): number {
  let left = 1
  while (2 * left < count) left *= 2
  return left
}
