import { PinGoError } from '@pingo/wire'
import { type Address, beginCell, type Cell, Dictionary } from '@ton/core'
import { HASH_BYTES, keyOf } from './tree.ts'

/** Cells that a proof may have: two for each of 256 bits, and its head. A proof among a million accounts has some 45. */
export const MAX_PROOF_CELLS = 2 * 256 + 2

/**
 * What a Merkle proof says that an account has earned, checked against a root: the same check as the contracts'.
 *
 * @param root - 32 bytes.
 * @throws PinGoError CHAIN_PROOF when the proof is of another tree, or does not show the account.
 */
export function provenAmount(proof: Cell, root: Buffer, account: Address | Buffer): bigint {
  const key = BigInt(`0x${keyOf(account).toString('hex')}`)
  try {
    if (!proof.isExotic || proof.refs.length !== 1) throw new Error('it is no Merkle proof')
    const head = proof.beginParse(true)
    // that the hash in the head is that of the cell below was checked when the cell was made
    if (head.loadUint(8) !== 3) throw new Error('it is no Merkle proof')
    if (!head.loadBuffer(HASH_BYTES).equals(root)) throw new Error('it is of another tree')
    const tree = beginCell()
      .storeBit(true)
      .storeRef(proof.refs[0] as Cell)
      .endCell()
    const amounts = Dictionary.load(Dictionary.Keys.BigUint(256), Dictionary.Values.BigVarUint(4), tree)
    const amount = amounts.get(key)
    if (amount === undefined) throw new Error('it does not show this account')
    return amount
  } catch (cause) {
    throw new PinGoError('CHAIN_PROOF', `the proof does not hold: ${(cause as Error).message}`, { cause })
  }
}
