import type { CID } from '@pingo/wire'
import { CHUNK_BYTES } from '../limits.ts'

/** Links of a node of the tree, as in Kubo. */
const MAX_LINKS = 174

/**
 * Cuts a stream into a UnixFS file: raw leaves of 1 MiB, a dag-pb tree above when there is more than one, CIDv1; the same CIDs
 * as `ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576`. Constant memory.
 * @param put takes every block, children before their parents; the stream is read no faster than it resolves
 * @param o.concurrency blocks that `put` has in hand at once; 1: in the order of the file
 * @returns the root, and the bytes of all blocks: what a folder's link says of it
 */
export async function importFile(
  content: AsyncIterable<Uint8Array>,
  put: (cid: CID, block: Uint8Array) => Promise<void>,
  o: { concurrency: number },
): Promise<{ cid: CID; dagBytes: number }> {
  // loaded when first needed: a node that only reads files never pays for it
  const [importer, { fixedSize }, { balanced }] = await Promise.all([
    import('ipfs-unixfs-importer'),
    import('ipfs-unixfs-importer/chunker'),
    import('ipfs-unixfs-importer/layout'),
  ])
  const sink = {
    put: async (cid: CID, block: Uint8Array) => {
      await put(cid, block)
      return cid
    },
  }
  const { cid, size } = await importer.importFile({ content }, sink as never, {
    cidVersion: 1,
    rawLeaves: true,
    reduceSingleLeafToSelf: true,
    blockWriteConcurrency: o.concurrency,
    chunker: fixedSize({ chunkSize: CHUNK_BYTES }),
    layout: balanced({ maxChildrenPerNode: MAX_LINKS }),
  })
  return { cid, dagBytes: Number(size) }
}
