import { PinGoError } from '@pingo/wire'
import { type Address, beginCell, Cell, loadTransaction, type StateInit, storeShardAccount } from '@ton/core'
import type { AccountState, ChainEndpoint } from '../endpoint/port.ts'
import { costOf } from './send.ts'

/** What a signed transfer would cost the wallet, and whether it would work. */
export interface Estimate {
  /** GRAM: fees alone, what is sent not included. */
  fee: bigint
  /** Messages that would be sent. */
  messages: number
}

/**
 * Runs a signed transfer on the real TVM in this process, on the account as the chain has it and with the chain's own prices; nothing is
 * sent. What comes of the messages afterwards is not run, and the wallet's rent since its last transaction (a few millionths of a GRAM a
 * day) is not counted.
 *
 * @throws PinGoError CHAIN_REFUSED when the wallet would not take it
 */
export async function estimateTransfer(
  endpoint: ChainEndpoint,
  address: Address,
  message: Cell,
  o: { signal?: AbortSignal } = {},
): Promise<Estimate> {
  const { Executor } = await import('@ton/sandbox')
  const [account, now, config, executor] = await Promise.all([
    endpoint.account(address, o),
    endpoint.now(o),
    endpoint.config(o),
    Executor.create(),
  ])
  const { result } = await executor.runTransaction({
    config: config.toBoc().toString('base64'),
    libs: null,
    verbosity: 'short',
    shardAccount: shardAccount(address, account, now).toBoc().toString('base64'),
    message,
    now,
    lt: (account.last?.lt ?? 0n) + 1_000_000n,
    randomSeed: null,
    ignoreChksig: false,
    debugEnabled: false,
  })
  if (!result.success)
    throw new PinGoError('CHAIN_REFUSED', 'The wallet would not take this transfer.', {
      details: { exitCode: result.vmResults?.vmExitCode },
    })
  const transaction = loadTransaction(Cell.fromBase64(result.transaction).beginParse())
  return { fee: costOf(transaction), messages: transaction.outMessagesCount }
}

/** An account as the TVM wants it. */
function shardAccount(address: Address, { balance, status, code, data, last }: AccountState, now: number): Cell {
  const lt = last?.lt ?? 0n
  const state: StateInit = { code, data }
  const account = {
    addr: address,
    storage: {
      lastTransLt: lt + 1n,
      balance: { coins: balance },
      state: status === 'active' ? { type: 'active' as const, state } : { type: 'uninit' as const },
    },
    storageStats: { used: { cells: 0n, bits: 0n }, storageExtra: null, lastPaid: now, duePayment: null },
  }
  const lastTransactionHash = last ? BigInt(`0x${last.hash.toString('hex')}`) : 0n
  return beginCell()
    .store(storeShardAccount({ account, lastTransactionHash, lastTransactionLt: lt }))
    .endCell()
}
