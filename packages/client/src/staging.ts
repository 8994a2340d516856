import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BlockStore, FileStore } from '@pingo/storage'
import { isProcessAlive } from './connection.ts'

/** A folder of blocks that lives as long as one upload or look-up, in `<home>/staging`. */
export interface Staging {
  blocks: BlockStore
  files: FileStore
  /** Frees everything. */
  remove(): Promise<void>
}

/** Opens a fresh staging folder; those that killed processes left behind are swept first. */
export async function openStaging(home: string): Promise<Staging> {
  const parent = join(home, 'staging')
  await mkdir(parent, { recursive: true, mode: 0o700 })
  await sweep(parent)
  const folder = await mkdtemp(join(parent, `${process.pid}-`))
  const blocks = await BlockStore.open(folder)
  return {
    blocks,
    files: new FileStore(blocks),
    async remove() {
      await blocks.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(/^(\d+)-/.exec(name)?.[1])
    if (pid && !isProcessAlive(pid)) await rm(join(parent, name), { recursive: true, force: true })
  }
}
