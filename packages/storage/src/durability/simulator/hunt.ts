import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PinGoError } from '@pingo/wire'
import type { Mutant } from './mutants.ts'
import type { WorldResult } from './world.ts'

const SOURCES = join(import.meta.dirname, '../..')
const NODE_MODULES = join(SOURCES, '../../../node_modules')

/**
 * Plants a bug in a copy of this package's sources and runs up to `limit` worlds until something does not hold.
 * @returns what did not hold; undefined when the bug was not found
 * @throws PinGoError MUTANT_INVALID when the text is not there exactly once
 */
export async function hunt(mutant: Mutant, limit: number): Promise<string | undefined> {
  const root = await mkdtemp(join(tmpdir(), 'pingo-mutant-'))
  try {
    await cp(SOURCES, join(root, 'src'), { recursive: true, filter: (path) => !path.endsWith('.test.ts') })
    await writeFile(join(root, 'package.json'), '{"type":"module"}')
    await symlink(NODE_MODULES, join(root, 'node_modules'))
    const file = join(root, 'src/durability', mutant.file)
    const text = await readFile(file, 'utf8')
    if (text.split(mutant.find).length !== 2)
      throw new PinGoError('MUTANT_INVALID', `'${mutant.find}' is not exactly once in ${mutant.file}.`)
    await writeFile(
      file,
      text.replace(mutant.find, () => mutant.replace),
    )
    const runner = join(root, 'src/durability/simulator/run-worlds.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [runner, '0', `${limit}`])
    const results = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as WorldResult)
    return results.find(({ violation }) => violation !== undefined)?.violation
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}
