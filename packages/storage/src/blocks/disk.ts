import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { mkdir, readdir, rename, rm, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { isPinGoError, PinGoError } from '@pingo/wire'
import { writePastCache } from './past-cache.ts'

/** What the store asks of a file system; a test hands in one that fails. */
export interface Disk {
  /**
   * Writes a file that is either whole and synced under its name, or not there.
   * @param o.isCold nobody reads it soon: see {@link writePastCache}
   */
  write(path: string, bytes: Uint8Array, temporaryFolder: string, o?: { isCold?: boolean }): Promise<void>
  /** Reads a file, into the beginning of `into` where it is large enough; undefined when there is none. */
  read(path: string, sizeHint: number, into?: Uint8Array): Promise<Uint8Array | undefined>
  /** Fills `into` with a file's bytes from `start` on. @returns false when there is no such file, or it ends before */
  readPart(path: string, start: number, into: Uint8Array): Promise<boolean>
  remove(path: string): Promise<void>
  /** Bytes that may still be written. */
  free(folder: string): Promise<number>
}

// plain descriptors: a FileHandle costs as much CPU as writing the 100 KiB after it. What does not wait for the disk is done at once (a file that
// is synced or was read is closed, a folder opened in which a file was renamed just now): a thread costs twenty times what it does there
const open = promisify(fs.open)
const write = promisify(fs.write) as (
  fd: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  at: null,
) => Promise<{ bytesWritten: number }>
const read = promisify(fs.read) as (
  fd: number,
  into: Uint8Array,
  from: number,
  length: number,
  at: number | null,
) => Promise<{ bytesRead: number }>
const fdatasync = promisify(fs.fdatasync)
const fsync = promisify(fs.fsync)

/** The real file system. */
export const nodeDisk: Disk = {
  async write(path, bytes, temporaryFolder, o) {
    const temporary = join(temporaryFolder, randomBytes(9).toString('base64url'))
    try {
      if (!(o?.isCold && (await writePastCache(temporary, bytes)))) await writeFile(temporary, bytes)
      try {
        await rename(temporary, path)
      } catch (error) {
        if (!isCode(error, 'ENOENT')) throw error
        await makeFolder(dirname(path))
        await rename(temporary, path)
      }
      await syncFolder(dirname(path))
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw error
    }
  },

  async read(path, sizeHint, into) {
    const file = await opened(path)
    if (file === undefined) return undefined
    try {
      // one byte more than expected, so that a file that grew is noticed
      const buffer =
        into && into.byteLength > sizeHint ? into.subarray(0, sizeHint + 1) : Buffer.allocUnsafeSlow(sizeHint + 1)
      let length = 0
      while (length < sizeHint) {
        const { bytesRead } = await read(file, buffer, length, buffer.byteLength - length, null)
        if (bytesRead === 0) break
        length += bytesRead
      }
      if (length === sizeHint) length += fs.readSync(file, buffer, length, 1, null) // it ends here
      return buffer.subarray(0, length)
    } finally {
      fs.closeSync(file)
    }
  },

  async readPart(path, start, into) {
    const file = await opened(path)
    if (file === undefined) return false
    try {
      for (let at = 0; at < into.byteLength; ) {
        const { bytesRead } = await read(file, into, at, into.byteLength - at, start + at)
        if (bytesRead === 0) return false
        at += bytesRead
      }
      return true
    } finally {
      fs.closeSync(file)
    }
  },

  remove: (path) => rm(path, { force: true }),

  async free(folder) {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  },
}

/** Makes a synced file. */
async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for (let at = 0; at < bytes.byteLength; )
      at += (await write(file, bytes, at, bytes.byteLength - at, null)).bytesWritten
    await fdatasync(file)
  } finally {
    fs.closeSync(file)
  }
}

/** A file's descriptor, to read; undefined when there is no such file. */
async function opened(path: string): Promise<number | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Makes a folder and those above it, durably. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncFolder(dirname(made))
    if (made === first || made === dirname(made)) return
  }
}

/** Makes a rename durable. Windows has no such call, and its file system needs none. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = fs.openSync(path, 'r')
  try {
    await fsync(folder)
  } finally {
    fs.closeSync(folder)
  }
}

export const isCode = (error: unknown, code: string): boolean =>
  (error as NodeJS.ErrnoException | undefined)?.code === code

const SQLITE_FULL = 13

/** A full disk as DISK_FULL with the fix; anything else as it is. */
export function diskError(error: unknown, folder: string): unknown {
  if (isPinGoError(error)) return error
  const full =
    isCode(error, 'ENOSPC') ||
    isCode(error, 'EDQUOT') ||
    (error as { errcode?: number } | undefined)?.errcode === SQLITE_FULL
  return full ? diskFull(folder, error) : error
}

export function diskFull(folder: string, cause?: unknown): PinGoError {
  return new PinGoError('DISK_FULL', `The disk of ${folder} is full.`, {
    hint: 'Free some space on it, or move the store to a larger disk.',
    cause,
  })
}

/** The block files below `folder`, by key, with their sizes. Files of any other name are not ours and are left alone. */
export async function* blockFiles(folder: string): AsyncGenerator<{ key: string; bytes: number }> {
  for (const first of await names(folder))
    for (const key of await names(join(folder, first))) {
      if (!isKey(key) || !key.startsWith(first)) continue
      const { size } = await stat(join(folder, first, key))
      yield { key, bytes: size }
    }
}

/** Moves the blocks of a store that was made when they lay a level deeper (`ab/cd/<hash>`): nearly every one had two folders to itself. */
export async function moveUp(folder: string): Promise<void> {
  for (const first of await names(folder)) {
    const deeper = (await names(join(folder, first))).filter((name) => /^[0-9a-f]{2}$/.test(name))
    for (const second of deeper) {
      for (const key of await names(join(folder, first, second)))
        if (isKey(key) && key.startsWith(first + second))
          await rename(join(folder, first, second, key), join(folder, first, key))
      await rmdir(join(folder, first, second)).catch(() => undefined)
    }
    if (deeper.length > 0) await syncFolder(join(folder, first))
  }
}

const isKey = (name: string) => /^[0-9a-f]{64}$/.test(name)

async function names(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return []
    throw error
  }
}
