import { Address, type Cell, type Message, type Transaction } from '@ton/core'
import { Blockchain, type SandboxContract, type TreasuryContract } from '@ton/sandbox'
import { EXIT } from '../schema/index.ts'

/** The real TVM as a world for tests: accounts with GRAM, a clock that tests set, and words to ask what happened. */
export interface World {
  chain: Blockchain
  /** An account with a million GRAM, the same for the same name. */
  person(name: string): Promise<SandboxContract<TreasuryContract>>
  /** Seconds since 1970. */
  now: number
}

/** 1 January 2026, 00:00 UTC: where tests begin. */
export const TEST_EPOCH = 1_767_225_600

export async function world(now = TEST_EPOCH): Promise<World> {
  const chain = await Blockchain.create()
  chain.now = now
  return {
    chain,
    person: (name) => chain.treasury(name),
    get now() {
      return chain.now as number
    },
    set now(value: number) {
      chain.now = value
    },
  }
}

/** What a contract did: its transactions in the order in which they ran. */
export function transactionsOf(transactions: readonly Transaction[], address: Address): Transaction[] {
  return transactions.filter((transaction) => addressOf(transaction).equals(address))
}

/** Gas that an account spent in these transactions. */
export function gasOf(transactions: readonly Transaction[], address: Address): number {
  let gas = 0
  for (const { description } of transactionsOf(transactions, address)) {
    if (description.type === 'generic' && description.computePhase.type === 'vm')
      gas += Number(description.computePhase.gasUsed)
  }
  return gas
}

/** Exit code of the last transaction of an account: 0 when all went well; -1 when it never ran. */
export function exitOf(transactions: readonly Transaction[], address: Address): number {
  const last = transactionsOf(transactions, address).at(-1)
  if (last?.description.type !== 'generic' || last.description.computePhase.type !== 'vm') return -1
  const { exitCode } = last.description.computePhase
  return exitCode !== 0 ? exitCode : (last.description.actionPhase?.resultCode ?? 0)
}

/** The name of an exit code, for messages of failing tests. */
export function exitName(code: number): string {
  return Object.entries(EXIT).find(([, value]) => value === code)?.[0] ?? String(code)
}

/** Internal messages from one account to another among these transactions. */
export function messagesBetween(transactions: readonly Transaction[], from: Address, to: Address): Message[] {
  return transactionsOf(transactions, from).flatMap(({ outMessages }) =>
    outMessages.values().filter(({ info }) => info.type === 'internal' && info.dest.equals(to)),
  )
}

/** Cells and bits of a tree, equal cells counted once: what storage and forwarding are paid by. */
export function sizeOf(root: Cell, seen = new Set<string>()): { cells: number; bits: number } {
  const key = root.hash().toString('hex')
  if (seen.has(key)) return { cells: 0, bits: 0 }
  seen.add(key)
  const total = { cells: 1, bits: root.bits.length }
  for (const ref of root.refs) {
    const { cells, bits } = sizeOf(ref, seen)
    total.cells += cells
    total.bits += bits
  }
  return total
}

function addressOf(transaction: Transaction): Address {
  return new Address(0, Buffer.from(transaction.address.toString(16).padStart(64, '0'), 'hex'))
}
