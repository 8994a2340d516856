import * as dagPb from '@ipld/dag-pb'
import { murmur364 } from '@multiformats/murmur3'
import { type CID, DAG_PB, PinGoError, RAW } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'
import { type CidLike, toCid } from '../blocks/key.ts'
import { PbNode } from './pb-node.ts'

/** Entries of one folder, and of all that a walk meets. */
export const MAX_ENTRIES = 1_000_000
/** Folders inside one another. */
export const MAX_PATH_DEPTH = 64
/** Bytes of the name of an entry. */
export const MAX_NAME_BYTES = 1_024
/** Bytes of what a folder's block says beside its links: a shard's map has 128 at most; a file's sizes of its parts may be many. */
const MAX_FOLDER_DATA = 4 << 10
/** Bits of a name's hash, which lead through the shards of a large folder. */
const HASH_BITS = 64
const MIN_SHARD_BITS = 3
const MAX_SHARD_BITS = 10

/**
 * Reads a block, verified.
 * @param root the file or folder that the block is of: it alone says where the block is to be found
 */
export type ReadBlock = (cid: CID, root: CID) => Promise<Uint8Array>

export interface Entry {
  name: string
  cid: CID
  /** Bytes of all blocks below it, as its folder says; not checked. */
  dagBytes: number
}

/** A block of a UnixFS folder: all its entries, or a shard of a hash trie (ipfs/specs UNIXFS, HAMT). */
export interface FolderNode {
  /** Names are as the block has them: see {@link isSafeName}. Each is taken apart when it is looked at. */
  entries: Iterable<Entry>
  /** The entry of a name, when it is in this very block. */
  find(name: string): Entry | undefined
  /** The shards below it, by the part of a name's hash that leads there. */
  shards: { prefix: string; cid: CID }[]
  /** Bits of the hash that a shard takes; undefined for a plain folder. */
  bits: number | undefined
}

const malformed = (cid: CID, why: string, cause?: unknown) =>
  new PinGoError('FOLDER_MALFORMED', `${cid} is not a folder that can be read: ${why}.`, { cause })

/** A block as node of a UnixFS folder, plain or sharded; undefined when it is a file. @throws PinGoError FOLDER_MALFORMED */
export function readFolder(cid: CID, block: Uint8Array): FolderNode | undefined {
  if (cid.code !== DAG_PB) return undefined
  let node: PbNode
  let entry: UnixFS
  try {
    node = new PbNode(block)
    if (node.data && node.data.byteLength > MAX_FOLDER_DATA) return undefined
    entry = UnixFS.unmarshal(node.data!)
  } catch (cause) {
    throw malformed(cid, 'the block is no UnixFS node', cause)
  }
  if (entry.type === 'directory') {
    const entryOf = (n: number): Entry => ({ name: node.name(n), cid: node.cid(n), dagBytes: node.bytes(n) })
    return {
      entries: lazily(node.length, entryOf),
      find: (name) => at(node.find(name), entryOf),
      shards: [],
      bits: undefined,
    }
  }
  if (entry.type !== 'hamt-sharded-directory') return undefined
  const bits = Math.log2(Number(entry.fanout))
  if (!Number.isInteger(bits) || bits < MIN_SHARD_BITS || bits > MAX_SHARD_BITS)
    throw malformed(cid, 'its shards have an unknown width')
  if (node.length > 2 ** bits) throw malformed(cid, 'a shard of it has more entries than places')
  const digits = digitsOf(bits)
  const entries: Entry[] = []
  const shards: FolderNode['shards'] = []
  for (let n = 0; n < node.length; n++) {
    const name = node.name(n)
    if (name.length === digits) shards.push({ prefix: name, cid: node.cid(n) })
    else entries.push({ name: name.slice(digits), cid: node.cid(n), dagBytes: node.bytes(n) })
  }
  return { entries, find: (name) => entries.find((each) => each.name === name), shards, bits }
}

const at = <T>(index: number, make: (index: number) => T): T | undefined => (index < 0 ? undefined : make(index))

const lazily = <T>(length: number, make: (index: number) => T): Iterable<T> => ({
  *[Symbol.iterator]() {
    for (let n = 0; n < length; n++) yield make(n)
  },
})

/**
 * All blocks that a folder itself is made of, its first one first, with the entries that each has; not what is below it.
 * @param first its first block, when it was read already
 * @throws PinGoError FOLDER_MALFORMED, FILE_NOT_FOLDER
 */
export async function* folderNodes(
  root: CID,
  read: ReadBlock,
  first?: Uint8Array,
): AsyncGenerator<FolderNode & { cid: CID; bytes: Uint8Array }> {
  const left: { cid: CID; level: number; bits?: number }[] = [{ cid: root, level: 1 }]
  for (let next = left.pop(); next; next = left.pop()) {
    const { cid, level, bits } = next
    const bytes = level === 1 && first ? first : await read(cid, root)
    const node = readFolder(cid, bytes)
    if (!node && level === 1) throw notFolder(cid)
    if (!node || (level > 1 && node.bits !== bits)) throw malformed(root, 'its shards do not fit')
    if (node.bits !== undefined && node.shards.length > 0 && (level + 1) * node.bits > HASH_BITS)
      throw malformed(root, 'its shards are too deep')
    yield { ...node, cid, bytes }
    for (const shard of node.shards.toReversed()) left.push({ cid: shard.cid, level: level + 1, bits: node.bits })
    if (left.length > MAX_ENTRIES) throw malformed(root, 'it has too many shards')
  }
}

/**
 * The entries of a folder, plain or sharded.
 * @throws PinGoError FOLDER_MALFORMED (also for names that lead out of it, names that stand twice, too many entries), FILE_NOT_FOLDER
 */
export async function* listFolder(folder: CidLike, read: ReadBlock, first?: Uint8Array): AsyncGenerator<Entry> {
  const root = toCid(folder)
  const names = new Set<string>()
  for await (const { entries } of folderNodes(root, read, first))
    for (const entry of entries) {
      const { name } = entry
      if (!isSafeName(name))
        throw malformed(root, `it has an entry with the name ${JSON.stringify(name.slice(0, 100))}`)
      if (names.has(name)) throw malformed(root, `the name '${name}' stands twice`)
      if (names.add(name).size > MAX_ENTRIES) throw malformed(root, `it has more than ${MAX_ENTRIES} entries`)
      yield entry
    }
}

/** A block on the way to what a path names, and the folder that it is of. */
export interface Step {
  cid: CID
  root: CID
}

/**
 * Follows names through folders: without any, it is the root itself.
 * @param path names between slashes, or one by one; not escaped
 * @returns what is there, and the blocks on the way to it, root first, itself last
 * @throws PinGoError PATH_NOT_FOUND, FOLDER_MALFORMED, and what `read` rejects with
 */
export async function resolvePath(
  root: CidLike,
  path: string | readonly string[],
  read: ReadBlock,
): Promise<{ cid: CID; way: Step[] }> {
  const names = typeof path === 'string' ? path.split('/').filter((name) => name !== '') : path
  if (names.length > MAX_PATH_DEPTH) throw notFound(names)
  let cid = toCid(root)
  const way: Step[] = [{ cid, root: cid }]
  for (const name of names) {
    const found = isSafeName(name) ? await lookUp(cid, name, read, way) : undefined
    if (!found) throw notFound(names)
    cid = found
    way.push({ cid, root: cid })
  }
  return { cid, way }
}

/** The entry of a folder: each level of shards takes some bits of the name's hash. @param way gets the shards */
async function lookUp(folder: CID, name: string, read: ReadBlock, way: Step[]): Promise<CID | undefined> {
  const first = readFolder(folder, await read(folder, folder))
  let node = first
  let hash: bigint | undefined
  for (let used = 0; node; ) {
    const { bits, shards } = node
    const entry = node.find(name)
    if (entry || bits === undefined) return entry?.cid
    hash ??= await hashOf(name)
    used += bits
    if (used > HASH_BITS) throw malformed(folder, 'its shards are too deep')
    const place = Number(BigInt.asUintN(bits, hash >> BigInt(HASH_BITS - used)))
    const prefix = place.toString(16).toUpperCase().padStart(digitsOf(bits), '0')
    const shard = shards.find((each) => each.prefix === prefix)
    if (!shard) return undefined
    node = readFolder(shard.cid, await read(shard.cid, folder))
    if (node?.bits !== bits) throw malformed(folder, 'its shards do not fit')
    way.push({ cid: shard.cid, root: folder })
  }
  return undefined
}

export interface WalkedEntry {
  /** Names between slashes, relative to the root; empty for the root itself. */
  path: string
  cid: CID
  kind: 'file' | 'folder'
}

/**
 * A folder with all that is below it, folders before their entries; a file is its only entry. However often a folder is linked to, no
 * walk takes more than `maxEntries` entries, a million by default, or goes deeper than 64 folders.
 * @throws PinGoError FOLDER_MALFORMED
 */
export async function* walkFolder(
  root: CidLike,
  read: ReadBlock,
  maxEntries: number = MAX_ENTRIES,
): AsyncGenerator<WalkedEntry> {
  let entries = 0
  const left: { cid: CID; path: string; depth: number }[] = [{ cid: toCid(root), path: '', depth: 0 }]
  for (let next = left.pop(); next; next = left.pop()) {
    const { cid, path, depth } = next
    const first = cid.code === RAW ? undefined : await read(cid, cid)
    if (!first || !readFolder(cid, first)) {
      yield { path, cid, kind: 'file' }
      continue
    }
    yield { path, cid, kind: 'folder' }
    if (depth >= MAX_PATH_DEPTH)
      throw malformed(toCid(root), `it has more than ${MAX_PATH_DEPTH} folders in one another`)
    const below: typeof left = []
    for await (const entry of listFolder(cid, read, first)) {
      if (++entries > maxEntries) throw malformed(toCid(root), `it has more than ${maxEntries} entries`)
      below.push({ cid: entry.cid, path: path === '' ? entry.name : `${path}/${entry.name}`, depth: depth + 1 })
    }
    left.push(...below.toReversed())
  }
}

/** Bytes of all blocks of a file or folder, by its root block alone: what a folder's link says of it. */
export function dagBytesOf(cid: CID, block: Uint8Array): number {
  if (cid.code !== DAG_PB) return block.byteLength
  return dagPb.decode(block).Links.reduce((sum, { Tsize }) => sum + (Tsize ?? 0), block.byteLength)
}

/** True for a name that a folder may hold: one step down, and nothing else. */
export function isSafeName(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES
  )
}

/** Hex digits before each name in a shard. */
const digitsOf = (bits: number): number => (2 ** bits - 1).toString(16).length

/** The first 64 bits of murmur3 (x64, 128 bits) of a name. */
async function hashOf(name: string): Promise<bigint> {
  return Buffer.from(await murmur364.encode(new TextEncoder().encode(name))).readBigUInt64BE()
}

const notFolder = (cid: CID) => new PinGoError('FILE_NOT_FOLDER', `${cid} is a file, not a folder.`)
const notFound = (names: readonly string[]) =>
  new PinGoError('PATH_NOT_FOUND', `There is nothing at '${names.join('/').slice(0, 300)}'.`)
