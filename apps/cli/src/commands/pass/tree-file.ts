import { readFile } from 'node:fs/promises'
import type { CreditTree } from '@pingo/chain'
import { PinGoError } from '@pingo/wire'

/** Bytes of a published tree, accounts in it. */
const MAX_BYTES = 256 * 1024 * 1024
const MAX_ACCOUNTS = 2_000_000

/**
 * A tree as it is published: a line for each account, `address,amount`, amounts as whole numbers; empty lines and lines that begin with
 * `#` don't count. Anyone who has it works out the root and every proof.
 *
 * @throws PinGoError TREE_FILE, which names the line
 */
export async function readTree(path: string): Promise<{ tree: CreditTree; sum: bigint }> {
  const { CreditTree } = await import('@pingo/chain')
  const { Address } = await import('@ton/core')
  const bytes = await readFile(path).catch((cause) => {
    throw new PinGoError('TREE_FILE', `The tree ${path} can't be read.`, { cause })
  })
  if (bytes.length > MAX_BYTES) throw new PinGoError('TREE_FILE', `${path} is larger than ${MAX_BYTES >> 20} MiB.`)
  const entries: [Buffer, bigint][] = []
  const seen = new Set<string>()
  let sum = 0n
  for (const [index, line] of bytes.toString('utf8').split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const wrong = (what: string) => new PinGoError('TREE_FILE', `${path}, line ${index + 1}: ${what}.`)
    const match = /^\s*([^,\s]+)\s*,\s*(\d{1,36})\s*$/.exec(line)
    if (!match) throw wrong('it is not `address,amount`')
    let key: Buffer
    try {
      const address = Address.parse(match[1] as string)
      if (address.workChain !== 0) throw new Error('another workchain')
      key = address.hash
    } catch {
      throw wrong(`${JSON.stringify(match[1])} is no address of the base workchain`)
    }
    const hex = key.toString('hex')
    if (seen.has(hex)) throw wrong('this account stands here twice')
    seen.add(hex)
    const amount = BigInt(match[2] as string)
    if (amount === 0n) continue
    sum += amount
    entries.push([key, amount])
    if (entries.length > MAX_ACCOUNTS) throw wrong(`a tree has ${MAX_ACCOUNTS} accounts at most`)
  }
  if (entries.length === 0) throw new PinGoError('TREE_FILE', `${path} holds no account.`)
  return { tree: CreditTree.from(entries), sum }
}
