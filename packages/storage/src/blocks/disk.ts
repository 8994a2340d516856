import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isPinGoError, PinGoError } from '@pingo/wire'

/** What the store asks of a file system; a test hands in one that fails. */
export interface Disk {
  /** Writes a file that is either whole and synced under its name, or not there. */
  write(path: string, bytes: Uint8Array, temporaryFolder: string): Promise<void>
  /** Reads a file; undefined when there is none. */
  read(path: string, sizeHint: number): Promise<Uint8Array | undefined>
  remove(path: string): Promise<void>
  /** Bytes that may still be written. */
  free(folder: string): Promise<number>
}

/** The real file system. */
export const nodeDisk: Disk = {
  async write(path, bytes, temporaryFolder) {
    const temporary = join(temporaryFolder, randomBytes(9).toString('base64url'))
    try {
      const handle = await open(temporary, 'wx', 0o600)
      try {
        await handle.writeFile(bytes)
        await handle.datasync()
      } finally {
        await handle.close()
      }
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

  async read(path, sizeHint) {
    let handle: Awaited<ReturnType<typeof open>>
    try {
      handle = await open(path, 'r')
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      // one byte more than expected, so that a file that grew is noticed
      const buffer = Buffer.allocUnsafeSlow(sizeHint + 1)
      let length = 0
      while (length < buffer.byteLength) {
        const { bytesRead } = await handle.read(buffer, length, buffer.byteLength - length, length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return buffer.subarray(0, length)
    } finally {
      await handle.close()
    }
  },

  remove: (path) => rm(path, { force: true }),

  async free(folder) {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  },
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
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
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
    for (const second of await names(join(folder, first)))
      for (const key of await names(join(folder, first, second))) {
        if (!/^[0-9a-f]{64}$/.test(key) || !key.startsWith(first + second)) continue
        const { size } = await stat(join(folder, first, second, key))
        yield { key, bytes: size }
      }
}

async function names(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (isCode(error, 'ENOENT') || isCode(error, 'ENOTDIR')) return []
    throw error
  }
}
