import { dagBytesOf, type FolderEntry, folderNodes, makeFolder, type ReadBlock, readFolder } from '@pingo/storage'
import { type CID, DAG_PB, isPinGoError, parseCid } from '@pingo/wire'
import type { Extent, Placed } from './entry.ts'
import type { StoreParts } from './parts.ts'
import type { Place } from './path-names.ts'
import { enter, type PutOptions, type Stored } from './put.ts'

/** A folder of a tree: its path below the root, '' for the root itself. */
export interface TreeFolder {
  path: string
  cid: CID
}

/**
 * Makes the public folder that files were put as, the one that `ipfs add -r` makes of them, and stores it with its sub-folders. It is what the
 * files are now: an entry that is changed or removed later does not change it.
 * @param place of the root: its key ends with a slash, and so do those of the sub-folders
 * @param entries by their paths below the root
 * @returns the root first
 */
export async function putFolder(
  parts: StoreParts,
  place: Place,
  entries: Iterable<FolderEntry>,
  o: PutOptions,
): Promise<Stored[]> {
  const blocks = new Map<string, Uint8Array>()
  const { cid } = await makeFolder(entries, async (cid, block) => void blocks.set(cid.toString(), block))
  const read: ReadBlock = async (cid) => blocks.get(cid.toString())!
  const folders: TreeFolder[] = []
  const visit = async (cid: CID, path: string): Promise<void> => {
    folders.push({ path, cid })
    for await (const node of folderNodes(cid, read))
      for (const { name, cid: each } of node.entries)
        if (blocks.has(each.toString())) await visit(each, path === '' ? name : `${path}/${name}`)
  }
  await visit(cid, '')
  return await putFolders(parts, place, folders, read, o)
}

/**
 * Stores the folders of a tree, each as an object of its own.
 * @param folders parents first
 * @param read their blocks
 */
export async function putFolders(
  parts: StoreParts,
  { bucket, key: root }: Place,
  folders: readonly TreeFolder[],
  read: ReadBlock,
  o: PutOptions,
): Promise<Stored[]> {
  const stored: Stored[] = []
  const known = new Map<string, Extent>()
  // those below come first: whoever finds a folder finds what it leads to
  for (const { path, cid } of folders.toReversed()) {
    o.signal?.throwIfAborted()
    const place = { bucket, key: path === '' ? root : `${root}${path}/` }
    const before = parts.index.get(place)
    if (before && isThis(before, cid) && !o.isForced) {
      stored.push({ entry: before })
      continue
    }
    const put = async () => {
      const extent = known.get(cid.toString())
      if (extent) return { extent }
      const blocks = []
      for await (const node of folderNodes(cid, read)) blocks.push({ cid: node.cid, bytes: node.bytes })
      const dagBytes = dagBytesOf(cid, blocks[0]!.bytes)
      return await parts.objects.putFolder({ root: cid, blocks, dagBytes }, o)
    }
    const each = await enter(parts, place, put, { ...o, kind: 'folder', isPublic: true, onProgress: undefined })
    known.set(cid.toString(), each.entry.extents[0]!)
    stored.push(each)
  }
  return stored.toReversed()
}

/** A public file of the index as an entry of a folder. */
export async function folderEntryOf(
  { objects }: StoreParts,
  path: string,
  { extents: [extent], bytes }: Placed,
  signal?: AbortSignal,
): Promise<FolderEntry> {
  const cid = parseCid(extent!.id)
  const dagBytes = extent!.dagBytes ?? dagBytesOf(cid, await objects.block(cid, cid, signal))
  return { path, file: { cid, bytes, dagBytes } }
}

/** Whether a CID is known to be a public folder's. */
export async function isFolder({ objects }: StoreParts, cid: CID, signal?: AbortSignal): Promise<boolean> {
  if (cid.code !== DAG_PB) return false
  try {
    return readFolder(cid, await objects.block(cid, cid, signal)) !== undefined
  } catch (error) {
    if (isPinGoError(error, 'BLOCK_MISSING')) return false
    throw error
  }
}

const isThis = ({ kind, isPublic, extents }: Placed, cid: CID) =>
  kind === 'folder' && isPublic && extents.length === 1 && extents[0]!.id === cid.toV1().toString()
