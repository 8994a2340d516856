import { type Address, type Cell, toNano } from '@ton/core'
import { createShardAccount, internal, type SandboxContract, type TreasuryContract } from '@ton/sandbox'
import { codeOf } from '../compile/artifacts.ts'
import { TRANSFER_VALUE } from '../contracts/jetton.ts'
import { FUNDING_FORWARD } from '../contracts/voucher-channel.ts'
import { signerOf } from '../keys/ed25519.ts'
import * as schema from '../schema/index.ts'
import { encode, forwardPayload } from '../schema/index.ts'
import type { PingoWorld } from './pingo.ts'

/** A signer, the same for the same name. */
export const signerNamed = (name: string) => signerOf(Buffer.alloc(32, name))

/** Sends PINGO to a contract, with a notification. */
export function fund(
  pingo: PingoWorld,
  from: SandboxContract<TreasuryContract>,
  to: Address,
  amount: bigint,
  o: { payload?: Cell | null; forwardAmount?: bigint } = {},
) {
  const { payload = null, forwardAmount = FUNDING_FORWARD } = o
  const value = TRANSFER_VALUE + forwardAmount
  return pingo.wallet(from.address).sendTransfer(from.getSender(), { to, amount, forwardAmount, value, payload })
}

/** Delivers the word of a contract's own wallet that PINGO came from `sender`, with `value` GRAM (and without any PINGO). */
export function notify(
  pingo: PingoWorld,
  to: Address,
  sender: Address | null,
  amount: bigint,
  value: bigint,
  payload: Cell | null = null,
) {
  const said = { queryId: 0n, amount, sender, forwardPayload: forwardPayload(payload) }
  const from = pingo.wallet(to).address
  return pingo.place.chain.sendMessage(internal({ from, to, value, body: encode(schema.TransferNotification, said) }))
}

/** Empties a contract's PINGO wallet against all rules, so that its payments come back. @returns what fills it again */
export async function breakWallet(pingo: PingoWorld, owner: Address): Promise<() => Promise<void>> {
  const { address } = pingo.wallet(owner)
  const held = await pingo.balance(owner)
  const set = (balance: bigint) =>
    pingo.place.chain.setShardAccount(
      address,
      createShardAccount({
        address,
        code: codeOf('pingo-wallet'),
        data: encode(schema.JettonWalletStorage, { balance, owner, minter: pingo.minter.address }),
        balance: toNano('1'),
      }),
    )
  await set(0n)
  return () => set(held)
}
