import { type CID, type Code, RAW, SHARD_BYTES, sha256 } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { importFile } from '../files/import-file.ts'
import { encodeStripe } from './make-stripe.ts'
import { type Block, shardBytesFor } from './object.ts'
import type { PendingStripe } from './writer.ts'

/**
 * Cuts a stream into a UnixFS file whose distinct leaves, in the order in which they come first, are the data shards of stripes.
 * @param add takes the stripes
 * @param onRepeated bytes of a leaf that was there before
 * @returns the root, and the blocks of the tree above the leaves (of an empty file, its one empty block)
 */
export async function publicStripes(
  source: AsyncIterable<Uint8Array>,
  code: Code,
  add: (stripe: PendingStripe) => Promise<void>,
  onRepeated: (bytes: number) => void,
): Promise<{ root: string; tree: Block[] }> {
  const tree = new Map<string, Block>()
  const seen = new Set<string>()
  let leaves: Uint8Array[] = []
  let digests: Uint8Array[] = []
  let index = 0
  const flush = async () => {
    const data = leaves
    const content = sha256(Buffer.concat(digests))
    leaves = []
    digests = []
    const sourceBytes = data.reduce((sum, { byteLength }) => sum + byteLength, 0)
    await add({ index, content, sourceBytes, make: () => encodeStripe(code, data, leafShardBytes(code, data)) })
    index += 1
  }
  const put = async (cid: CID, block: Uint8Array) => {
    const key = keyOf(cid)
    if (cid.code !== RAW || block.byteLength === 0) {
      tree.set(key, { cid, bytes: block })
      return
    }
    if (seen.has(key)) return onRepeated(block.byteLength)
    seen.add(key)
    leaves.push(block)
    digests.push(cid.multihash.digest)
    if (leaves.length === code.k) await flush()
  }
  const root = await importFile(source, put, { concurrency: 1 })
  if (leaves.length > 0) await flush()
  return { root: root.toString(), tree: [...tree.values()] }
}

/** Leaves are whole shards; one alone needs no more than its own length. */
function leafShardBytes(code: Code, [first, ...others]: readonly Uint8Array[]): number {
  if (code.k === 1) return first!.byteLength
  return others.length > 0 ? SHARD_BYTES : shardBytesFor(first!.byteLength * code.k, code)
}
