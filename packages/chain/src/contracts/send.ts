import { type Cell, type ContractProvider, type Sender, SendMode } from '@ton/core'

/** Sends a body with `value` nano-GRAM to a contract, deploying it first where it is not there; the sender pays the way apart. */
export async function sendBody(provider: ContractProvider, via: Sender, value: bigint, body: Cell): Promise<void> {
  await provider.internal(via, { value, sendMode: SendMode.PAY_GAS_SEPARATELY, body })
}
