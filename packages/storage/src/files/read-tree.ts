import { type CID, PinGoError } from '@pingo/wire'
import { MAX_FILE_DEPTH } from '../limits.ts'
import { Effort } from './effort.ts'
import { type FileNode, readNode } from './unixfs.ts'

/**
 * The bytes [start, end) of a file's tree, in order, a block at a time; only blocks that the range touches are read.
 * @throws PinGoError FILE_MALFORMED, and what `get` rejects with
 */
export async function* readTree(
  root: FileNode,
  start: number,
  end: number,
  get: (cid: CID) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* readBelow(root, start, end, 1, { get, effort: new Effort() })
}

async function* readBelow(
  node: FileNode,
  start: number,
  end: number,
  depth: number,
  o: { get: (cid: CID) => Promise<Uint8Array>; effort: Effort },
): AsyncGenerator<Uint8Array> {
  o.effort.spend(Math.min(end, node.data.byteLength) - start)
  if (start < node.data.byteLength) yield node.data.subarray(start, end)
  let at = node.data.byteLength
  for (const { cid, bytes } of node.children) {
    const from = Math.max(start, at)
    const to = Math.min(end, at + bytes)
    if (from < to) {
      if (depth > MAX_FILE_DEPTH)
        throw new PinGoError('FILE_MALFORMED', `The file's tree is deeper than ${MAX_FILE_DEPTH} levels.`)
      const child = readNode(cid, await o.get(cid))
      if (child.bytes !== bytes)
        throw new PinGoError('FILE_MALFORMED', `Block ${cid} has ${child.bytes} bytes, its parent says ${bytes}.`)
      yield* readBelow(child, from - at, to - at, depth + 1, o)
    }
    at += bytes
    if (at >= end) return
  }
}
