import { closeSync, openSync, readSync } from 'node:fs'

/** More of a file than this is not read. */
const MAX_BYTES = 256 * 1024
const buffer = Buffer.allocUnsafe(MAX_BYTES)

/** Reads a small file of /proc or /sys, several times a second: no more system calls than it takes. Undefined where there is none. */
export function readProc(file: string): string | undefined {
  let open: number | undefined
  try {
    open = openSync(file, 'r')
    // one read of what the kernel writes is a page or the whole file
    let length = 0
    for (let got = -1; got !== 0 && length < MAX_BYTES; length += got)
      got = readSync(open, buffer, length, MAX_BYTES - length, null)
    return buffer.toString('latin1', 0, length)
  } catch {
    return undefined
  } finally {
    if (open !== undefined) closeSync(open)
  }
}
