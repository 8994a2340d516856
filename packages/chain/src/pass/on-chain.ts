import { PinGoError } from '@pingo/wire'
import { Address, type Cell } from '@ton/core'
import { codeOf } from '../compile/artifacts.ts'
import { ContributorPass, readPass } from '../contracts/pass.ts'
import type { PassReader } from './lookup.ts'

/** Where the code and data of accounts are read: a chain's endpoint. Both are null where there is no contract. */
export interface AccountSource {
  account(address: Address, o: { signal: AbortSignal }): Promise<{ code: Cell | null; data: Cell | null }>
}

/**
 * The passes of a collection as a chain has them. One question each: the account's data, which belong together, where get methods could
 * be answered at two different times.
 */
export function passesOnChain(collection: Address, chain: AccountSource): PassReader {
  return {
    collection,
    passOf: (owner) => ContributorPass.of(collection, owner).address,
    async read(pass, { signal }) {
      const { code, data } = await chain.account(pass, { signal })
      if (!code || !data) return undefined
      // the address fixes the code: another one there is a lie of whoever answers
      if (!code.hash().equals(codeOf('contributor-pass').hash()))
        throw new PinGoError('PASS_FOREIGN', 'What is at the address of the pass is no pass.')
      const { index, revokedAt, level, epoch, collection } = readPass(data)
      const owner = new Address(0, Buffer.from(index.toString(16).padStart(64, '0'), 'hex'))
      return { owner, collection, revokedAt, level, epoch }
    },
  }
}
