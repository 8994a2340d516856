import { type CID, DAG_CBOR, DAG_PB, PinGoError } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { linksOf } from '../blocks/links.ts'
import { MAX_FILE_BLOCKS } from '../limits.ts'
import { carSections } from './car.ts'
import { type ReadBlock, readFolder, type Step } from './folder.ts'
import { readNode } from './unixfs.ts'

/** Links from the root to the deepest block of a DAG. */
export const MAX_DAG_DEPTH = 64

/** `block`: the last block of the path; `entity`: what it is, a file with all its blocks, a directory without its entries; `all`: with them. */
export type DagScope = 'block' | 'entity' | 'all'

/** Bytes of a file, `to` inclusive; below zero: from its end. */
export interface EntityBytes {
  from: number
  to: number | undefined
}

/** Counts the blocks that walks remember, so that all together stay within memory. */
export interface WalkBudget {
  blocks: number
}

/**
 * Blocks of a DAG for a CAR (ipfs/specs, trustless gateway): depth first, each once, the way to it before. Blocks come as they are
 * reached, so that the first is sent before the last is known.
 * @param budget blocks that may still be remembered; those of this walk are taken from it until it ends
 * @throws PinGoError FILE_MALFORMED, FILE_TOO_LARGE, OVERLOADED, and what `get` rejects with
 */
export async function* walkDag(
  way: readonly Step[],
  o: { scope: DagScope; range?: EntityBytes; get: ReadBlock; budget: WalkBudget },
): AsyncGenerator<{ cid: CID; bytes: Uint8Array }> {
  const seen = new Set<string>()
  const isNew = (key: string): boolean => {
    if (seen.has(key)) return false
    if (seen.size >= MAX_FILE_BLOCKS) throw new PinGoError('FILE_TOO_LARGE', `${way[0]!.cid} has too many blocks.`)
    if (o.budget.blocks <= 0) throw new PinGoError('OVERLOADED', 'Too much is on its way already.')
    seen.add(key)
    o.budget.blocks -= 1
    return true
  }
  try {
    for (const { cid, root } of way.slice(0, -1)) if (isNew(nameOf(cid))) yield { cid, bytes: await o.get(cid, root) }
    const { cid: root } = way.at(-1)!
    const first = await o.get(root, root)
    if (isNew(nameOf(root))) yield { cid: root, bytes: first }
    if (o.scope === 'block') return
    const isDirectory = readFolder(root, first) !== undefined
    const linksBelow = (link: Link, bytes: Uint8Array): Link[] => {
      if (o.scope === 'all' && !o.range) return allLinks(link, bytes)
      return isDirectory ? shardLinks(link, bytes) : partLinks(link, bytes)
    }
    const span = isDirectory || !isFile(root) ? { from: 0, to: 0 } : spanOf(root, first, o.range)
    const left: Link[] = linksBelow({ cid: root, root, depth: 1, ...span }, first).toReversed()
    for (let next = left.pop(); next; next = left.pop()) {
      if (next.depth > MAX_DAG_DEPTH)
        throw new PinGoError('FILE_MALFORMED', `${root} is deeper than ${MAX_DAG_DEPTH} blocks.`)
      // a node may be asked for different parts of it, but is sent once
      const isSent = !isNew(nameOf(next.cid))
      if (isSent && (next.bytes === undefined || !isNew(`${nameOf(next.cid)}:${next.from}:${next.to}`))) continue
      const bytes = await o.get(next.cid, next.root)
      if (!isSent) yield { cid: next.cid, bytes }
      for (const link of linksBelow(next, bytes).toReversed()) left.push({ ...link, depth: next.depth + 1 })
    }
  } finally {
    o.budget.blocks += seen.size
  }
}

/**
 * A file or folder with all below it as CAR (ipld CARv1), in constant memory beside what it remembers of each block.
 * @throws PinGoError as {@link walkDag}
 */
export async function* carOf(root: CID, read: ReadBlock): AsyncGenerator<Uint8Array> {
  const budget = { blocks: MAX_FILE_BLOCKS }
  yield* carSections(root, walkDag([{ cid: root, root }], { scope: 'all', get: read, budget }))
}

/** A link to follow; of a file's part [from, to) of its bytes, and all bytes that its parent says it has. */
interface Link extends Step {
  depth: number
  from: number
  to: number
  bytes?: number
}

const nameOf = (cid: CID): string => `${cid.code}:${keyOf(cid)}`
const isFile = (cid: CID): boolean => cid.code === DAG_PB
const below = (cid: CID, root: CID): Link => ({ cid, root, depth: 2, from: 0, to: 0 })

/** All links of a block. What a folder's entry leads to is a file or folder of its own. */
function allLinks({ cid, root }: Link, bytes: Uint8Array): Link[] {
  if (cid.code !== DAG_PB && cid.code !== DAG_CBOR) return []
  const folder = asFolder(cid, bytes)
  const shards = new Set(folder?.shards.map((shard) => nameOf(shard.cid)))
  return linksOf(cid, bytes).map((link) => below(link, folder && !shards.has(nameOf(link)) ? link : root))
}

function asFolder(cid: CID, bytes: Uint8Array) {
  try {
    return readFolder(cid, bytes)
  } catch {
    return undefined // any block with links may be in a DAG
  }
}

/** The shards below a shard of a directory, without its entries. */
const shardLinks = ({ cid, root }: Link, bytes: Uint8Array): Link[] =>
  (readFolder(cid, bytes)?.shards ?? []).map((shard) => below(shard.cid, root))

/** The parts of a file that a range touches. */
function partLinks({ cid, root, from, to, bytes: told }: Link, bytes: Uint8Array): Link[] {
  if (!isFile(cid)) return []
  const node = readNode(cid, bytes)
  if (told !== undefined && node.bytes !== told)
    throw new PinGoError('FILE_MALFORMED', `Block ${cid} has ${node.bytes} bytes, its parent says ${told}.`)
  let at = node.data.byteLength
  const links: Link[] = []
  for (const child of node.children) {
    const start = Math.max(0, from - at)
    const end = Math.min(child.bytes, to - at)
    if (start < end) links.push({ cid: child.cid, root, depth: 2, from: start, to: end, bytes: child.bytes })
    at += child.bytes
  }
  return links
}

function spanOf(cid: CID, bytes: Uint8Array, range: EntityBytes | undefined): { from: number; to: number } {
  const size = readNode(cid, bytes).bytes
  if (!range) return { from: 0, to: size }
  const from = range.from < 0 ? Math.max(0, size + range.from) : range.from
  const to = range.to === undefined ? size : range.to < 0 ? size + range.to + 1 : Math.min(size, range.to + 1)
  return { from, to }
}
