import * as fs from 'node:fs'
import { promisify } from 'node:util'

/** Where, how long and from where in memory: what a write past the cache of files has to be a multiple of (pages; sectors have 512 or 4096). */
const PAGE_BYTES = 4_096
/** Smaller files are written as usual: a wait for the disk costs more than the memory that they take. */
const MIN_BYTES = 64 << 10
/** Buffers kept for the next files: as many as write at once (threads of libuv). */
const MAX_SPARE = 4

/** Has a file opened past the cache (open(2), O_DIRECT). Node knows no such flag of macOS and Windows. */
const DIRECT = fs.constants.O_DIRECT as number | undefined

const open = promisify(fs.open)
const close = promisify(fs.close)
const truncate = promisify(fs.ftruncate)
const unlink = promisify(fs.unlink)
const write = promisify(fs.write) as (
  fd: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  at: null,
) => Promise<{ bytesWritten: number }>

const spare: Uint8Array[] = []

/**
 * Makes a file whose bytes go from the memory of the program to the disk, and take none of the memory in which the system keeps the files that
 * are read: what a node stores for others displaces nothing that the owner of the machine uses, and does not count against the node's limit.
 * It is no sync: the disk may hold the bytes in a cache of its own, and the file's size is to be written.
 * @param flag for tests: what has a file opened so
 * @returns its descriptor, to be synced and closed; undefined when this file or this file system is not written so, and then nothing is left of it
 */
export async function writePastCache(path: string, bytes: Uint8Array, flag = DIRECT): Promise<number | undefined> {
  if (!flag || bytes.byteLength < MIN_BYTES) return undefined
  let file: number
  try {
    file = await open(path, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | flag, 0o600)
  } catch (error) {
    if (!isUnable(error)) throw error
    await unlink(path).catch(() => undefined) // the kernel looks whether it can after it has made the file
    return undefined
  }
  const padded = Math.ceil(bytes.byteLength / PAGE_BYTES) * PAGE_BYTES
  const aligned = takeAligned(padded)
  try {
    aligned.set(bytes)
    aligned.fill(0, bytes.byteLength, padded)
    for (let at = 0; at < padded; ) at += (await write(file, aligned, at, padded - at, null)).bytesWritten
    if (padded > bytes.byteLength) await truncate(file, bytes.byteLength)
    return file
  } catch (error) {
    await close(file)
    if (!isUnable(error)) throw error
    await unlink(path)
    return undefined
  } finally {
    if (spare.length < MAX_SPARE) spare.push(aligned)
  }
}

/** Memory that begins at a page: V8 maps a resizable buffer by pages, where others begin anywhere. */
function takeAligned(bytes: number): Uint8Array {
  const taken = spare.pop()
  if (taken && taken.byteLength >= bytes) return taken
  return new Uint8Array(new ArrayBuffer(bytes, { maxByteLength: bytes }))
}

/** What a file system says that cannot do it, at the opening or at the first write. */
const isUnable = (error: unknown) =>
  ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '')
