import type { Address, Cell, Message, Transaction } from '@ton/core'
import { walletAddress } from '../contracts/jetton.ts'
import type { CallOptions, ChainEndpoint } from '../endpoint/port.ts'
import {
  decode,
  type Fields,
  JettonTransfer,
  type Layout,
  opOf,
  TransferNotification,
  type Values,
} from '../schema/index.ts'
import { costOf } from './send.ts'
import { readComment } from './w5.ts'

/** Something that came to a wallet or left it. */
export interface Movement {
  direction: 'in' | 'out'
  asset: 'GRAM' | 'PINGO'
  /** Billionths. */
  amount: bigint
  /** From whom, or to whom. */
  peer: Address | null
  /** What the sender wrote: a stranger's text. */
  comment?: string
}

/** A transaction of a wallet. */
export interface HistoryEntry {
  /** Milliseconds since 1970. */
  at: number
  lt: bigint
  hash: Buffer
  /** False where nothing came of it. */
  ok: boolean
  /** GRAM that it cost the wallet, beside what left it. */
  fee: bigint
  movements: Movement[]
}

/** Entries that are read at once. */
export const MAX_HISTORY = 100

/**
 * What a wallet did, the newest first.
 *
 * @param o.minter - PINGO's minter. Only what this wallet's own PINGO wallet says, at the address computed here, counts as PINGO:
 *   anybody can send a message that looks like it.
 */
export async function walletHistory(
  endpoint: ChainEndpoint,
  wallet: Address,
  o: CallOptions & { limit: number; before?: { lt: bigint; hash: Buffer }; minter?: Address },
): Promise<HistoryEntry[]> {
  const { minter, limit, ...rest } = o
  const pingo = minter && walletAddress('pingo', minter, wallet)
  const transactions = await endpoint.transactions(wallet, { ...rest, limit: Math.min(limit, MAX_HISTORY) })
  return transactions.map((transaction) => entryOf(transaction, pingo))
}

function entryOf(transaction: Transaction, pingo: Address | undefined): HistoryEntry {
  const { lt, now, inMessage, outMessages, description } = transaction
  const incoming = inMessage ? movementsIn(inMessage, pingo) : []
  return {
    at: now * 1000,
    lt,
    hash: transaction.hash(),
    ok: description.type === 'generic' && (!description.aborted || description.computePhase.type === 'skipped'),
    fee: costOf(transaction),
    movements: [...incoming, ...outMessages.values().flatMap((message) => movementsOut(message, pingo))],
  }
}

function movementsIn({ info, body }: Message, pingo: Address | undefined): Movement[] {
  if (info.type !== 'internal') return []
  const comment = info.bounced ? undefined : readComment(body)
  const gram: Movement = {
    direction: 'in',
    asset: 'GRAM',
    amount: info.value.coins,
    peer: info.src,
    ...(comment && { comment }),
  }
  const notice = pingo && info.src.equals(pingo) && !info.bounced ? read(TransferNotification, body) : undefined
  if (!notice) return [gram]
  return [gram, { direction: 'in', asset: 'PINGO', amount: notice.amount, peer: notice.sender }]
}

function movementsOut({ info, body }: Message, pingo: Address | undefined): Movement[] {
  if (info.type !== 'internal') return []
  const comment = readComment(body)
  const gram: Movement = {
    direction: 'out',
    asset: 'GRAM',
    amount: info.value.coins,
    peer: info.dest,
    ...(comment && { comment }),
  }
  const sent = pingo && info.dest.equals(pingo) ? read(JettonTransfer, body) : undefined
  if (!sent) return [gram]
  return [gram, { direction: 'out', asset: 'PINGO', amount: sent.amount, peer: sent.destination }]
}

function read<F extends Fields>(layout: Layout<F>, body: Cell): Values<F> | undefined {
  if (opOf(body) !== layout.op) return undefined
  try {
    return decode(layout, body)
  } catch {
    return undefined
  }
}
