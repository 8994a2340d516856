import { PinGoError } from '@pingo/wire'
import { Cell, loadMessage, loadTransaction, type Message, type Transaction } from '@ton/core'

/** Bytes of an external message: what TON's nodes take. */
export const MAX_MESSAGE_BYTES = 65_535

/** Reads a transaction that a chain has made. */
export function readTransaction(boc: Buffer): Transaction {
  return loadTransaction((Cell.fromBoc(boc)[0] as Cell).beginParse())
}

/** Reads a message that anyone may have sent. @throws PinGoError CHAIN_MESSAGE. */
export function readMessage(boc: Buffer): { message: Message; cell: Cell } {
  if (boc.length > MAX_MESSAGE_BYTES) {
    throw new PinGoError('CHAIN_MESSAGE', `the message has ${boc.length} bytes, ${MAX_MESSAGE_BYTES} are the most`)
  }
  try {
    const [cell] = Cell.fromBoc(boc)
    if (!cell) throw new Error('no cell')
    return { message: loadMessage(cell.beginParse()), cell }
  } catch (cause) {
    throw new PinGoError('CHAIN_MESSAGE', `these bytes are no message: ${(cause as Error).message}`, { cause })
  }
}
