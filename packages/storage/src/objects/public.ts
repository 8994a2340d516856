import { type CID, type Code, DAG_PB, parseCid, RAW, SHARD_BYTES, SHARD_ROW_BYTES, sha256 } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { dagBytesOf } from '../files/folder.ts'
import { importFile } from '../files/import-file.ts'
import { readNode, walk } from '../files/unixfs.ts'
import { encodeStripe } from './make-stripe.ts'
import { type Block, shardBytesFor } from './object.ts'
import type { PendingStripe } from './writer.ts'

/**
 * Cuts a stream into a UnixFS file whose distinct leaves, in the order in which they come first, are the data shards of stripes.
 * @param add takes the stripes
 * @param onRepeated bytes of a leaf that was there before
 * @returns the root, the blocks of the tree above the leaves (of an empty file, its one empty block), and the bytes of all blocks
 */
export async function publicStripes(
  source: AsyncIterable<Uint8Array>,
  code: Code,
  add: (stripe: PendingStripe) => Promise<void>,
  onRepeated: (bytes: number) => void,
): Promise<{ root: string; tree: Block[]; dagBytes: number }> {
  const tree = new Map<string, Block>()
  const seen = new Set<string>()
  let leaves: Uint8Array[] = []
  let cids: CID[] = []
  let index = 0
  const flush = async () => {
    const stripe = leafStripe(code, index, cids, leaves)
    leaves = []
    cids = []
    await add(stripe)
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
    cids.push(cid)
    if (leaves.length === code.k) await flush()
  }
  const { cid, dagBytes } = await importFile(source, put, { concurrency: 1 })
  if (leaves.length > 0) await flush()
  return { root: cid.toString(), tree: [...tree.values()], dagBytes }
}

/** Bytes of a foreign file's tree where it holds bytes of the file: caretakers keep it whole, so that it costs more than shards. */
const MAX_INLINE_BYTES = 16 << 20

/** A UnixFS file that is cut into blocks already, whoever cut it. */
export interface CutFile {
  root: CID
  /** All distinct blocks: those of its tree, and its leaves in the order in which they come first. */
  tree: Block[]
  leaves: CID[]
  /** Of all distinct leaves. */
  bytes: number
  /** Of every leaf but the last, which is no longer. */
  leafBytes: number
  dagBytes: number
}

/**
 * Looks at a file that others cut into blocks.
 * @returns undefined when it is cut so that its leaves cannot be shards, and too long to be kept otherwise
 * @throws PinGoError FILE_MALFORMED, FILE_TOO_LARGE, and what `read` rejects with
 */
export async function cutFile(cid: CID, read: (cid: CID) => Promise<Uint8Array>): Promise<CutFile | undefined> {
  const root = cid.toV1()
  const tree: Block[] = []
  const leaves: CID[] = []
  const lengths: number[] = []
  let [treeBytes, inlineBytes, dagBytes] = [0, 0, 0]
  for (const text of await walk(root, read)) {
    const cid = parseCid(text)
    const bytes = await read(cid)
    if (cid.code === DAG_PB || bytes.byteLength === 0) {
      tree.push({ cid, bytes })
      treeBytes += bytes.byteLength
      if (cid.code === DAG_PB) inlineBytes += readNode(cid, bytes).data.byteLength
    } else {
      leaves.push(cid)
      lengths.push(bytes.byteLength)
    }
    if (cid.equals(root)) dagBytes = dagBytesOf(cid, bytes)
  }
  const [leafBytes = 0] = lengths
  const bytes = lengths.reduce((sum, length) => sum + length, 0)
  const isEven = lengths.every((length, n) => length === leafBytes || (n === lengths.length - 1 && length < leafBytes))
  const areShards = isEven && leafBytes <= SHARD_BYTES && (lengths.length <= 1 || leafBytes % SHARD_ROW_BYTES === 0)
  if (areShards && (inlineBytes === 0 || treeBytes <= MAX_INLINE_BYTES))
    return { root, tree, leaves, bytes, leafBytes, dagBytes }
  if (treeBytes + bytes > MAX_INLINE_BYTES) return undefined
  for (const cid of leaves) tree.push({ cid, bytes: await read(cid) })
  return { root, tree, leaves: [], bytes: 0, leafBytes: 0, dagBytes }
}

/** Makes stripes of a cut file's leaves. @param add takes them */
export async function cutStripes(
  { leaves }: CutFile,
  code: Code,
  read: (cid: CID) => Promise<Uint8Array>,
  add: (stripe: PendingStripe) => Promise<void>,
): Promise<void> {
  for (let index = 0; index * code.k < leaves.length; index++) {
    const some = leaves.slice(index * code.k, (index + 1) * code.k)
    const data: Uint8Array[] = []
    for (const cid of some) data.push(await read(cid))
    await add(leafStripe(code, index, some, data))
  }
}

function leafStripe(code: Code, index: number, leaves: readonly CID[], data: readonly Uint8Array[]): PendingStripe {
  return {
    index,
    content: sha256(Buffer.concat(leaves.map(({ multihash }) => multihash.digest))),
    sourceBytes: data.reduce((sum, { byteLength }) => sum + byteLength, 0),
    make: () => encodeStripe(code, data, leafShardBytes(code, data)),
  }
}

/** Leaves are whole shards; one alone needs no more than its own length. */
function leafShardBytes(code: Code, [first, ...others]: readonly Uint8Array[]): number {
  if (code.k === 1) return first!.byteLength
  return others.length > 0 ? first!.byteLength : shardBytesFor(first!.byteLength * code.k, code)
}
