import { type FileHandle, open, rename, rm } from 'node:fs/promises'

/** Predictions are written in pieces of about this many characters. */
const WRITE_CHARACTERS = 64 << 10

/** A file that is there once all of it is, or not at all. `write` fills it. */
async function writeWhole(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const temporary = `${path}.${process.pid}.part`
  const file = await open(temporary, 'wx').catch((cause: NodeJS.ErrnoException) => {
    throw Object.assign(cause, { path })
  })
  try {
    await write(file)
    await file.sync()
    await file.close()
    await rename(temporary, path)
  } catch (error) {
    await file.close()
    await rm(temporary, { force: true })
    throw error
  }
}

/** Bytes as a file that is whole or not there. */
export const writeBytes = (path: string, bytes: Uint8Array): Promise<void> =>
  writeWhole(path, (file) => file.writeFile(bytes))

/** Lines, gathered into larger writes, as a file that is whole or not there. */
export const writeLines = (path: string, lines: AsyncIterable<string>): Promise<void> =>
  writeWhole(path, async (file) => {
    let waiting = ''
    for await (const line of lines) {
      waiting += line
      if (waiting.length < WRITE_CHARACTERS) continue
      await file.appendFile(waiting)
      waiting = ''
    }
    await file.appendFile(waiting)
  })
