import { PinGoError } from '@pingo/wire'
import {
  type Address,
  beginCell,
  Cell,
  external,
  internal,
  type MessageRelaxed,
  SendMode,
  storeMessage,
} from '@ton/core'
import { WalletContractV5R1 } from '@ton/ton'
import type { Signer } from '../keys/ed25519.ts'

/** Messages that one transfer of a W5 may send. */
export const MAX_MESSAGES = 255
/** How long a signed transfer may be used. */
export const TRANSFER_TTL_S = 120

/**
 * The W5 (version r1) of a key on a network. Its id names the network, so one network's transfers are void on any other, and the address
 * differs from network to network.
 *
 * @param subwallet - 0 is the one that wallets show first.
 */
export function w5Of(publicKey: Buffer, network: number, subwallet = 0): WalletContractV5R1 {
  const context = { walletVersion: 'v5r1', workchain: 0, subwalletNumber: subwallet } as const
  return WalletContractV5R1.create({ publicKey, walletId: { networkGlobalId: network, context } })
}

/** What a transfer sends. */
export interface Transfer {
  to: Address
  /** GRAM, in billionths. */
  value: bigint
  bounce?: boolean
  body?: Cell | null
  init?: { code?: Cell | null; data?: Cell | null } | null
  sendMode?: SendMode
}

/**
 * A signed transfer, as an external message for the network.
 *
 * @param seqno - the wallet's; 0 deploys it.
 * @param validUntil - seconds since 1970, by the chain's clock.
 */
export async function signTransfer(
  signer: Signer,
  network: number,
  o: { transfers: readonly Transfer[]; seqno: number; validUntil: number; subwallet?: number },
): Promise<Cell> {
  if (o.transfers.length === 0 || o.transfers.length > MAX_MESSAGES)
    throw new PinGoError('TRANSFER_INVALID', `One transfer sends 1 to ${MAX_MESSAGES} messages.`)
  const wallet = w5Of(signer.publicKey, network, o.subwallet)
  const body = await wallet.createRequest({
    seqno: o.seqno,
    timeout: o.validUntil,
    authType: 'external',
    actions: o.transfers.map((transfer) => ({
      type: 'sendMsg',
      mode: transfer.sendMode ?? SendMode.PAY_GAS_SEPARATELY,
      outMsg: messageOf(transfer),
    })),
    signer: async (message: Cell) => signer.sign(message.hash()),
  })
  const message = external({ to: wallet.address, init: o.seqno === 0 ? wallet.init : undefined, body })
  return beginCell().store(storeMessage(message)).endCell()
}

/** The seqno that a W5's data hold; 0 where there is no contract yet. */
export function seqnoOf(data: Cell | null | undefined): number {
  return data ? data.beginParse().skip(1).loadUint(32) : 0
}

/** Bytes of a comment. */
export const MAX_COMMENT_BYTES = 1024

/** A comment for people as a message's body: op-code 0 and text. @throws PinGoError TRANSFER_INVALID */
export function commentBody(text: string): Cell {
  if (Buffer.byteLength(text) > MAX_COMMENT_BYTES)
    throw new PinGoError('TRANSFER_INVALID', `A comment has ${MAX_COMMENT_BYTES} bytes at most.`)
  return beginCell().storeUint(0, 32).storeStringTail(text).endCell()
}

/** The comment in a message's body, where there is one. */
export function readComment(body: Cell): string | undefined {
  const slice = body.beginParse()
  if (slice.remainingBits < 32 || slice.loadUint(32) !== 0) return undefined
  try {
    return slice.loadStringTail().slice(0, MAX_COMMENT_BYTES)
  } catch {
    return undefined
  }
}

function messageOf({ to, value, bounce, body, init }: Transfer): MessageRelaxed {
  return internal({ to, value, bounce: bounce ?? true, body: body ?? Cell.EMPTY, init })
}
