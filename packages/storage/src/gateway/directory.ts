import * as dagPb from '@ipld/dag-pb'
import { murmur364 } from '@multiformats/murmur3'
import { type CID, DAG_PB, PinGoError } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'

/** Names of a path below a root. */
export const MAX_PATH_NAMES = 64
/** Bits of a name's hash, which lead through the shards of a large directory. */
const HASH_BITS = 64
const MIN_FANOUT_BITS = 3
const MAX_FANOUT_BITS = 10

export interface DirectoryEntry {
  name: string
  cid: CID
  /** Of the entry with all below it, as the directory says; not checked. */
  bytes: number
}

/** A node of a UnixFS directory: all its entries, or a shard of a hash trie (ipfs/specs UNIXFS, HAMT). */
export type DirectoryNode =
  | { kind: 'directory'; entries: DirectoryEntry[] }
  | { kind: 'shard'; bits: number; entries: DirectoryEntry[] }

type Get = (cid: CID) => Promise<Uint8Array>

/** Reads a block as a node of a directory; undefined when it is something else. */
export function readDirectory(cid: CID, block: Uint8Array): DirectoryNode | undefined {
  if (cid.code !== DAG_PB) return undefined
  let node: dagPb.PBNode
  let entry: UnixFS
  try {
    node = dagPb.decode(block)
    entry = UnixFS.unmarshal(node.Data!)
  } catch (cause) {
    throw malformed(cid, 'the block is no UnixFS node', cause)
  }
  if (entry.type !== 'directory' && entry.type !== 'hamt-sharded-directory') return undefined
  const entries = node.Links.map(({ Name, Hash, Tsize }) => ({
    name: Name ?? '',
    cid: Hash,
    bytes: Number(Tsize ?? 0),
  }))
  if (entry.type === 'directory') return { kind: 'directory', entries }
  const bits = Math.log2(Number(entry.fanout))
  if (!Number.isInteger(bits) || bits < MIN_FANOUT_BITS || bits > MAX_FANOUT_BITS)
    throw malformed(cid, 'its shards have an impossible width')
  if (entries.length > 2 ** bits) throw malformed(cid, 'a shard has more entries than places')
  return { kind: 'shard', bits, entries }
}

/**
 * Follows names through directories.
 * @returns what is there, and the blocks on the way to it, root first, itself last
 * @throws PinGoError PATH_MISSING, FILE_MALFORMED, and what `get` rejects with
 */
export async function resolvePath(root: CID, names: readonly string[], get: Get): Promise<{ cid: CID; way: CID[] }> {
  let cid = root
  const way = [root]
  for (const name of names) {
    const node = readDirectory(cid, await get(cid))
    if (!node) throw new PinGoError('PATH_MISSING', `There is no '${name}' below ${cid}: it is no directory.`)
    const found =
      node.kind === 'directory'
        ? node.entries.find((entry) => entry.name === name)?.cid
        : await findInShards(cid, node, name, get, way)
    if (!found) throw new PinGoError('PATH_MISSING', `There is no '${name}' in the directory ${cid}.`)
    cid = found
    way.push(cid)
  }
  return { cid, way }
}

/** The entry of a sharded directory: each level of shards takes some bits of the name's hash. */
async function findInShards(
  directory: CID,
  root: DirectoryNode & { kind: 'shard' },
  name: string,
  get: Get,
  way: CID[],
): Promise<CID | undefined> {
  const hash = Buffer.from(await murmur364.encode(new TextEncoder().encode(name))).readBigUInt64BE()
  const { bits } = root
  const digits = prefixDigits(bits)
  let shard = root
  for (let used = bits; used <= HASH_BITS; used += bits) {
    const slot = Number(BigInt.asUintN(bits, hash >> BigInt(HASH_BITS - used)))
    const prefix = slot.toString(16).toUpperCase().padStart(digits, '0')
    const link = shard.entries.find((entry) => entry.name === prefix || entry.name === prefix + name)
    if (!link || link.name.length > digits) return link?.cid
    const next = readDirectory(link.cid, await get(link.cid))
    if (next?.kind !== 'shard' || next.bits !== bits) throw malformed(directory, 'its shards do not fit')
    way.push(link.cid)
    shard = next
  }
  throw malformed(directory, 'its shards are too deep')
}

/**
 * The entries of a directory, shard by shard, as far as the limits go: a few blocks that link to each other could list names without end.
 * @returns `isWhole` false when there are more
 */
export async function listDirectory(
  root: CID,
  node: DirectoryNode,
  get: Get,
  o: { maxEntries: number; maxShards: number },
): Promise<{ entries: DirectoryEntry[]; isWhole: boolean }> {
  if (node.kind === 'directory')
    return { entries: node.entries.slice(0, o.maxEntries), isWhole: node.entries.length <= o.maxEntries }
  const digits = prefixDigits(node.bits)
  const entries: DirectoryEntry[] = []
  // shards and entries that are still to be looked at, the next one last
  const left = node.entries.map((entry) => ({ entry, depth: 1 })).reverse()
  let shards = 0
  for (let next = left.pop(); next; next = left.pop()) {
    const { entry, depth } = next
    if (entry.name.length > digits) {
      if (entries.length >= o.maxEntries) return { entries, isWhole: false }
      entries.push({ ...entry, name: entry.name.slice(digits) })
      continue
    }
    if (++shards > o.maxShards) return { entries, isWhole: false }
    if (depth * node.bits >= HASH_BITS) throw malformed(root, 'its shards are too deep')
    const child = readDirectory(entry.cid, await get(entry.cid))
    if (child?.kind !== 'shard' || child.bits !== node.bits) throw malformed(root, 'its shards do not fit')
    left.push(...child.entries.map((each) => ({ entry: each, depth: depth + 1 })).reverse())
  }
  return { entries, isWhole: true }
}

/** Hex digits before each name in a shard. */
export const prefixDigits = (bits: number): number => (2 ** bits - 1).toString(16).length

const malformed = (cid: CID, why: string, cause?: unknown) =>
  new PinGoError('FILE_MALFORMED', `${cid} is not a directory: ${why}.`, { cause })
