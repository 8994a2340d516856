import { existsSync, readFileSync } from 'node:fs'
import { readdir, stat, statfs } from 'node:fs/promises'
import { availableParallelism, freemem, hostname, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
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

/** Memory that this process may use: the machine's, or its cgroup's limit where that is less. */
export function memoryLimit(): number {
  for (const file of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    const limit = existsSync(file) ? Number(readFileSync(file, 'utf8')) : Number.NaN
    if (limit > 0 && limit < totalmem()) return limit
  }
  return totalmem()
}

export const defaultName = (): string => hostname().slice(0, 100) || 'contributor'
