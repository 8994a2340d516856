import { type FileHandle, open } from 'node:fs/promises'
import { PinGoError } from '@pingo/wire/errors'
import { throwIfAborted } from './abort.ts'
import type { ImportLimits } from './limits.ts'

const CHUNK_BYTES = 1 << 20

/** A local file that is read by position. Close it. */
export class SourceFile {
  readonly path: string
  readonly bytes: number
  readonly #handle: FileHandle

  private constructor(path: string, handle: FileHandle, bytes: number) {
    this.path = path
    this.#handle = handle
    this.bytes = bytes
  }

  /** @throws PinGoError DATA_FILE_MISSING, DATA_FILE_UNREADABLE, DATA_EMPTY, DATA_TOO_LARGE */
  static async open(path: string, limits: Pick<ImportLimits, 'fileBytes'>): Promise<SourceFile> {
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'r')
      const stat = await handle.stat()
      if (!stat.isFile())
        throw new PinGoError('DATA_FILE_UNREADABLE', `'${path}' is not a file.`, { hint: 'Give the path of a file.' })
      if (stat.size === 0)
        throw new PinGoError('DATA_EMPTY', `'${path}' is empty.`, { hint: 'Give a file that holds data.' })
      if (stat.size > limits.fileBytes)
        throw new PinGoError(
          'DATA_TOO_LARGE',
          `'${path}' has ${stat.size} bytes, at most ${limits.fileBytes} are read.`,
          {
            hint: 'Split the file, or raise limits.fileBytes.',
          },
        )
      return new SourceFile(path, handle, stat.size)
    } catch (cause) {
      await handle?.close()
      throw fileError(path, cause)
    }
  }

  /** Opens a file, uses it, closes it. */
  static async with<T>(
    path: string,
    limits: Pick<ImportLimits, 'fileBytes'>,
    use: (file: SourceFile) => Promise<T>,
  ): Promise<T> {
    const file = await SourceFile.open(path, limits)
    try {
      return await use(file)
    } finally {
      await file.close()
    }
  }

  /** Up to `length` bytes from `position` on: fewer only at the end of the file. The bytes are the caller's own. */
  async read(position: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.bytes - position)))
    for (let at = 0; at < bytes.length; ) {
      const { bytesRead } = await this.#handle.read(bytes, at, bytes.length - at, position + at)
      if (bytesRead === 0) return bytes.subarray(0, at)
      at += bytesRead
    }
    return bytes
  }

  /** Exactly these bytes. @throws PinGoError DATA_TRUNCATED */
  async readExactly(position: number, length: number): Promise<Uint8Array> {
    const bytes = await this.read(position, length)
    if (bytes.length < length)
      throw new PinGoError(
        'DATA_TRUNCATED',
        `'${this.path}' is cut off: byte ${position + length} is missing, it has ${this.bytes}.`,
        {
          hint: 'Download or export it again.',
        },
      )
    return bytes
  }

  /** The whole file in pieces of about 1 MiB. */
  async *chunks(signal?: AbortSignal): AsyncIterable<Uint8Array> {
    for (let position = 0; position < this.bytes; position += CHUNK_BYTES) {
      throwIfAborted(signal)
      yield await this.readExactly(position, Math.min(CHUNK_BYTES, this.bytes - position))
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** What the operating system says of a path, as a sentence. */
export function fileError(path: string, cause: unknown): PinGoError {
  if (cause instanceof PinGoError) return cause
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new PinGoError('DATA_FILE_MISSING', `There is no file '${path}'.`, { hint: 'Check the path.', cause })
  if (code === 'EACCES' || code === 'EPERM')
    return new PinGoError('DATA_FILE_UNREADABLE', `'${path}' may not be read by this user.`, {
      hint: 'Change its permissions.',
      cause,
    })
  return new PinGoError('DATA_FILE_UNREADABLE', `'${path}' cannot be read: ${(cause as Error).message}.`, { cause })
}
