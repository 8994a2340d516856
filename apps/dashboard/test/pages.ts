import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const root = fileURLToPath(new URL('..', import.meta.url))

export interface Pages {
  folder: string
  /** All scripts and style sheets together. */
  bytes: number
  remove(): Promise<void>
}

/** Builds the page from its sources into a folder of its own, so that a test never sees a stale `dist`. */
export async function buildPages(): Promise<Pages> {
  const folder = await mkdtemp(join(tmpdir(), 'pingo-dashboard-'))
  await build({
    root,
    configFile: join(root, 'vite.config.ts'),
    logLevel: 'warn',
    build: { outDir: folder, emptyOutDir: true },
  })
  let bytes = 0
  for (const file of await readdir(join(folder, 'assets'))) bytes += (await stat(join(folder, 'assets', file))).size
  return { folder, bytes, remove: () => rm(folder, { recursive: true, force: true }) }
}
