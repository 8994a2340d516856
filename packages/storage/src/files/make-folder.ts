import * as dagPb from '@ipld/dag-pb'
import { type CID, cidOf, DAG_PB, PinGoError } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'
import { isSafeName, MAX_PATH_DEPTH } from './folder.ts'

/** What is to be listed in a folder. */
export interface FolderEntry {
  /** Names between slashes, relative to the folder. */
  path: string
  /** A file that is stored already; undefined: a folder, which may stay empty. */
  file: { cid: CID; bytes: number /** See `dagBytesOf`. */; dagBytes: number } | undefined
}

type Put = (cid: CID, block: Uint8Array) => Promise<void>

/** The tree builder gives what it built by name: everything is built below this one. */
const ROOT = 'root'

/**
 * Makes the nodes of a folder and its sub-folders, large ones sharded (HAMT): those of `ipfs add -r --cid-version=1`.
 * @param put takes each node
 * @returns the root, and the bytes of all blocks below it
 * @throws PinGoError PATH_UNSAFE (also when two entries want one place)
 */
export async function makeFolder(
  entries: Iterable<FolderEntry> | AsyncIterable<FolderEntry>,
  put: Put,
): Promise<{ cid: CID; dagBytes: number }> {
  const { importer } = await import('ipfs-unixfs-importer')
  const sink = { put: async (cid: CID, block: Uint8Array) => await put(cid, block).then(() => cid) }
  // files are not imported again: only the tree above them is built
  const dagBuilder = async function* () {
    const places = new Places()
    yield () => emptyFolder(put, ROOT)
    for await (const { path, file } of entries) {
      if (!places.take(path, file !== undefined)) continue
      yield () => (file ? entryOf(path, file) : emptyFolder(put, `${ROOT}/${path}`))
    }
  }
  const options = { cidVersion: 1, dagBuilder: dagBuilder as never, fileImportConcurrency: 1 } as const
  for await (const { path, cid, size } of importer([], sink as never, options))
    if (path === ROOT) return { cid, dagBytes: Number(size) }
  throw new PinGoError('FOLDER_MALFORMED', 'The folder could not be built.')
}

function entryOf(path: string, { cid, bytes, dagBytes }: NonNullable<FolderEntry['file']>) {
  const unixfs = new UnixFS({ type: 'file', blockSizes: [BigInt(bytes)] })
  return Promise.resolve({ cid, path: `${ROOT}/${path}`, unixfs, size: BigInt(dagBytes) })
}

async function emptyFolder(put: Put, path: string) {
  const unixfs = new UnixFS({ type: 'directory' })
  const block = dagPb.encode(dagPb.prepare({ Data: unixfs.marshal() }))
  const cid = cidOf(block, DAG_PB)
  await put(cid, block)
  return { cid, path, unixfs, size: BigInt(block.byteLength) }
}

/** Which places of the folder are taken: the tree builder would let a later entry replace an earlier one. */
class Places {
  readonly #files = new Set<string>()
  readonly #folders = new Set<string>()

  /** False when there is a folder already that has to be made by this entry. @throws PinGoError PATH_UNSAFE */
  take(path: string, isFile: boolean): boolean {
    const names = path.split('/')
    if (!names.every(isSafeName) || names.length > MAX_PATH_DEPTH)
      throw new PinGoError('PATH_UNSAFE', `'${path.slice(0, 300)}' is no path inside a folder.`)
    const taken = () => new PinGoError('PATH_UNSAFE', `Two entries want the place '${path.slice(0, 300)}'.`)
    const above = names.slice(0, -1).map((_, n) => names.slice(0, n + 1).join('/'))
    if (above.some((each) => this.#files.has(each)) || this.#files.has(path)) throw taken()
    for (const each of above) this.#folders.add(each)
    if (!isFile) return !this.#folders.has(path) && this.#folders.add(path) !== undefined
    if (this.#folders.has(path)) throw taken()
    this.#files.add(path)
    return true
  }
}
