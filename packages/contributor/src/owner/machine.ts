import { readdir, stat, statfs } from 'node:fs/promises'
import { availableParallelism, freemem } from 'node:os'
import { dirname, join } from 'node:path'
import { defaultName, memoryLimit } from '../offer.ts'
import type { Machine } from './words.ts'

/** Looks at this machine once; `home` says which disk is meant, and what is kept there counts as free. */
export async function readMachine(home: string): Promise<Machine> {
  return {
    name: defaultName(),
    cores: availableParallelism(),
    memoryBytes: memoryLimit(),
    freeMemoryBytes: freemem(),
    freeDiskBytes: (await freeOnDisk(home)) + (await folderBytes(join(home, 'cache'))),
  }
}

async function freeOnDisk(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error
    return freeOnDisk(dirname(folder)) // it is made at the start
  }
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  let bytes = 0
  for (const entry of entries)
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0
  return bytes
}
