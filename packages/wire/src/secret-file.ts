import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * The bytes of a secret's file, which is its owner's alone (mode 0600); where there is none, those of `make`, written so that the file is
 * whole and synced or not there. Of processes that start at once one is first, and all return its bytes.
 */
export async function loadSecretFile(file: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const existing = await readSecretFile(file)
  if (existing) return existing
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const temporary = `${file}.${randomBytes(6).toString('hex')}`
  const bytes = await make()
  const handle = await open(temporary, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  try {
    await link(temporary, file) // fails when another process was first: then its secret is ours
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
  await syncFolder(dirname(file))
  return (await readSecretFile(file))!
}

/** The bytes of a secret's file, whose mode is put right; undefined when there is none. */
export async function readSecretFile(file: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = await readFile(file)
    await chmod(file, 0o600)
    return bytes
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes a new name in a folder outlive a power cut. Windows cannot, and needs not. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
