import { PinGoError } from '@pingo/wire'
import {
  type Address,
  beginCell,
  Cell,
  loadTransaction,
  type StateInit,
  storeAccountStorage,
  storeShardAccount,
} from '@ton/core'
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
 * Runs a signed transfer on the real TVM in this process, on the account as the chain has it and with the chain's own prices, the wallet's rent
 * since its last transaction among them; nothing is sent. What comes of the messages afterwards is not run.
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
  const [account, now, config, [last], executor] = await Promise.all([
    endpoint.account(address, o),
    endpoint.now(o),
    endpoint.config(o),
    endpoint.transactions(address, { ...o, limit: 1 }),
    Executor.create(),
  ])
  const { result } = await executor.runTransaction({
    config: config.toBoc().toString('base64'),
    libs: null,
    verbosity: 'short',
    shardAccount: shardAccount(address, account, last?.now ?? now)
      .toBoc()
      .toString('base64'),
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

/** An account as the TVM wants it. `lastPaid`: when it paid its rent last, seconds since 1970. */
function shardAccount(address: Address, { balance, status, code, data, last }: AccountState, lastPaid: number): Cell {
  const lt = last?.lt ?? 0n
  const state: StateInit = { code, data }
  const storage = {
    lastTransLt: lt + 1n,
    balance: { coins: balance },
    state: status === 'active' ? { type: 'active' as const, state } : { type: 'uninit' as const },
  }
  // what has no code yet owes next to nothing
  const used = code ? sizeOf(beginCell().store(storeAccountStorage(storage)).endCell()) : { cells: 0n, bits: 0n }
  const account = {
    addr: address,
    storage,
    storageStats: { used, storageExtra: null, lastPaid, duePayment: null },
  }
  const lastTransactionHash = last ? BigInt(`0x${last.hash.toString('hex')}`) : 0n
  return beginCell()
    .store(storeShardAccount({ account, lastTransactionHash, lastTransactionLt: lt }))
    .endCell()
}

/** What rent is paid for: different cells below and with this one, and their bits. */
function sizeOf(root: Cell): { cells: bigint; bits: bigint } {
  const met = new Set<string>()
  const left = [root]
  let bits = 0
  for (let cell = left.pop(); cell; cell = left.pop()) {
    const hash = cell.hash().toString('hex')
    if (met.has(hash)) continue
    met.add(hash)
    bits += cell.bits.length
    left.push(...cell.refs)
  }
  return { cells: BigInt(met.size), bits: BigInt(bits) }
}
