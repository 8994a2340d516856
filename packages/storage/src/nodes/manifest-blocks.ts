import { type CID, DAG_PB, type ManifestPart, type ObjectManifest, PinGoError, parseCid } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { type CidLike, keyOf } from '../blocks/key.ts'
import { linksOf } from '../blocks/links.ts'
import { folderNodes, readFolder } from '../files/folder.ts'
import { dataShards, decodeManifest, decodePart, shardCid } from '../objects/object.ts'

/** The manifest in block `cid`. @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED */
export const readManifest = async (blocks: BlockStore, cid: CidLike): Promise<ObjectManifest> =>
  decodeManifest(await blocks.get(cid))

/** Part `index` of a manifest. @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED */
export const readPart = async (blocks: BlockStore, manifest: ObjectManifest, index: number): Promise<ManifestPart> =>
  decodePart(await blocks.get(manifest.parts[index]!), manifest, index)

/** The blocks that a caretaker keeps of an object: parts, tree nodes, and last the manifest itself. */
export async function* manifestBlocks(blocks: BlockStore, manifestCid: CID): AsyncGenerator<CID> {
  const manifest = await readManifest(blocks, manifestCid)
  for (const [index, text] of manifest.parts.entries()) {
    const part = await readPart(blocks, manifest, index)
    for (const node of part.tree ?? []) yield parseCid(node)
    yield parseCid(text)
  }
  yield manifestCid
}

/**
 * Checks that the data shards of public data are the leaves of their UnixFS root, by the tree nodes that are here: then nobody can pass
 * off other bytes as an object that somebody else is going to store. A folder has all of its own blocks, and no others: its entries are objects of
 * their own.
 * @throws PinGoError BLOCK_MISSING, MANIFEST_MALFORMED, FOLDER_MALFORMED
 */
export async function checkTree(blocks: BlockStore, manifest: ObjectManifest): Promise<void> {
  const here = new Set<string>()
  const tree: string[] = []
  for (let index = 0; index < manifest.parts.length; index++) {
    const part = await readPart(blocks, manifest, index)
    for (const stripe of part.stripes)
      for (let shard = 0; shard < dataShards(stripe); shard++) here.add(keyOf(shardCid(stripe, manifest.code, shard)))
    tree.push(...(part.tree ?? []))
  }
  for (const text of tree) here.add(keyOf(text))
  const check = (cid: CidLike) => {
    if (!here.has(keyOf(cid)))
      throw new PinGoError('MANIFEST_MALFORMED', `The manifest lacks block ${cid} of the file.`)
  }
  const root = parseCid(manifest.root!)
  check(root)
  if (root.code === DAG_PB && readFolder(root, await blocks.get(root))) return await checkFolder(blocks, root, here)
  for (const text of tree) for (const link of linksOf(parseCid(text), await blocks.get(text))) check(link)
}

async function checkFolder(blocks: BlockStore, root: CID, here: ReadonlySet<string>): Promise<void> {
  const own = new Set<string>()
  const read = async (cid: CID) => {
    if (!here.has(keyOf(cid)))
      throw new PinGoError('MANIFEST_MALFORMED', `The manifest lacks block ${cid} of the folder.`)
    if (own.has(keyOf(cid))) throw new PinGoError('MANIFEST_MALFORMED', 'Two shards of the folder are one.')
    own.add(keyOf(cid))
    return await blocks.get(cid)
  }
  for await (const _ of folderNodes(root, read)); // reads them all
  if (own.size !== here.size)
    throw new PinGoError('MANIFEST_MALFORMED', 'The manifest has blocks that are not the folder’s.')
}
