// Loaded before the tests of a mutant (`node --import`): from then on `codeOf` gives the mutated code of the contracts that
// the file named by PINGO_MUTANT_CODES holds. Nothing but the mutation runner loads this.
import { readFileSync } from 'node:fs'
import { Cell } from '@ton/core'
import { replaceCode } from '../compile/artifacts.ts'
import type { ContractName } from '../compile/contracts.ts'

const codes = JSON.parse(readFileSync(process.env.PINGO_MUTANT_CODES ?? '', 'utf8')) as Record<string, string>
for (const [name, code] of Object.entries(codes)) replaceCode(name as ContractName, Cell.fromBase64(code))
