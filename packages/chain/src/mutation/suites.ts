import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Folder of the tests of the contracts. */
const TESTS = join(import.meta.dirname, '..', 'contracts')

/**
 * Which tests answer for which sources: the beginning of a path below `contracts/` → beginnings of test files in `src/contracts`. The
 * first line that fits counts.
 */
const SUITES: readonly (readonly [string, readonly string[]])[] = [
  ['jetton/', ['jetton.']],
  ['profiles/', ['jetton.']],
  ['meme/', ['meme-factory.']],
  ['token/emission-vault', ['emission-vault.']],
  ['token/jetton-vesting', ['jetton-vesting.']],
  ['rewards/', ['rewards.']],
  ['pass/', ['pass.']],
  ['pay/channel', ['voucher-channel.']],
  ['pay/escrow', ['job-escrow.']],
  ['pay/stake', ['node-stake.']],
  ['common/payout', ['job-escrow.', 'node-stake.', 'voucher-channel.']],
  ['common/signed', ['voucher-channel.', 'job-escrow.']],
  ['common/merkle', ['rewards.', 'pass.']],
  ['common/', ['emission-vault.', 'jetton-vesting.', 'rewards.']],
]

/** Test files for a source, in the order in which they find most for their time: random sequences come last. */
export function suiteOf(source: string): string[] {
  const names = SUITES.find(([begin]) => source.startsWith(begin))?.[1] ?? []
  const cost = (file: string) => (file.includes('.invariants.') ? 1000 : file.length)
  return readdirSync(TESTS)
    .filter((file) => file.endsWith('.test.ts') && names.some((name) => file.startsWith(name)))
    .sort((a, b) => cost(a) - cost(b))
    .map((file) => join(TESTS, file))
}
