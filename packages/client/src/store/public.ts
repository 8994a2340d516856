import { carOf, type FileStore, type FolderEntry, HttpPool, type ReadBlock, walkFolder } from '@pingo/storage'
import { type CID, isPinGoError, PinGoError, parseCid } from '@pingo/wire'
import { openStaging, type Staging } from '../staging.ts'
import type { Placed } from './entry.ts'
import { find, isCid, lastPart, type Target } from './find.ts'
import { folderEntryOf, putFolder, putFolders, type TreeFolder } from './folders.ts'
import type { StoreParts } from './parts.ts'
import { checkBucket, checkKey, type Place, shown } from './path-names.ts'
import { enter, type PutOptions, putOne, type Stored } from './put.ts'

/** Where foreign data go that are pinned by their CID. */
export const PIN_BUCKET = 'pins'

export interface CarReport {
  stored: Stored[]
  /** Files whose blocks are cut otherwise than ours: their bytes are kept, under another id. */
  renamed: { from: string; to: string }[]
}

/** Keeps public data, also those that somebody else put: from the network's nodes, or else through a fog node's gateway. */
export async function pin(parts: StoreParts, text: string, o: PutOptions): Promise<CarReport> {
  let target: Target
  try {
    target = await find(parts, text, o.signal)
  } catch (error) {
    if (isPinGoError(error, 'OBJECT_MISSING') && isCid(text)) return await pinThroughGateway(parts, text, error, o)
    throw error
  }
  if (target.kind === 'public folder') {
    const car = exportCar(parts, target, o.signal)
    return await importCar(parts, car, { bucket: PIN_BUCKET, ...o, name: o.name ?? target.name })
  }
  if (target.kind === 'folder' || (target.entry && !target.entry.isPublic))
    throw new PinGoError('PIN_PRIVATE', `'${shown(text)}' is not public data.`, {
      hint: 'What you store is kept until you remove it; only public data are pinned.',
    })
  const place = { bucket: checkBucket(o.bucket ?? PIN_BUCKET), key: checkKey(o.name ?? target.name) }
  const source = () => parts.objects.read(target.extents, undefined, o.signal)
  const stored = await putOne(parts, source, place, {
    ...o,
    bytes: target.bytes,
    isPublic: true,
    onProgress: undefined,
  })
  return { stored: [stored], renamed: [] }
}

async function pinThroughGateway(
  parts: StoreParts,
  text: string,
  missing: PinGoError,
  o: PutOptions,
): Promise<CarReport> {
  const cid = parseCid(text).toString()
  const pool = new HttpPool()
  try {
    for (const source of await parts.gateways()) {
      const answer = await pool.open(source, `/ipfs/${cid}?format=car`, { signal: o.signal })
      if (answer.statusCode === 200)
        return await importCar(parts, answer, { bucket: PIN_BUCKET, ...o, name: o.name ?? cid })
      answer.destroy()
    }
  } finally {
    pool.close()
  }
  throw missing
}

/** A public file or folder with all blocks below it, as CAR: depth first, each once, each checked. */
export async function* exportCar(parts: StoreParts, target: Target, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const cid = publicRootOf(parts, target)
  if (cid === undefined)
    throw new PinGoError('CAR_PRIVATE', `'${shown(target.name)}' is not a public file or folder.`, {
      hint: 'A CAR is for everybody to read: put it with --public first.',
    })
  const read: ReadBlock = (cid, root) => parts.objects.block(cid, root, signal)
  yield* carOf(cid, read)
}

/** The CID of a public file or folder. */
export function publicRootOf({ index }: StoreParts, target: Target): CID | undefined {
  if (target.kind === 'public folder') return target.cid
  const { extents } =
    target.kind === 'file' ? target : (index.get({ bucket: target.bucket, key: target.prefix }) ?? { extents: [] })
  const [extent] = extents
  return extent && extents.length === 1 && !extent.secret ? parseCid(extent.id) : undefined
}

/** Stores the files and folders that a CAR's roots lead to. */
export async function importCar(
  parts: StoreParts,
  source: AsyncIterable<Uint8Array>,
  o: PutOptions,
): Promise<CarReport> {
  const report: CarReport = { stored: [], renamed: [] }
  const bucket = checkBucket(o.bucket ?? PIN_BUCKET)
  const staging = await openStaging(parts.home)
  try {
    const { roots } = await staging.files.importCar(source)
    for (const [n, root] of roots.entries()) {
      const name = o.name === undefined ? root : roots.length > 1 ? `${o.name}-${n + 1}` : o.name
      await importRoot(parts, staging, parseCid(root), { bucket, key: checkKey(name) }, o, report)
    }
    return report
  } finally {
    await staging.remove()
  }
}

async function importRoot(
  parts: StoreParts,
  { files, blocks }: Staging,
  root: CID,
  { bucket, key: name }: Place,
  o: PutOptions,
  report: CarReport,
): Promise<void> {
  const read: ReadBlock = (cid) => blocks.get(cid)
  const folders: TreeFolder[] = []
  const entries: FolderEntry[] = []
  const before = report.renamed.length
  for await (const { path, cid, kind } of walkFolder(root, read)) {
    o.signal?.throwIfAborted()
    if (kind === 'folder') {
      folders.push({ path, cid })
      if (path !== '') entries.push({ path, file: undefined })
      continue
    }
    const key = checkKey(path === '' ? name : `${name}/${path}`)
    const entry = await importFile(parts, files, cid, { bucket, key }, o, report)
    if (path !== '') entries.push(await folderEntryOf(parts, path, entry, o.signal))
  }
  if (folders.length === 0) return
  const place = { bucket, key: `${name}/` }
  const isSame = report.renamed.length === before
  const stored = isSame ? await putFolders(parts, place, folders, read, o) : await putFolder(parts, place, entries, o) // its files have other CIDs, so it has
  report.stored.push(...stored)
  if (!isSame) report.renamed.push({ from: root.toString(), to: stored[0]!.entry.extents[0]!.id })
}

async function importFile(
  parts: StoreParts,
  files: FileStore,
  cid: CID,
  place: Place,
  o: PutOptions,
  report: CarReport,
): Promise<Placed> {
  const bytes = await files.size(cid)
  const onProgress = (progress: { bytes: number; totalBytes: number | undefined }) =>
    o.onProgress?.({
      path: lastPart(place.key),
      ...progress,
      files: report.stored.length,
      totalFiles: report.stored.length + 1,
    })
  const all = { ...o, bytes, isPublic: true, onProgress }
  const put = async () =>
    (await parts.objects.putCut(cid, (block) => files.blocks.get(block), all)) ??
    (await parts.objects.put(() => files.read(cid), all))
  const stored = await enter(parts, place, put, all)
  report.stored.push(stored)
  const id = stored.entry.extents[0]!.id
  if (id !== cid.toV1().toString()) report.renamed.push({ from: cid.toString(), to: id })
  return stored.entry
}
