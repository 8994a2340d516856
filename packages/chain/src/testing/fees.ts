import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Address, type Cell, type Message, type Transaction, toNano } from '@ton/core'
import { type Blockchain, internal, loadConfig, updateConfig } from '@ton/sandbox'
import { CONTRACTS_FOLDER } from '../compile/compile.ts'
import { gasFee, pricesOf } from '../endpoint/emulator/config.ts'
import { decode, EXIT, Excesses } from '../schema/index.ts'
import { messagesBetween, transactionsOf } from './world.ts'

/** What a message must pay for in advance (`assertPays` in `contracts/common/fees.tolk`). */
export interface Price {
  /** Messages that follow from it, each as dear as it was itself. */
  messages: bigint
  gas: bigint
  /** nano-GRAM that stay where it leads. */
  leaves: bigint
}

type Sent = Promise<{ transactions: Transaction[] }>

/** Parameters of the chain's configuration. */
const STORAGE_PRICES = 18
const FORWARD_PRICES = 25

/** The least nano-GRAM that a message may bring, at the chain's prices. `forwardFee`: as it stands in the message that came. */
function leastValue(chain: Blockchain, forwardFee: bigint, { messages, gas, leaves }: Price): bigint {
  const { first_frac } = loadConfig(chain.config)[FORWARD_PRICES].anon0
  // the first part of what was paid stays with the validators of the sender's shard
  const original = (forwardFee << 16n) / (0x10000n - BigInt(first_frac))
  return messages * original + gasFee(pricesOf(chain.config), gas) + leaves
}

/** The least value with which `send` may come to `to`, the chain being left as it was. */
export async function priceOf(
  chain: Blockchain,
  to: Address,
  send: (value: bigint) => Sent,
  price: Price,
): Promise<bigint> {
  const start = chain.snapshot()
  const [first] = transactionsOf((await send(toNano('2'))).transactions, to)
  await chain.loadFrom(start)
  const info = first?.inMessage?.info
  return leastValue(chain, info?.type === 'internal' ? info.forwardFee : 0n, price)
}

/**
 * Sends a message with a nano less than its price: it must be refused with NOT_ENOUGH_GAS; and with exactly its price: it must be
 * taken, and nothing that follows may fail.
 *
 * @returns what followed, the chain being left as it is then.
 */
export async function assertPrice(
  chain: Blockchain,
  to: Address,
  send: (value: bigint) => Sent,
  price: Price,
): Promise<Transaction[]> {
  const start = chain.snapshot()
  const least = await priceOf(chain, to, send, price)
  const [refused] = transactionsOf((await send(least - 1n)).transactions, to)
  assert.equal(refused && codeOf(refused), EXIT.NOT_ENOUGH_GAS, `a nano less than ${least}`)
  await chain.loadFrom(start)
  const { transactions } = await send(least)
  for (const each of transactions) assert.equal(codeOf(each), 0, `with ${least} all goes well`)
  return transactions
}

/** The chain's price of forwarding rises while messages are on their way: that of each cell, or of each message. */
export function raiseForwarding(chain: Blockchain, what: 'cell' | 'message'): void {
  const prices = loadConfig(chain.config)[FORWARD_PRICES].anon0
  const dear = toNano('1000')
  const raised = what === 'cell' ? { _cell_price: dear << 16n } : { lump_price: dear }
  chain.setConfig(
    updateConfig(chain.config, { kind: 'ConfigParam_config_fwd_prices', anon0: { ...prices, ...raised } }),
  )
}

/**
 * Sends a message whose payment can't be sent, because cells (or all messages) have become too dear meanwhile: all of it must be
 * undone, and its GRAM go back to the sender. `send` is given a sender whose messages have paid their way at the old price.
 */
export async function assertUndone(
  chain: Blockchain,
  to: Address,
  from: Address,
  send: (via: ReturnType<Blockchain['sender']>) => Sent,
  what: 'cell' | 'message' = 'cell',
): Promise<void> {
  const start = chain.snapshot()
  raiseForwarding(chain, what)
  // where any message is too dear, so is the one that would go back: that it was to go is all that can be seen
  await assertBounces(chain, to, () => send(chain.sender(from)), what === 'cell' ? 'ok' : 'no-funds')
  await chain.loadFrom(start)
}

/** Sends a message that the contract accepts, and some of whose actions fail: all of it must be undone, and its GRAM go back. */
export async function assertBounces(
  chain: Blockchain,
  to: Address,
  send: () => Sent,
  back: 'ok' | 'no-funds' = 'ok',
): Promise<void> {
  const before = await dataOf(chain, to)
  const [undone] = transactionsOf((await send()).transactions, to)
  if (undone?.description.type !== 'generic') throw new Error('it never came')
  const { computePhase, actionPhase, bouncePhase } = undone.description
  assert.ok(computePhase.type === 'vm')
  assert.equal(computePhase.exitCode, 0, 'the contract accepts the message')
  assert.equal(actionPhase?.success, false, 'its payment can’t be sent')
  assert.equal(bouncePhase?.type, back, 'the message goes back')
  assert.ok((await dataOf(chain, to)).equals(before), 'the books are what they were')
}

/**
 * Sends a message that leaves nothing to give back, because messages have become too dear meanwhile: it must do its work all the same.
 * @returns what the contract's data are then, the chain being put back.
 */
export async function dataWithoutExcesses(
  chain: Blockchain,
  to: Address,
  from: Address,
  send: (via: ReturnType<Blockchain['sender']>) => Sent,
): Promise<Cell> {
  const start = chain.snapshot()
  raiseForwarding(chain, 'message')
  const { transactions } = await send(chain.sender(from))
  const [done] = transactionsOf(transactions, to)
  assert.ok(done && codeOf(done) === 0)
  assert.equal(done.outMessagesCount, 0)
  const data = await dataOf(chain, to)
  await chain.loadFrom(start)
  return data
}

/**
 * That a message takes nothing from what a contract has, and fills it up to its rent where it has less. The chain is left as it was.
 */
export async function assertRent(
  chain: Blockchain,
  to: Address,
  send: (value: bigint) => Sent,
  rent: bigint,
): Promise<void> {
  const start = chain.snapshot()
  for (const has of [0n, rent, 3n * rent + 1n]) {
    ;(await chain.getContract(to)).balance = has
    await send(rent + toNano('0.2'))
    assert.equal(await gramOf(chain, to), has > rent ? has : rent, `of ${has}`)
    await chain.loadFrom(start)
  }
}

/** That what is left of a message goes to `to`, with its number, whether there is a contract or not. @returns nano-GRAM */
export function assertExcesses(transactions: readonly Transaction[], from: Address, to: Address, queryId = 0n): bigint {
  const sent = messagesBetween(transactions, from, to)
  assert.equal(sent.length, 1)
  const { info, body } = sent[0] as Message
  assert.ok(info.type === 'internal')
  assert.equal(info.bounce, false, 'who has no contract yet gets it too')
  assert.equal(decode(Excesses, body).queryId, queryId)
  return info.value.coins
}

/** That two payments share what a message brought: neither is left with much less for its way. */
export function assertEvenly(payments: readonly Message[]): void {
  const [one, two] = payments.map(({ info }) => (info.type === 'internal' ? info.value.coins : 0n)) as [bigint, bigint]
  assert.equal(payments.length, 2)
  // the second pays for the gas of both
  assert.ok(two <= one && one - two < toNano('0.011'), `${one} and ${two}`)
}

/** Delivers a message as if `from` had sent it and paid its way. */
export function deliver(chain: Blockchain, from: Address, to: Address, value: bigint, body: Cell): Sent {
  return chain.sendMessage(internal({ from, to, value, body, bounce: true }))
}

/** What an account of that size costs for so many seconds in the base workchain, nano-GRAM. */
export function storageFee(chain: Blockchain, seconds: number, bits: bigint, cells: bigint): bigint {
  const prices = loadConfig(chain.config)[STORAGE_PRICES].anon0.values().at(-1)
  if (!prices) throw new Error('storage has no price')
  return ((bits * prices.bit_price_ps + cells * prices._cell_price_ps) * BigInt(seconds) + 0xffffn) >> 16n
}

/** The constants of a source below `contracts/` by name, GRAM in nano: what a test says of them holds when they are measured anew. */
export function constantsOf(file: string): Record<string, bigint> {
  const text = readFileSync(join(CONTRACTS_FOLDER, file), 'utf8')
  const constants = text.matchAll(/^const (\w+) = (?:ton\("([\d.]+)"\)|(\d+)$)/gm)
  return Object.fromEntries(
    [...constants].map(([, name, gram, number]) => [name, gram ? toNano(gram) : BigInt(number ?? 0)]),
  )
}

/** nano-GRAM of an account. */
export async function gramOf(chain: Blockchain, address: Address): Promise<bigint> {
  return (await chain.getContract(address)).balance
}

async function dataOf(chain: Blockchain, address: Address): Promise<Cell> {
  const { accountState } = await chain.getContract(address)
  if (accountState?.type !== 'active' || !accountState.state.data) throw new Error('no contract there')
  return accountState.state.data
}

/** Exit code of a transaction: that of the TVM, or of its actions. */
function codeOf({ description }: Transaction): number {
  if (description.type !== 'generic' || description.computePhase.type !== 'vm') return 0
  const { exitCode } = description.computePhase
  return exitCode > 1 ? exitCode : (description.actionPhase?.resultCode ?? 0)
}
