import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cell } from '@ton/core'
import type { Compiled } from './compile.ts'
import type { ContractName } from './contracts.ts'

/** The folder of the compiled contracts. */
export const BUILD_FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'build')

const codes = new Map<ContractName, Cell>()

/** A contract as it was compiled when it was committed. */
export function artifact(name: ContractName): Compiled {
  return JSON.parse(readFileSync(join(BUILD_FOLDER, `${name}.json`), 'utf8')) as Compiled
}

/** The code of a contract: no compiler is needed for it. */
export function codeOf(name: ContractName): Cell {
  let code = codes.get(name)
  if (!code) codes.set(name, (code = Cell.fromBase64(artifact(name).code)))
  return code
}

/** Puts another code in a contract's place, in this process: for tests of mutants. */
export function replaceCode(name: ContractName, code: Cell): void {
  codes.set(name, code)
}
