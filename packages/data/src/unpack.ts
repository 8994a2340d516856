import { type FileHandle, open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { PinGoError } from '@pingo/wire'
import { throwIfAborted } from './abort.ts'
import { statOf } from './detect.ts'
import { SourceFile } from './files.ts'
import type { ImportLimits } from './limits.ts'
import type { TemporaryDirectory } from './temporary-directory.ts'

/**
 * The path itself, or that of an unpacked copy when it is a file packed by gzip.
 * @throws PinGoError DATA_TRUNCATED, DATA_TOO_LARGE when it unpacks to more than limits.fileBytes
 */
export async function unpacked(
  path: string,
  limits: ImportLimits,
  workspace: TemporaryDirectory,
  signal?: AbortSignal,
): Promise<string> {
  if (!(await statOf(path)).isFile()) return path
  return SourceFile.with(path, limits, async (file) => {
    const [first, second] = await file.read(0, 2)
    if (first !== 0x1f || second !== 0x8b) return path
    const target = join(await workspace.path(), basename(path).replace(/\.gz$/i, '') || 'unpacked')
    const copy = await open(target, 'wx')
    try {
      await gunzip(file, copy, limits, signal)
    } finally {
      await copy.close()
    }
    return target
  })
}

async function gunzip(
  file: SourceFile,
  copy: FileHandle,
  limits: ImportLimits,
  signal: AbortSignal | undefined,
): Promise<void> {
  const unzip = createGunzip()
  const feeding = (async () => {
    for await (const chunk of file.chunks(signal))
      if (!unzip.write(chunk)) await new Promise<void>((resolve) => unzip.once('drain', resolve).once('close', resolve))
    unzip.end()
  })()
  feeding.catch((cause) => unzip.destroy(cause))
  let bytes = 0
  try {
    for await (const piece of unzip as AsyncIterable<Uint8Array>) {
      throwIfAborted(signal)
      bytes += piece.length
      if (bytes > limits.fileBytes)
        throw new PinGoError('DATA_TOO_LARGE', `'${file.path}' unpacks to more than ${limits.fileBytes} bytes.`, {
          hint: 'Split it, or raise limits.fileBytes.',
        })
      for (let at = 0; at < piece.length; ) at += (await copy.write(piece, at)).bytesWritten
    }
    await feeding
  } catch (cause) {
    if (cause instanceof PinGoError) throw cause
    const code = (cause as NodeJS.ErrnoException).code ?? ''
    throw code === 'ENOSPC'
      ? new PinGoError('DISK_FULL', 'The disk of the temporary directory is full.', {
          hint: 'Free some space, or set TMPDIR to a directory on another disk.',
          cause,
        })
      : new PinGoError('DATA_TRUNCATED', `'${file.path}' is cut off or damaged: it cannot be unpacked as gzip.`, {
          hint: 'Download it again.',
          cause,
        })
  }
}
