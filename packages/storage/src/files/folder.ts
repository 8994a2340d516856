import * as dagPb from '@ipld/dag-pb'
import { murmur364 } from '@multiformats/murmur3'
import { type CID, DAG_PB, PinGoError, RAW } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'
import { type CidLike, toCid } from '../blocks/key.ts'

/** Entries of one folder, and of all that a walk meets. */
export const MAX_ENTRIES = 1_000_000
/** Folders inside one another. */
export const MAX_PATH_DEPTH = 64
/** Bytes of the name of an entry. */
export const MAX_NAME_BYTES = 1_024
/** The hash has 64 bits, a level takes at least one; real trees take eight a level. */
const MAX_SHARD_LEVELS = 64
const HASH_BITS = 64

/** Reads a block, verified. */
export type ReadBlock = (cid: CID) => Promise<Uint8Array>

export interface Entry {
  name: string
  cid: CID
  /** Bytes of all blocks below it, as its folder says. */
  dagBytes: number
}

const malformed = (cid: CID, why: string, cause?: unknown) =>
  new PinGoError('FOLDER_MALFORMED', `${cid} is not a folder that can be read: ${why}.`, { cause })

interface FolderNode {
  links: dagPb.PBLink[]
  /** Of a shard (HAMT): children a node, a power of two; undefined for a plain folder. */
  fanout: number | undefined
}

/** A block as node of a UnixFS folder, plain or sharded; undefined when it is a file. @throws PinGoError FOLDER_MALFORMED */
export function readFolder(cid: CID, block: Uint8Array): FolderNode | undefined {
  if (cid.code !== DAG_PB) return undefined
  let node: dagPb.PBNode
  let entry: UnixFS
  try {
    node = dagPb.decode(block)
    entry = UnixFS.unmarshal(node.Data!)
  } catch (cause) {
    throw malformed(cid, 'the block is no UnixFS node', cause)
  }
  if (entry.type === 'directory') return { links: node.Links, fanout: undefined }
  if (entry.type !== 'hamt-sharded-directory') return undefined
  const fanout = Number(entry.fanout)
  if (fanout < 2 || fanout > 1024 || !Number.isInteger(Math.log2(fanout)))
    throw malformed(cid, 'its shards have an unknown width')
  return { links: node.Links, fanout }
}

/**
 * The entries of a folder, plain or sharded (ipfs/specs, UnixFS).
 * @throws PinGoError FOLDER_MALFORMED (also for names that lead out of it, names that stand twice, too many entries), FILE_NOT_FOLDER
 */
export async function* listFolder(folder: CidLike, read: ReadBlock): AsyncGenerator<Entry> {
  const root = toCid(folder)
  const names = new Set<string>()
  const left: { cid: CID; level: number }[] = [{ cid: root, level: 1 }]
  for (let next = left.pop(); next; next = left.pop()) {
    const { cid, level } = next
    if (level > MAX_SHARD_LEVELS) throw malformed(root, 'its shards are too deep')
    const node = readFolder(cid, await read(cid))
    if (!node) throw level === 1 ? notFolder(cid) : malformed(cid, 'a shard of it is a file')
    const shards: CID[] = []
    for (const link of node.links) {
      const name = nameOf(root, link, node.fanout)
      if (name === '') {
        shards.push(toCid(link.Hash))
        continue
      }
      if (names.has(name)) throw malformed(root, `the name '${name}' stands twice`)
      if (names.add(name).size > MAX_ENTRIES) throw malformed(root, `it has more than ${MAX_ENTRIES} entries`)
      yield { name, cid: toCid(link.Hash), dagBytes: link.Tsize ?? 0 }
    }
    for (const shard of shards.toReversed()) left.push({ cid: shard, level: level + 1 })
    if (left.length > MAX_ENTRIES) throw malformed(root, 'it has too many shards')
  }
}

/**
 * What stands at a path below a folder: an empty path is the root itself.
 * @param path names between slashes, not escaped
 * @throws PinGoError PATH_NOT_FOUND, FILE_NOT_FOLDER, FOLDER_MALFORMED
 */
export async function resolvePath(root: CidLike, path: string, read: ReadBlock): Promise<CID> {
  const names = path.split('/').filter((name) => name !== '')
  if (names.length > MAX_PATH_DEPTH) throw notFound(path)
  let cid = toCid(root)
  for (const name of names) {
    const found = isSafeName(name) ? await lookUp(cid, name, read) : undefined
    if (!found) throw notFound(path)
    cid = found
  }
  return cid
}

async function lookUp(folder: CID, name: string, read: ReadBlock): Promise<CID | undefined> {
  let hash: bigint | undefined
  let cid = folder
  for (let level = 1, bits = 0; level <= MAX_SHARD_LEVELS; level++) {
    const node = readFolder(cid, await read(cid))
    if (!node) throw level === 1 ? notFolder(cid) : malformed(cid, 'a shard of it is a file')
    const { links, fanout } = node
    if (fanout === undefined) {
      const link = links.find(({ Name }) => Name === name)
      return link && toCid(link.Hash)
    }
    hash ??= await hashOf(name)
    bits += Math.log2(fanout)
    if (bits > HASH_BITS) break
    const place = Number((hash >> BigInt(HASH_BITS - bits)) & BigInt(fanout - 1))
    const prefix = prefixOf(place, fanout)
    const link = links.find(({ Name }) => Name?.startsWith(prefix))
    if (!link) return undefined
    if (link.Name !== prefix) return link.Name === prefix + name ? toCid(link.Hash) : undefined
    cid = toCid(link.Hash)
  }
  throw malformed(folder, 'its shards are too deep')
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
    if (cid.code === RAW || !readFolder(cid, await read(cid))) {
      yield { path, cid, kind: 'file' }
      continue
    }
    yield { path, cid, kind: 'folder' }
    if (depth >= MAX_PATH_DEPTH)
      throw malformed(toCid(root), `it has more than ${MAX_PATH_DEPTH} folders in one another`)
    const below: typeof left = []
    for await (const entry of listFolder(cid, read)) {
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

/** An entry's name without the place in its shard; empty for a link to a shard. */
function nameOf(root: CID, { Name = '' }: dagPb.PBLink, fanout: number | undefined): string {
  const name = fanout === undefined ? Name : Name.slice(prefixOf(0, fanout).length)
  if (fanout !== undefined && name === '' && Name !== '') return ''
  if (!isSafeName(name)) throw malformed(root, `it has an entry with the name ${JSON.stringify(name.slice(0, 100))}`)
  return name
}

const prefixOf = (place: number, fanout: number): string =>
  place
    .toString(16)
    .toUpperCase()
    .padStart((fanout - 1).toString(16).length, '0')

/** The first 64 bits of murmur3 (x64, 128 bits) of a name. */
async function hashOf(name: string): Promise<bigint> {
  return Buffer.from(await murmur364.encode(new TextEncoder().encode(name))).readBigUInt64BE()
}

const notFolder = (cid: CID) => new PinGoError('FILE_NOT_FOLDER', `${cid} is a file, not a folder.`)
const notFound = (path: string) => new PinGoError('PATH_NOT_FOUND', `There is nothing at '${path.slice(0, 300)}'.`)
