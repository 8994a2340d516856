import type { CID } from '@pingo/wire'
import { importer } from 'ipfs-unixfs-importer'
import type { BlockStore } from '../blocks/block-store.ts'

/** Makes a UnixFS directory of files by ipfs-unixfs-importer, as `ipfs add -r` would. @returns its root */
export async function putDirectory(
  store: BlockStore,
  files: Record<string, Uint8Array>,
  o: { shardSplitThresholdBytes?: number } = {},
): Promise<CID> {
  const sink = {
    put: async (cid: CID, bytes: Uint8Array) => {
      await store.put(cid, bytes)
      return cid
    },
  }
  const source = Object.entries(files).map(([path, content]) => ({ path, content }))
  let root: CID | undefined
  for await (const { cid } of importer(source, sink as never, {
    cidVersion: 1,
    rawLeaves: true,
    wrapWithDirectory: true,
    ...o,
  }))
    root = cid as unknown as CID
  return root!
}
