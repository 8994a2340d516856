import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PinGoError } from '@pingo/wire'
import { getTolkCompilerVersion, runTolkCompiler } from '@ton/tolk-js'
import { exitsToTolk, LAYOUTS, toTolk } from '../schema/index.ts'
import { CONTRACTS, type ContractName } from './contracts.ts'

/** The folder of the contracts' sources. */
export const CONTRACTS_FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'contracts')

/** A contract, compiled. */
export interface Compiled {
  name: ContractName
  /** Version of the compiler: the same sources give the same code only with the same compiler. */
  tolk: string
  /** Hash of the code cell, hexadecimal: what explorers and other contracts know the code by. */
  hash: string
  /** Bag of cells of the code, base64. */
  code: string
}

const GENERATED = '// Written from src/schema by `npm run build`: change it there.\n\n'

/** The sources that are written from the schema: name in the folder of the contracts → text. */
export function generatedSources(): Record<string, string> {
  return {
    'messages.tolk': GENERATED + toTolk(LAYOUTS),
    'exits.tolk': GENERATED + exitsToTolk(),
  }
}

/**
 * Compiles a contract. `edit` may change a source before the compiler sees it (mutation tests).
 *
 * @throws PinGoError CHAIN_COMPILE with the compiler's message.
 */
export async function compile(
  name: ContractName,
  edit: (file: string, text: string) => string = (_, text) => text,
): Promise<Compiled> {
  const { entry, profile } = CONTRACTS[name]
  const generated = generatedSources()
  const result = await runTolkCompiler({
    entrypointFileName: join(CONTRACTS_FOLDER, entry),
    pathMappings: { '@profile': join(CONTRACTS_FOLDER, profile) },
    fsReadCallback: (path) => {
      const file = existsSync(path) ? path : `${path}.tolk`
      const short = relative(CONTRACTS_FOLDER, file)
      return edit(short, generated[short] ?? readFileSync(file, 'utf8'))
    },
  })
  if (result.status === 'error') throw new PinGoError('CHAIN_COMPILE', `${name}: ${result.message}`)
  return { name, tolk: await getTolkCompilerVersion(), hash: result.codeHashHex.toLowerCase(), code: result.codeBoc64 }
}
