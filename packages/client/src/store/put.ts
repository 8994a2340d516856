import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { FolderEntry, PutProgress, PutResult, PutSource } from '@pingo/storage'
import { isPinGoError, PinGoError, type StorageClass } from '@pingo/wire'
import { transaction } from './database.ts'
import { type Extent, idOf, type Placed } from './entry.ts'
import { folderEntryOf, putFolder } from './folders.ts'
import type { StoreParts } from './parts.ts'
import { checkBucket, checkKey, DEFAULT_BUCKET, type Place, pathOf } from './path-names.ts'
import { type Found, type LocalFile, look, reason, walkFolder } from './walk.ts'

/** Files up to this length are put several at once: they wait for nodes more than for bytes. */
const SMALL_FILE_BYTES = 1 << 20
const SMALL_FILES_AT_ONCE = 8
const READ_BYTES = 1 << 20

export interface PutOptions {
  /** What the entry is called. Default: the file's or folder's name; a stream needs one. */
  name?: string
  /** 'files' by default. */
  bucket?: string
  /** For everybody who knows the CID, as IPFS keeps it. False by default: encrypted, for the owner. */
  isPublic?: boolean
  /** 'hot' by default. */
  class?: StorageClass
  contentType?: string
  /** Stores on the nodes that live, instead of waiting for those that are known and do not answer. */
  acceptsFewer?: boolean
  /** Puts also what has not changed since it was put last. */
  isForced?: boolean
  onProgress?(progress: StoreProgress): void
  signal?: AbortSignal
}

/** How far a put or a get of one or many files is. */
export interface StoreProgress {
  /** The entry that is under way. */
  path: string
  bytes: number
  totalBytes: number | undefined
  files: number
  totalFiles: number
  /** Why nothing moves at the moment. */
  waitingFor?: string
}

/** A file that is stored. */
export interface Stored {
  entry: Placed
  /** What the network did; absent when nothing had to be sent. */
  result?: PutResult
}

/** What was done with each thing that was found: in the order of their names. */
export interface PutReport {
  stored: Stored[]
  /** Not stored, and why; the others are. */
  failed: { path: string; code: string; why: string }[]
  /** Links, pipes and the like, which are never stored. */
  skipped: { path: string; why: string }[]
  isFolder: boolean
  /** Of a public folder that was stored whole: its CID, as IPFS gives it. */
  root?: string
}

/** Stores a file, a folder with all below it, or a stream. @throws PinGoError of what a single file or stream met with */
export async function put(
  parts: StoreParts,
  source: string | AsyncIterable<Uint8Array>,
  o: PutOptions = {},
): Promise<PutReport> {
  const bucket = checkBucket(o.bucket ?? DEFAULT_BUCKET)
  if (typeof source !== 'string') {
    if (o.name === undefined)
      throw new PinGoError('USAGE_NAME_NEEDED', 'What comes from a pipe needs a name.', { hint: 'Add --name NAME.' })
    const place = { bucket, key: checkKey(o.name) }
    const stored = await putOne(parts, source, place, { ...o, onProgress: progressOf(o, place) })
    return { stored: [stored], failed: [], skipped: [], isFolder: false }
  }
  const path = resolve(source)
  const file = await look(path)
  const name = checkKey((o.name ?? basename(path)).replace(/\/+$/, ''))
  if (file.isFolder) return await putAll(parts, path, bucket, name, o)
  const place = { bucket, key: name }
  return { stored: [await putFile(parts, path, place, file, o)], failed: [], skipped: [], isFolder: false }
}

async function putAll(
  parts: StoreParts,
  folder: string,
  bucket: string,
  name: string,
  o: PutOptions,
): Promise<PutReport> {
  let [totalBytes, totalFiles] = [0, 0]
  for await (const found of walkFolder(folder, name)) {
    o.signal?.throwIfAborted()
    if (found.kind !== 'file') continue
    totalBytes += found.bytes
    totalFiles += 1
  }
  const report: PutReport = { stored: [], failed: [], skipped: [], isFolder: true }
  let [doneBytes, doneFiles] = [0, 0]
  const running = new Set<Promise<void>>()
  const tree: FolderEntry[] = []
  const putFound = async (found: Exclude<Found, { kind: 'skipped' }>) => {
    const place = { bucket, key: found.name }
    const at = report.stored.push(undefined as never) - 1 // keeps the order
    try {
      if (found.kind === 'folder') {
        if (o.isPublic) tree.push({ path: found.name.slice(name.length + 1, -1), file: undefined })
        else report.stored[at] = { entry: putEmptyFolder(parts, place, o) }
      } else {
        const onProgress = (progress: StoreProgress) =>
          o.onProgress?.({ ...progress, bytes: doneBytes + progress.bytes, totalBytes, files: doneFiles, totalFiles })
        const stored = await putFile(parts, found.path, place, found, { ...o, onProgress })
        report.stored[at] = stored
        if (o.isPublic) tree.push(await folderEntryOf(parts, found.name.slice(name.length + 1), stored.entry, o.signal))
        doneBytes += found.bytes
        doneFiles += 1
      }
    } catch (error) {
      if (o.signal?.aborted || endsAll(error)) throw error
      const code = isPinGoError(error) ? error.code : 'FILE_UNREADABLE'
      report.failed.push({ path: found.path, code, why: reason(error) })
    }
  }
  try {
    for await (const found of walkFolder(folder, name)) {
      o.signal?.throwIfAborted()
      if (found.kind === 'skipped') {
        report.skipped.push({ path: found.path, why: found.why })
        continue
      }
      const isSmall = found.kind === 'folder' || found.bytes <= SMALL_FILE_BYTES
      if (running.size >= SMALL_FILES_AT_ONCE) await Promise.race(running)
      if (!isSmall) await Promise.all(running)
      const work: Promise<void> = putFound(found).finally(() => running.delete(work))
      work.catch(() => undefined) // awaited below
      running.add(work)
      if (!isSmall) await work
    }
    await Promise.all(running)
  } finally {
    await Promise.allSettled(running)
  }
  report.stored = report.stored.filter((stored) => stored !== undefined)
  if (o.isPublic && report.failed.length === 0) await putRoot(parts, { bucket, key: `${name}/` }, tree, report, o)
  return report
}

/** The folder itself, so that all of it is found by one CID. */
async function putRoot(
  parts: StoreParts,
  place: Place,
  tree: FolderEntry[],
  report: PutReport,
  o: PutOptions,
): Promise<void> {
  try {
    const isInside = ({ path }: FolderEntry) => path !== '' // an empty folder is told as its own entry
    const folders = await putFolder(parts, place, tree.filter(isInside), o)
    report.root = folders[0]!.entry.extents[0]!.id
    report.stored.push(...folders)
  } catch (error) {
    if (!isPinGoError(error, 'PATH_UNSAFE')) throw error
    report.failed.push({ path: pathOf(place), code: error.code, why: reason(error) }) // the files are stored all the same
  }
}

/** What would befall every other file too. */
const endsAll = (error: unknown) =>
  ['STORAGE_NODES_FEW', 'QUOTA_EXCEEDED', 'UNAUTHORIZED', 'KEYRING_WRONG', 'STORE_DAMAGED'].includes(
    (error as { code?: string }).code ?? '',
  )

function putEmptyFolder({ index }: StoreParts, { bucket, key }: Place, o: PutOptions): Placed {
  const before = index.get({ bucket, key })
  if (before && !o.isForced) return before
  const entry = { kind: 'folder' as const, extents: [], bytes: 0, etag: '', headers: {}, metadata: {} }
  return index.put({ bucket, key }, { ...entry, class: o.class ?? 'hot', isPublic: o.isPublic ?? false })
}

/** Stores a file unless it is stored as it is. */
async function putFile(
  parts: StoreParts,
  path: string,
  place: Place,
  file: Pick<LocalFile, 'bytes' | 'stamp'>,
  o: PutOptions,
): Promise<Stored> {
  const { index } = parts
  const whole = await realpath(path)
  const before = index.get(place)
  const isAlike = before && before.isPublic === (o.isPublic ?? false) && before.class === (o.class ?? 'hot')
  if (isAlike && !o.isForced && isUnchanged(parts, whole, place, before.etag, file.stamp)) return { entry: before }
  const source = () => createReadStream(path, { highWaterMark: READ_BYTES, signal: o.signal })
  const journal = `${o.isPublic ? 'public' : 'private'} ${pathOf(place)} ${whole}`
  return await putOne(parts, source, place, {
    ...o,
    bytes: file.bytes,
    journal,
    onProgress: progressOf(o, place),
    onStored: (entry) => noteSource(parts, whole, place, entry.etag, file.stamp),
  })
}

/** What {@link putOne} needs beyond an entry's place. */
export interface PutOneOptions {
  isPublic?: boolean
  class?: StorageClass
  contentType?: string
  headers?: Record<string, string>
  metadata?: Record<string, string>
  bytes?: number
  acceptsFewer?: boolean
  /** Names the put, so that a later one of the same name goes on with it. */
  journal?: string
  /** Told within the transaction that makes the entry. */
  onStored?(entry: Placed): void
  onProgress?(progress: PutProgress): void
  signal?: AbortSignal
}

/** Stores an object and makes it the entry: durable when it resolves. */
export async function putOne(parts: StoreParts, source: PutSource, place: Place, o: PutOneOptions): Promise<Stored> {
  const { objects, journals } = parts
  const journal = o.journal === undefined ? undefined : journals.claim(o.journal)
  let isRead = false
  const put = async () => {
    if (isRead && typeof source !== 'function' && !(source instanceof Uint8Array))
      throw new PinGoError('PUT_AGAIN', 'The same data were removed while they were put.', { hint: 'Put them again.' })
    isRead = true
    return await objects.put(source, {
      class: o.class,
      isPublic: o.isPublic,
      bytes: o.bytes,
      acceptsFewer: o.acceptsFewer,
      journal,
      onProgress: o.onProgress,
      signal: o.signal,
    })
  }
  try {
    const onStored = (entry: Placed) => {
      if (o.journal !== undefined) journals.drop(o.journal)
      o.onStored?.(entry)
    }
    return await enter(parts, place, put, { ...o, onStored })
  } catch (error) {
    if (o.journal !== undefined && isPinGoError(error, 'SOURCE_CHANGED')) journals.drop(o.journal)
    throw error
  } finally {
    journal?.release()
  }
}

/** Makes an entry of an object that `put` stores: again, where what was stored may be forgotten by then. */
export async function enter(
  { index }: StoreParts,
  place: Place,
  put: () => Promise<{ extent: Extent; result?: PutResult }>,
  o: PutOneOptions & { kind?: 'file' | 'folder' },
): Promise<Stored> {
  for (;;) {
    const { extent, result } = await put()
    const entry = transaction(index.db, () => {
      if (index.isForgetting(extent.id)) {
        // public data that are removed just now: what was committed may be forgotten, so it is committed again
        index.forgotten(extent.id)
        return undefined
      }
      const entry = index.put(place, newEntry(extent, o))
      o.onStored?.(entry)
      return entry
    })
    if (entry) return { entry, result }
  }
}

function newEntry(extent: Extent, o: PutOneOptions & { kind?: 'file' | 'folder' }) {
  return {
    kind: o.kind ?? ('file' as const),
    extents: [extent],
    bytes: extent.bytes,
    class: o.class ?? ('hot' as const),
    isPublic: o.isPublic ?? false,
    etag: etagOf([extent]),
    headers: o.headers ?? (o.contentType ? { 'content-type': o.contentType } : {}),
    metadata: o.metadata ?? {},
  }
}

/** An entity tag that no client takes for the MD5 of the bytes: it has the form of a multipart upload's. */
export const etagOf = (extents: readonly Extent[]): string =>
  `${createHash('sha256')
    .update(extents.map(({ id }) => id).join())
    .digest('hex')
    .slice(0, 32)}-${Math.max(1, extents.length)}`

const progressOf = (o: PutOptions, place: Place) => (progress: PutProgress) =>
  o.onProgress?.({
    path: pathOf(place),
    bytes: progress.bytes,
    totalBytes: progress.totalBytes,
    files: 0,
    totalFiles: 1,
    waitingFor: progress.waitingFor,
  })

/** Whether a file of this machine is still what the entry of this tag has. */
export function isUnchanged({ index }: StoreParts, path: string, place: Place, etag: string, stamp: string): boolean {
  const row = index.db
    .prepare('SELECT 1 FROM sources WHERE path = ? AND bucket = ? AND key = ? AND etag = ? AND stamp = ?')
    .get(path, place.bucket, place.key, etag, stamp)
  return row !== undefined
}

export function noteSource({ index }: StoreParts, path: string, place: Place, etag: string, stamp: string): void {
  index.db
    .prepare(
      `INSERT INTO sources (path, bucket, key, etag, stamp) VALUES (?, ?, ?, ?, ?) ON CONFLICT (path, bucket, key)
       DO UPDATE SET etag = excluded.etag, stamp = excluded.stamp`,
    )
    .run(path, place.bucket, place.key, etag, stamp)
}

/** The id that a person is told. */
export const shownId = ({ entry }: Stored): string | undefined => idOf(entry)
