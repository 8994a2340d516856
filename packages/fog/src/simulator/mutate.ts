import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PinGoError } from '@pingo/wire'
import type { Mutant } from './mutants.ts'

const packages = resolve(import.meta.dirname, '../../..')
/** What the simulator consists of. */
const PARTS = ['training/package.json', 'training/src', 'fog/package.json', 'fog/src/core', 'fog/src/simulator']

/** The sources with one bug planted, in a folder of their own. */
export interface MutatedTree {
  /** The program of this tree that runs seeds. */
  runner: string
  remove(): Promise<void>
}

/** @throws PinGoError MUTANT_INVALID unless the text to replace is there exactly once */
export async function plant(mutant: Mutant): Promise<MutatedTree> {
  const source = await readFile(join(packages, mutant.file), 'utf8')
  const found = source.split(mutant.find).length - 1
  if (found !== 1)
    throw new PinGoError(
      'MUTANT_INVALID',
      `The text of '${mutant.name}' is ${found} times in ${mutant.file}: it must be once.`,
    )
  const root = await mkdtemp(join(tmpdir(), 'pingo-mutant-'))
  for (const part of PARTS)
    await cp(join(packages, part), join(root, 'packages', part), {
      recursive: true,
      filter: (path) => !path.endsWith('.test.ts'),
    })
  await writeFile(
    join(root, 'packages', mutant.file),
    source.replace(mutant.find, () => mutant.replace),
  )
  const scope = join(root, 'node_modules/@pingo')
  await mkdir(scope, { recursive: true })
  await symlink(join(root, 'packages/training'), join(scope, 'training'))
  await symlink(await wireFolder(), join(scope, 'wire'))
  return {
    runner: join(root, 'packages/fog/src/simulator/run-seeds.ts'),
    remove: () => rm(root, { recursive: true, force: true }),
  }
}

/** The wire package itself is not mutated: the tree borrows it. */
async function wireFolder(): Promise<string> {
  return realpath(dirname(dirname(fileURLToPath(import.meta.resolve('@pingo/wire')))))
}
