import { lstat, mkdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { walkFolder } from '@pingo/storage'
import { isPinGoError, PinGoError } from '@pingo/wire'
import type { Extent, Placed } from './entry.ts'
import { find, type Target } from './find.ts'
import type { Span } from './objects.ts'
import { folderBelow, PartFile, pathBelow, refuseFolder } from './part-file.ts'
import type { StoreParts } from './parts.ts'
import { foldedName, isCaseBlind, pathOf, safeName, safeParts } from './path-names.ts'
import { isUnchanged, noteSource, type StoreProgress } from './put.ts'
import { look, reason } from './walk.ts'

export interface GetOptions {
  /** File or folder to write to. Default: the entry's name, in the working directory. A folder that is there gets the file into it. */
  out?: string
  /** Only these bytes of a file. */
  range?: Partial<Span>
  /** Replaces files that are there. */
  isForced?: boolean
  onProgress?(progress: StoreProgress): void
  signal?: AbortSignal
}

export interface GetReport {
  /** Absolute path of the file or folder. */
  path: string
  files: number
  bytes: number
  /** Of the files, those that were there already. */
  unchanged: number
  failed: { path: string; code: string; why: string }[]
  isFolder: boolean
}

/**
 * Fetches a file or a folder to disk, every byte checked. Broken off, it goes on where it was when called again; nothing is ever
 * written outside of the target.
 */
export async function get(parts: StoreParts, what: string | Target, o: GetOptions = {}): Promise<GetReport> {
  const target = typeof what === 'string' ? await find(parts, what, o.signal) : what
  if (target.kind === 'folder') return await getFolder(parts, target, o)
  if (target.kind === 'public folder') return await getPublicFolder(parts, target, o)
  const path = await pathFor(target.name, o.out)
  const span = spanOf(target.bytes, o.range)
  const progress = (bytes: number) =>
    o.onProgress?.({ path: target.name, bytes, totalBytes: span.end - span.start, files: 0, totalFiles: 1 })
  const wasThere = await getFile(parts, path, target, { ...o, span, progress })
  const bytes = span.end - span.start
  return { path, files: 1, bytes, unchanged: Number(wasThere), failed: [], isFolder: false }
}

async function getFolder(
  parts: StoreParts,
  { bucket, prefix, name }: Extract<Target, { kind: 'folder' }>,
  o: GetOptions,
): Promise<GetReport> {
  if (o.range) throw new PinGoError('USAGE_RANGE', 'A range is of one file; this is a folder.')
  const root = resolve(o.out ?? safeName(name))
  let [totalBytes, totalFiles] = [0, 0]
  for (const entry of parts.index.below(bucket, prefix)) {
    totalBytes += entry.bytes
    totalFiles += Number(entry.kind === 'file')
  }
  await mkdir(root, { recursive: true })
  const report: GetReport = { path: root, files: 0, bytes: 0, unchanged: 0, failed: [], isFolder: true }
  const taken = new Map<string, string>()
  for (const entry of parts.index.below(bucket, prefix)) {
    o.signal?.throwIfAborted()
    const key = entry.key.slice(prefix.length)
    if (key === '') continue // the folder itself
    try {
      refuseCollision(taken, key)
      if (entry.kind === 'folder' || key.endsWith('/')) {
        await folderBelow(root, safeParts(key))
        continue
      }
      const path = await pathBelow(root, key)
      const { bytes: before, files } = report
      const progress = (bytes: number) =>
        o.onProgress?.({ path: pathOf(entry), bytes: before + bytes, totalBytes, files, totalFiles })
      const span = { start: 0, end: entry.bytes }
      const wasThere = await getFile(parts, path, { ...entry, entry }, { ...o, span, progress })
      report.files += 1
      report.bytes += entry.bytes
      report.unchanged += Number(wasThere)
    } catch (error) {
      if (o.signal?.aborted || !isOfOneFile(error)) throw error
      const code = isPinGoError(error) ? error.code : 'FOLDER_NOT_WRITABLE'
      report.failed.push({ path: pathOf(entry), code, why: reason(error) })
    }
  }
  return report
}

/** All below the root of a public folder, whoever stored it. */
async function getPublicFolder(
  parts: StoreParts,
  { name, cid: root }: Extract<Target, { kind: 'public folder' }>,
  o: GetOptions,
): Promise<GetReport> {
  if (o.range) throw new PinGoError('USAGE_RANGE', 'A range is of one file; this is a folder.')
  const { objects } = parts
  const folder = resolve(o.out ?? safeName(name))
  await mkdir(folder, { recursive: true })
  const report: GetReport = { path: folder, files: 0, bytes: 0, unchanged: 0, failed: [], isFolder: true }
  const taken = new Map<string, string>()
  for await (const { path: key, cid, kind } of walkFolder(root, (cid, of) => objects.block(cid, of, o.signal))) {
    o.signal?.throwIfAborted()
    if (key === '') continue // the folder itself
    try {
      refuseCollision(taken, key)
      if (kind === 'folder') {
        await folderBelow(folder, safeParts(key))
        continue
      }
      const path = await pathBelow(folder, key)
      const id = cid.toV1().toString()
      const { bytes } = await objects.openPublic(id, o.signal)
      const { bytes: before, files } = report
      const progress = (done: number) =>
        o.onProgress?.({ path: key, bytes: before + done, totalBytes: undefined, files, totalFiles: files + 1 })
      const entry = { bucket: '', key: id, etag: id, bytes }
      const file = { extents: [{ id, bytes, storedBytes: 0 }], entry }
      const wasThere = await getFile(parts, path, file, { ...o, span: { start: 0, end: bytes }, progress })
      report.files += 1
      report.bytes += bytes
      report.unchanged += Number(wasThere)
    } catch (error) {
      if (o.signal?.aborted || !isOfOneFile(error)) throw error
      const code = isPinGoError(error) ? error.code : 'FOLDER_NOT_WRITABLE'
      report.failed.push({ path: key, code, why: reason(error) })
    }
  }
  return report
}

const isOfOneFile = (error: unknown): boolean =>
  isPinGoError(error) ? error.code !== 'DISK_FULL' : !['ENOSPC', 'EDQUOT'].includes((error as { code?: string }).code!)

/** Two names that this machine's file system takes for one would overwrite each other. */
function refuseCollision(taken: Map<string, string>, key: string): void {
  if (!isCaseBlind()) return
  const parts = safeParts(key)
  for (let n = 1; n <= parts.length; n++) {
    const path = parts.slice(0, n).join('/')
    const before = taken.get(foldedName(path))
    if (before !== undefined && before !== path)
      throw new PinGoError('NAME_UNSAFE', `'${path}' and '${before}' are one name on this system.`, {
        hint: 'Get one of them alone under another name: --out FILE.',
      })
    taken.set(foldedName(path), path)
  }
}

/** @returns whether the file was there already */
async function getFile(
  parts: StoreParts,
  path: string,
  file: { extents: Extent[]; entry?: Pick<Placed, 'bucket' | 'key' | 'etag' | 'bytes'> },
  o: { span: Span; progress(bytes: number): void; isForced?: boolean; signal?: AbortSignal },
): Promise<boolean> {
  const { entry } = file
  const { start, end } = o.span
  const isWhole = entry !== undefined && start === 0 && end === entry.bytes
  const there = await lstat(path).catch(() => undefined)
  if (there) {
    const folder = await realpath(dirname(path))
    const stamp = there.isFile() ? (await look(path)).stamp : ''
    if (isWhole && isUnchanged(parts, join(folder, basename(path)), entry, entry.etag, stamp)) return true
    if (!o.isForced)
      throw new PinGoError('FILE_EXISTS', `${path} is there already.`, {
        hint: 'Write elsewhere with --out, or replace it with --force.',
      })
  }
  const what = `${file.extents.map(({ id }) => id).join()} ${start}-${end}`
  const part = await PartFile.open(path, what)
  try {
    let bytes = Math.min(part.have, end - start)
    o.progress(bytes)
    for await (const piece of parts.objects.read(file.extents, { start: start + bytes, end }, o.signal)) {
      await part.write(piece)
      o.progress((bytes += piece.byteLength))
    }
    if (bytes !== end - start)
      throw new PinGoError('OBJECT_UNREADABLE', `Only ${bytes} of ${end - start} bytes of ${path} came.`)
  } catch (error) {
    await part.close()
    throw error
  }
  await part.finish()
  if (isWhole) noteSource(parts, await realpath(path), entry, entry.etag, (await look(path)).stamp)
  return false
}

/** Where a file goes. The name may be a stranger's: it is only taken when it is a plain one. */
async function pathFor(name: string, out: string | undefined): Promise<string> {
  if (out === undefined) return await checked(resolve(safeName(name)))
  const path = resolve(out)
  const isFolder = out.endsWith('/') || (await stat(path).catch(() => undefined))?.isDirectory()
  if (!isFolder) {
    await mkdir(dirname(path), { recursive: true })
    return await checked(path)
  }
  await mkdir(path, { recursive: true })
  return await checked(join(path, safeName(name)))
}

const checked = async (path: string): Promise<string> => {
  await refuseFolder(path)
  return path
}

/** A range within so many bytes. @throws PinGoError RANGE_INVALID */
export function spanOf(bytes: number, range: Partial<Span> = {}): Span {
  // as in HTTP: a negative start counts from the end
  const start = (range.start ?? 0) < 0 ? Math.max(0, bytes + range.start!) : (range.start ?? 0)
  const end = Math.min(bytes, range.end ?? bytes)
  if (start > end || (start === bytes && bytes > 0))
    throw new PinGoError('RANGE_INVALID', `The range begins behind the end: there are ${bytes} bytes.`)
  return { start, end }
}
