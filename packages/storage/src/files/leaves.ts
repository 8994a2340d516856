import { type CID, DAG_PB, PinGoError } from '@pingo/wire'
import { MAX_FILE_DEPTH } from '../limits.ts'
import { Effort } from './effort.ts'
import { readNode } from './unixfs.ts'

/** Bytes [from, to) of a leaf that begins at byte `at` of its file, or bytes that stand in the tree itself. */
export type Leaf = { cid: CID; at: number; from: number; to: number } | { inline: Uint8Array }

/**
 * The leaves of a UnixFS file that hold its bytes [start, end), in order; they are named, not read.
 * @param bytes of the whole file
 * @param get reads a node of the tree
 * @throws PinGoError FILE_MALFORMED
 */
export async function* leavesOf(
  root: CID,
  bytes: number,
  start: number,
  end: number,
  get: (cid: CID) => Promise<Uint8Array>,
): AsyncGenerator<Leaf> {
  const effort = new Effort()
  const visit = async function* (cid: CID, size: number, base: number, depth: number): AsyncGenerator<Leaf> {
    const from = Math.max(0, start - base)
    const to = Math.min(size, end - base)
    effort.spend(cid.code === DAG_PB ? 0 : to - from)
    if (cid.code !== DAG_PB) return yield { cid, at: base, from, to }
    if (depth > MAX_FILE_DEPTH)
      throw new PinGoError('FILE_MALFORMED', `The file's tree is deeper than ${MAX_FILE_DEPTH} levels.`)
    const node = readNode(cid, await get(cid))
    if (node.bytes !== size)
      throw new PinGoError('FILE_MALFORMED', `Block ${cid} has ${node.bytes} bytes, its parent says ${size}.`)
    if (from < node.data.byteLength) yield { inline: node.data.subarray(from, Math.min(to, node.data.byteLength)) }
    let at = base + node.data.byteLength
    for (const child of node.children) {
      if (at >= end) return
      if (at + child.bytes > start && child.bytes > 0) yield* visit(child.cid, child.bytes, at, depth + 1)
      at += child.bytes
    }
  }
  yield* visit(root, bytes, 0, 1)
}
