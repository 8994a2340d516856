import * as fs from 'node:fs'
import { promisify } from 'node:util'
import { MAX_BLOCK_BYTES } from '../limits.ts'

/** Where, how long and from where in memory: what a write past the cache of files has to be a multiple of (pages; sectors have 512 or 4096). */
const PAGE_BYTES = 4_096
/** Smaller files are written as usual: a wait for the disk costs more than the memory that they take. */
const MIN_BYTES = 64 << 10
/** Buffers kept for the next files: as many as write at once (threads of libuv). */
const MAX_SPARE = 4

/** Has a file opened past the cache (open(2), O_DIRECT). Node knows no such flag of macOS and Windows. */
const DIRECT = fs.constants.O_DIRECT as number | undefined

const open = promisify(fs.open)
const { O_WRONLY, O_CREAT, O_EXCL, O_DSYNC } = fs.constants
const fdatasync = promisify(fs.fdatasync)
const truncate = promisify(fs.ftruncate)
const unlink = promisify(fs.unlink)
const write = promisify(fs.write) as (
  fd: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  at: null,
) => Promise<{ bytesWritten: number }>

/** Memory for the next copies, while any is written. */
const spare: Buffer[] = []
let writing = 0

/**
 * Makes a synced file whose bytes go from the memory of the program to the disk, and take none of the memory in which the system keeps the
 * files that are read: what a node stores for others displaces nothing that the owner of the machine uses, and does not count against the
 * node's limit.
 * @param flag for tests: what has a file opened so
 * @returns false when this file or this file system is not written so: then nothing is left of it
 */
export async function writePastCache(path: string, bytes: Uint8Array, flag = DIRECT): Promise<boolean> {
  if (!flag || bytes.byteLength < MIN_BYTES) return false
  const padded = Math.ceil(bytes.byteLength / PAGE_BYTES) * PAGE_BYTES
  const isWhole = padded === bytes.byteLength
  let file: number
  try {
    // what needs no more than to be written is synced by the same call (open(2), O_DSYNC)
    file = await open(path, O_WRONLY | O_CREAT | O_EXCL | flag | (isWhole ? O_DSYNC : 0), 0o600)
  } catch (error) {
    if (!isUnable(error)) throw error
    await unlink(path).catch(() => undefined) // the kernel looks whether it can after it has made the file
    return false
  }
  writing += 1
  const copy = isWhole && beginsAtPage(bytes) ? undefined : (spare.pop() ?? pageMemory(MAX_BLOCK_BYTES))
  try {
    copy?.set(bytes)
    copy?.fill(0, bytes.byteLength, padded)
    for (let at = 0; at < padded; ) at += (await write(file, copy ?? bytes, at, padded - at, null)).bytesWritten
    if (!isWhole) {
      await truncate(file, bytes.byteLength)
      await fdatasync(file)
    }
    return true
  } catch (error) {
    if (!isUnable(error)) throw error
    await unlink(path)
    return false
  } finally {
    writing -= 1
    if (copy && spare.length < MAX_SPARE) spare.push(copy)
    if (writing === 0) for (const { buffer } of spare.splice(0)) (buffer as ArrayBuffer).transferToFixedLength(0)
    fs.closeSync(file)
  }
}

/**
 * Memory that begins at a page, as V8 maps it for a resizable buffer; other buffers begin anywhere. What is written from there needs no copy
 * when it is pages long.
 */
export function pageMemory(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(bytes, { maxByteLength: bytes }))
}

const beginsAtPage = ({ buffer, byteOffset }: Uint8Array) =>
  (buffer as ArrayBuffer).resizable && byteOffset % PAGE_BYTES === 0

/** What a file system says that cannot do it, at the opening or at the first write. */
const isUnable = (error: unknown) =>
  ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '')
