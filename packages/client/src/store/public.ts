import { PassThrough } from 'node:stream'
import { type FileStore, HttpPool, type ReadBlock, walkFolder } from '@pingo/storage'
import { type CID, isPinGoError, PinGoError, parseCid } from '@pingo/wire'
import { openStaging } from '../staging.ts'
import { find, isCid, lastPart, type Target } from './find.ts'
import type { StoreParts } from './parts.ts'
import { checkBucket, checkKey, shown } from './path-names.ts'
import { type PutOptions, putOne, type Stored } from './put.ts'

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

/** A public file with all its blocks, as CAR. */
export async function* exportCar(parts: StoreParts, target: Target, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (target.kind === 'folder' || target.extents.some(({ secret }) => secret) || target.extents.length !== 1)
    throw new PinGoError('CAR_PRIVATE', `'${shown(target.name)}' is not a public file.`, {
      hint: 'A CAR is for everybody to read: put the file with --public first.',
    })
  const staging = await openStaging(parts.home)
  try {
    const ref = await staging.files.put(parts.objects.read(target.extents, undefined, signal))
    const out = new PassThrough()
    const written = staging.files.exportCar(ref.cid, out)
    written.catch((error) => out.destroy(error))
    yield* out as AsyncIterable<Uint8Array>
    await written
  } finally {
    await staging.remove()
  }
}

/** Stores the files that a CAR's roots lead to; of a folder, each file by its path. */
export async function importCar(
  parts: StoreParts,
  source: AsyncIterable<Uint8Array>,
  o: PutOptions,
): Promise<CarReport> {
  const report: CarReport = { stored: [], renamed: [] }
  const staging = await openStaging(parts.home)
  try {
    const { roots } = await staging.files.importCar(source)
    const read: ReadBlock = (cid) => staging.blocks.get(cid)
    for (const root of roots) {
      const name = o.name ?? root
      for await (const { path, cid, kind } of walkFolder(root, read)) {
        o.signal?.throwIfAborted()
        const key = checkKey(path === '' ? name : `${name}/${path}`)
        if (kind === 'file') await importFile(parts, staging.files, cid, key, o, report)
      }
    }
    return report
  } finally {
    await staging.remove()
  }
}

async function importFile(
  parts: StoreParts,
  files: FileStore,
  cid: CID,
  key: string,
  o: PutOptions,
  report: CarReport,
): Promise<void> {
  const place = { bucket: checkBucket(o.bucket ?? PIN_BUCKET), key }
  const bytes = await files.size(cid)
  const onProgress = (progress: { bytes: number; totalBytes: number | undefined }) =>
    o.onProgress?.({
      path: lastPart(key),
      ...progress,
      files: report.stored.length,
      totalFiles: report.stored.length + 1,
    })
  const stored = await putOne(parts, () => files.read(cid), place, { ...o, bytes, isPublic: true, onProgress })
  report.stored.push(stored)
  const id = stored.entry.extents[0]!.id
  if (id !== cid.toString()) report.renamed.push({ from: cid.toString(), to: id })
}
