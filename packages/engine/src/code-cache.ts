import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let folder: string | undefined

/**
 * The folder of this process in which its children keep their compiled code, for those that come after them: nobody else can write to it,
 * and a walled child can only read it. It goes with the process.
 */
export function codeCache(): string {
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'pingo-code-'))
    const made = folder
    process.once('exit', () => rmSync(made, { recursive: true, force: true }))
  }
  return folder
}
