import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory that is made when it is first needed, and removed with all that is in it. */
export class TemporaryDirectory {
  #made: Promise<string> | undefined

  path(): Promise<string> {
    this.#made ??= mkdtemp(join(tmpdir(), 'pingo-import-'))
    return this.#made
  }

  async remove(): Promise<void> {
    const path = await this.#made?.catch(() => undefined)
    if (path) await rm(path, { recursive: true, force: true })
  }
}
