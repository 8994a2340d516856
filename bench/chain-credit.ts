import { createHash, hash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { CreditTree, provenAmount } from '@pingo/chain'
import type { Row } from './run.ts'

export const summary = 'the tree of what accounts have earned: root, update and proof among 100,000 accounts'

/** Times root, update and proof; every proof is checked against the root. */
export default async function chainCredit(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({ args, options: { accounts: { type: 'string', default: '100000' } } })
  const accounts = Number(values.accounts)
  const entries = Array.from(
    { length: accounts },
    (_, i) => [createHash('sha256').update(`account ${i}`).digest(), BigInt(i + 1) * 10n ** 9n] as const,
  )
  const memory = process.memoryUsage().rss
  const begin = performance.now()
  const tree = CreditTree.from(entries)
  const root = tree.root()
  const rootMs = performance.now() - begin
  const treeMb = (process.memoryUsage().rss - memory) / 2 ** 20

  const rounds = 2000
  const pick = (i: number) => entries[(i * 48_271) % accounts]?.[0] as Buffer
  let start = performance.now()
  for (let i = 0; i < rounds; i++) tree.set(pick(i), BigInt(i + 1))
  const updateMs = (performance.now() - start) / rounds
  start = performance.now()
  for (let i = 0; i < rounds; i++) tree.set(hash('sha256', `newcomer ${i}`, 'buffer'), 5n)
  const insertMs = (performance.now() - start) / rounds

  start = performance.now()
  const proofs = Array.from({ length: rounds }, (_, i) => tree.proof(pick(i)))
  const proofMs = (performance.now() - start) / rounds
  const now = tree.root()
  const wrong = proofs.filter((proof, i) => provenAmount(proof, now, pick(i)) !== tree.get(pick(i))).length
  const bytes = Math.max(...proofs.slice(0, 100).map((proof) => proof.toBoc().length))

  return [
    {
      name: `root of ${accounts} accounts`,
      measured: round(rootMs / 1000),
      unit: 's',
      bar: '≤ 5',
      holds: rootMs <= 5000,
    },
    { name: 'proof of an account', measured: round(proofMs), unit: 'ms', bar: '≤ 2', holds: proofMs <= 2 },
    { name: 'update of an account', measured: round(updateMs), unit: 'ms', bar: '≤ 1', holds: updateMs <= 1 },
    { name: 'new account', measured: round(insertMs), unit: 'ms', bar: '≤ 1', holds: insertMs <= 1 },
    { name: 'proofs that do not hold', measured: wrong, bar: '0', holds: wrong === 0 },
    { name: 'largest proof', measured: bytes, unit: 'bytes', bar: 'printed', holds: null },
    { name: 'memory of the tree', measured: round(treeMb), unit: 'MB', bar: 'printed', holds: null },
    { name: 'root changed by the updates', measured: String(!now.equals(root)), bar: 'true', holds: !now.equals(root) },
  ]
}

const round = (value: number): number => Number(value.toPrecision(3))
