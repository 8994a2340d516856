import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { PinGoError } from '@pingo/wire'
import { safeParts, shown } from './path-names.ts'

/** What a file is called until it is whole, and the record of what of it is right. */
export const PART_SUFFIX = '.pingo-part'
const RECORD_SUFFIX = '.pingo-resume'
/** The record has one digest for each piece of this length. */
const PIECE_BYTES = 1 << 20
const DIGEST_BYTES = 16
const HEADER_BYTES = 64
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0

/**
 * A file that is fetched: beside it lies what came so far (`.pingo-part`) and the digests of its pieces. Whatever a crash left is
 * compared with them, and what does not match is fetched again; the file appears under its name only when it is whole and synced.
 */
export class PartFile {
  readonly path: string
  /** Bytes that are there already and right. */
  readonly have: number
  readonly #file: FileHandle
  readonly #record: FileHandle
  #at: number
  #hash = createHash('sha256')

  private constructor(path: string, file: FileHandle, record: FileHandle, have: number) {
    this.path = path
    this.#file = file
    this.#record = record
    this.have = this.#at = have
  }

  /**
   * @param path where it goes; its folder is there
   * @param what names the bytes (an object's id and the range): only a part of the same is gone on with
   */
  static async open(path: string, what: string): Promise<PartFile> {
    const flags = constants.O_RDWR | constants.O_CREAT | NO_FOLLOW
    const file = await open(path + PART_SUFFIX, flags, 0o666)
    const record = await open(path + RECORD_SUFFIX, flags, 0o666).catch(async (error) => {
      await file.close()
      throw error
    })
    try {
      const header = createHash('sha256').update(what).digest('hex').slice(0, HEADER_BYTES)
      const pieces = await verified(file, record, header)
      if (pieces === undefined) {
        await record.truncate(0)
        await record.write(header, 0)
      } else await record.truncate(HEADER_BYTES + pieces * DIGEST_BYTES)
      const have = (pieces ?? 0) * PIECE_BYTES
      await file.truncate(have)
      return new PartFile(path, file, record, have)
    } catch (error) {
      await Promise.all([file.close(), record.close()])
      throw error
    }
  }

  /** Appends. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.byteLength; ) {
      const room = PIECE_BYTES - (this.#at % PIECE_BYTES)
      const piece = bytes.subarray(from, from + room)
      await writeAll(this.#file, piece, this.#at)
      this.#hash.update(piece)
      this.#at += piece.byteLength
      from += piece.byteLength
      if (this.#at % PIECE_BYTES > 0) continue
      const digest = this.#hash.digest().subarray(0, DIGEST_BYTES)
      await writeAll(this.#record, digest, HEADER_BYTES + (this.#at / PIECE_BYTES - 1) * DIGEST_BYTES)
      this.#hash = createHash('sha256')
    }
  }

  /** Gives the file its name. */
  async finish(): Promise<void> {
    await this.#file.sync()
    await this.close()
    await rename(this.path + PART_SUFFIX, this.path)
    await rm(this.path + RECORD_SUFFIX, { force: true })
    await syncFolder(dirname(this.path))
  }

  /** Leaves what is there for the next time. */
  async close(): Promise<void> {
    await Promise.all([this.#file.close(), this.#record.close()])
  }
}

/** Pieces whose bytes are what their digests say; undefined when the record is of something else. */
async function verified(file: FileHandle, record: FileHandle, header: string): Promise<number | undefined> {
  const { buffer: found, bytesRead } = await record.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0)
  if (bytesRead < HEADER_BYTES || found.toString('latin1') !== header) return undefined
  const [piece, digest] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.alloc(DIGEST_BYTES)]
  for (let n = 0; ; n++) {
    const told = await record.read(digest, 0, DIGEST_BYTES, HEADER_BYTES + n * DIGEST_BYTES)
    const read = await file.read(piece, 0, PIECE_BYTES, n * PIECE_BYTES)
    if (told.bytesRead < DIGEST_BYTES || read.bytesRead < PIECE_BYTES) return n
    if (createHash('sha256').update(piece).digest().compare(digest, 0, DIGEST_BYTES, 0, DIGEST_BYTES) !== 0) return n
  }
}

/**
 * Where a file of this key goes below `root`; the folders on the way are made.
 * @throws PinGoError NAME_UNSAFE, FOLDER_NOT_WRITABLE, FILE_EXISTS
 */
export async function pathBelow(root: string, key: string): Promise<string> {
  const parts = safeParts(key)
  const path = join(await folderBelow(root, parts.slice(0, -1), key), parts.at(-1)!)
  await refuseFolder(path)
  return path
}

/** A folder below `root`, made where it is missing. A link on the way would lead elsewhere: refused. */
export async function folderBelow(root: string, parts: string[], key = parts.join('/')): Promise<string> {
  await mkdir(root, { recursive: true })
  let folder = await realpath(root)
  for (const part of parts) {
    folder = join(folder, part)
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    const info = await lstat(folder)
    if (info.isSymbolicLink())
      throw new PinGoError('NAME_UNSAFE', `'${shown(key)}' is not written to disk: ${folder} is a link to elsewhere.`, {
        hint: 'Remove the link, or get it into another folder.',
      })
    if (!info.isDirectory())
      throw new PinGoError('FOLDER_NOT_WRITABLE', `${folder} is a file where a folder is needed.`, {
        hint: 'Move it away, or get into another folder.',
      })
  }
  return folder
}

/** @throws PinGoError FILE_EXISTS when a folder has the name */
export async function refuseFolder(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined)
  if (!info?.isDirectory()) return
  throw new PinGoError('FILE_EXISTS', `${path} is a folder.`, {
    hint: `Name the file: --out ${join(path, basename(path))}.`,
  })
}

async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let from = 0; from < bytes.byteLength; )
    from += (await file.write(bytes, from, bytes.byteLength - from, at + from)).bytesWritten
}

/** A rename lasts when its folder is synced; Windows does so by itself. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A small file that only its owner may read: whole, synced, or not there. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncFolder(dirname(path))
}
