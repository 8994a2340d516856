import * as dagPb from '@ipld/dag-pb'
import { type CID, DAG_PB, PinGoError } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'
import { type CidLike, keyOf, toCid } from '../blocks/key.ts'
import { MAX_FILE_BLOCKS, MAX_FILE_BYTES, MAX_FILE_DEPTH } from '../limits.ts'

/** One node of a file's tree: its own bytes first, then those of its children. */
export interface FileNode {
  data: Uint8Array
  children: { cid: CID; bytes: number }[]
  /** Bytes of the file below this node. */
  bytes: number
}

export interface BlockReader {
  get(cid: CID): Promise<Uint8Array>
}

const malformed = (cid: CID, why: string, cause?: unknown) =>
  new PinGoError('FILE_MALFORMED', `${cid} is not a file: ${why}.`, { cause })

/**
 * Reads a block as a node of a UnixFS file (ipfs/specs UNIXFS). Anything that is not dag-pb is a leaf of plain bytes.
 * @throws PinGoError FILE_MALFORMED
 */
export function readNode(cid: CID, block: Uint8Array): FileNode {
  if (cid.code !== DAG_PB) return { data: block, children: [], bytes: block.byteLength }
  let node: dagPb.PBNode
  let entry: UnixFS
  try {
    node = dagPb.decode(block)
    entry = UnixFS.unmarshal(node.Data!)
  } catch (cause) {
    throw malformed(cid, 'the block is no UnixFS node', cause)
  }
  if (entry.type !== 'file' && entry.type !== 'raw') throw malformed(cid, `it is a ${entry.type}`)
  if (entry.blockSizes.length !== node.Links.length) throw malformed(cid, 'its sizes do not fit its links')
  const data = entry.data ?? new Uint8Array(0)
  let bytes = data.byteLength
  const children = node.Links.map(({ Hash }, n) => {
    const size = Number(entry.blockSizes[n])
    bytes += size
    if (bytes > MAX_FILE_BYTES) throw malformed(cid, `it claims more than ${MAX_FILE_BYTES} bytes`)
    return { cid: toCid(Hash), bytes: size }
  })
  return { data, children, bytes }
}

/**
 * Every distinct block of a file, root first. A tree that is too deep, too wide or larger than it says is refused: a few blocks
 * that link to each other over and over could claim any size.
 * @param visit called with each block before its children are
 * @throws PinGoError FILE_MALFORMED, FILE_TOO_LARGE
 */
export async function walk(root: CidLike, read: (cid: CID) => Promise<Uint8Array | undefined>): Promise<string[]> {
  const found = new Map<string, string>()
  const left: { cid: CID; bytes: number | undefined; depth: number }[] = [
    { cid: toCid(root), bytes: undefined, depth: 1 },
  ]
  for (let next = left.pop(); next; next = left.pop()) {
    const { cid, bytes, depth } = next
    const key = `${cid.code}:${keyOf(cid)}`
    if (found.has(key)) continue
    if (found.size >= MAX_FILE_BLOCKS)
      throw new PinGoError('FILE_TOO_LARGE', `${root} has more than ${MAX_FILE_BLOCKS} blocks.`)
    found.set(key, cid.toString())
    if (cid.code !== DAG_PB) {
      if (depth === 1) await read(cid)
      continue
    }
    if (depth > MAX_FILE_DEPTH) throw malformed(toCid(root), `its tree is deeper than ${MAX_FILE_DEPTH} levels`)
    const block = await read(cid)
    if (!block) continue
    const node = readNode(cid, block)
    if (bytes !== undefined && node.bytes !== bytes)
      throw malformed(cid, `it has ${node.bytes} bytes, its parent says ${bytes}`)
    for (const child of node.children.toReversed()) left.push({ ...child, depth: depth + 1 })
  }
  return [...found.values()]
}
