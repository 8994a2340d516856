import { PinGoError } from '@pingo/wire'
import { type Address, type Cell, loadMessage, type Sender, type Transaction } from '@ton/core'
import type { ChainEndpoint, Trace } from '../endpoint/port.ts'
import type { Signer } from '../keys/ed25519.ts'
import { EXIT, EXIT_WORDS } from '../schema/index.ts'
import { formatAmount } from './amount.ts'
import { seqnoOf, signTransfer, TRANSFER_TTL_S, type Transfer, w5Of } from './w5.ts'

/** How long a wallet waits for what it has sent. */
export const SEND_DEADLINE_MS = 180_000

/** What came of a transfer. */
export interface Sent {
  /** Normalised hash of the external message. */
  hash: Buffer
  /** GRAM that the wallet itself paid for it. */
  fee: bigint
  trace: Trace
  /** Transactions after the wallet's own that failed: what they had been sent came back, less their fees. */
  failed: { account: string; exitCode: number; word: string }[]
}

/** A wallet on a chain: sends, one transfer after another, and waits until each is done. */
export interface ChainWallet extends Sender {
  readonly address: Address
  readonly network: number
  /** The signed external message of a transfer, without sending it. @throws PinGoError BALANCE_TOO_LOW */
  prepare(transfers: readonly Transfer[]): Promise<Cell>
  /** Sends what was prepared. @throws PinGoError CHAIN_REFUSED, CHAIN_TIMEOUT, TRANSFER_NOT_SENT */
  submit(message: Cell, o?: { signal?: AbortSignal }): Promise<Sent>
}

/**
 * The W5 of a key on a chain, as the sender of @ton/core's wrappers.
 *
 * @example await open(endpoint, collection).sendClaim(walletOn(endpoint, wallet.signer), proof)
 */
export function walletOn(
  endpoint: ChainEndpoint,
  signer: Signer,
  o: { subwallet?: number; deadlineMs?: number } = {},
): ChainWallet {
  const { network } = endpoint
  const { subwallet, deadlineMs = SEND_DEADLINE_MS } = o
  const { address } = w5Of(signer.publicKey, network, subwallet)
  /** Transfers of one wallet are numbered: the next one is made when the one before is done. */
  let turn: Promise<unknown> = Promise.resolve()

  const wallet: ChainWallet = {
    address,
    network,
    async prepare(transfers) {
      const [{ balance, data }, now] = await Promise.all([endpoint.account(address), endpoint.now()])
      const needed = transfers.reduce((sum, { value }) => sum + value, 0n)
      if (balance <= needed)
        throw new PinGoError(
          'BALANCE_TOO_LOW',
          `The wallet has ${formatAmount(balance)} GRAM; ${formatAmount(needed)} and the fee are needed.`,
          {
            hint: balance === 0n ? 'Send GRAM to its address first.' : 'Send less, or more GRAM to its address first.',
          },
        )
      const validUntil = now + TRANSFER_TTL_S
      return signTransfer(signer, network, { transfers, seqno: seqnoOf(data), validUntil, subwallet })
    },
    async submit(message, { signal } = {}) {
      const wanted = sentBy(message)
      const { hash } = await endpoint.send(message.toBoc(), { signal })
      const trace = await endpoint.waitFor(hash, { signal, deadlineMs })
      const [own, ...rest] = trace.transactions
      if (!own) throw new PinGoError('CHAIN_ANSWER', 'The chain tells no transaction for the message.')
      // W5 skips what it cannot pay for, and the transaction is a success all the same
      if (own.outMessagesCount < wanted)
        throw new PinGoError(
          'TRANSFER_NOT_SENT',
          'The wallet could not send it: its GRAM do not cover amount and fees.',
          {
            hint: 'Only the fee is gone. Send less, or more GRAM to its address first.',
          },
        )
      return { hash, fee: costOf(own), trace, failed: rest.flatMap(failureOf) }
    },
    send: (args) => {
      const { to, value, body, init, bounce, sendMode } = args
      const transfer: Transfer = {
        to,
        value,
        body,
        init,
        bounce: bounce ?? true,
        ...(sendMode == null ? {} : { sendMode }),
      }
      const sending = turn.then(async () => {
        const { failed } = await wallet.submit(await wallet.prepare([transfer]))
        const first = failed[0]
        if (first)
          throw new PinGoError(
            'TRANSFER_FAILED',
            `A contract refused the message: ${first.word} (exit code ${first.exitCode}).`,
            {
              details: { ...first },
            },
          )
      })
      turn = sending.catch(() => {})
      return sending
    },
  }
  return wallet
}

/** GRAM that a transaction cost its account, beside what it sent: fees for itself, and for carrying what it sent. */
export function costOf({ totalFees, outMessages }: Transaction): bigint {
  return outMessages
    .values()
    .reduce((sum, { info }) => sum + (info.type === 'internal' ? info.forwardFee : 0n), totalFees.coins)
}

/** Messages that a signed transfer is to send. */
function sentBy(message: Cell): number {
  const { body } = loadMessage(message.beginParse())
  // op-code, wallet id, time, seqno, then the list of actions: a chain of cells that ends in an empty one
  let list = body
    .beginParse()
    .skip(32 * 4)
    .loadMaybeRef()
  let count = 0
  for (; list && list.refs.length > 0; list = list.refs[0] as Cell) count++
  return count
}

function failureOf({ address, description }: Transaction): Sent['failed'] {
  if (description.type !== 'generic' || !description.aborted) return []
  const { computePhase, actionPhase } = description
  // an account without code runs nothing, and keeps what it was sent where nobody asked for it back
  if (computePhase.type !== 'vm') return description.bouncePhase ? [failure(address, -1, 'there is no contract')] : []
  const exitCode = computePhase.exitCode !== 0 ? computePhase.exitCode : (actionPhase?.resultCode ?? 0)
  return [failure(address, exitCode, WORDS.get(exitCode) ?? 'it failed')]
}

const failure = (address: bigint, exitCode: number, word: string) => ({
  account: address.toString(16).padStart(64, '0'),
  exitCode,
  word,
})

/** What a contract's exit code means, by PINGO's own list. */
const WORDS: ReadonlyMap<number, string> = new Map(
  Object.entries(EXIT).map(([name, code]) => [code, EXIT_WORDS[name as keyof typeof EXIT]]),
)
