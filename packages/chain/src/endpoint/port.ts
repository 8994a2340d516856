<<<<<<< HEAD
import type { Address, Cell, Transaction, TupleItem, TupleReader } from '@ton/core'

/** An account as a chain has it. */
export interface AccountState {
  /** GRAM, in billionths. */
  balance: bigint
  status: 'uninit' | 'active' | 'frozen'
  /** Null unless active. */
  code: Cell | null
  data: Cell | null
  last: { lt: bigint; hash: Buffer } | null
}

/** What an external message set off: its transaction, then those of the messages that followed, in their order. */
export interface Trace {
  transactions: Transaction[]
}

export interface CallOptions {
  signal?: AbortSignal
}

/** A chain: in this process, on this machine, or a public network of TON. All that wallets, contracts and commands need of one. */
export interface ChainEndpoint {
  /** Global id: -239 mainnet, -3 testnet, another for a local chain. */
  readonly network: number

  /**
   * Hands an external message in. It is taken when this resolves, not yet done: `waitFor` tells the rest.
   *
   * @param boc - bytes of the message's bag of cells.
   * @returns the normalised hash (TEP-467), the same for every serialisation of the message.
   * @throws PinGoError CHAIN_REFUSED when the chain does not take it
   */
  send(boc: Buffer, o?: CallOptions): Promise<{ hash: Buffer }>

  account(address: Address, o?: CallOptions): Promise<AccountState>

  /** @throws PinGoError CHAIN_GET_METHOD when it ends with another exit code than 0 or 1 */
  runGetMethod(address: Address, name: string, args?: TupleItem[], o?: CallOptions): Promise<TupleReader>

  /** Transactions of an account, the newest first. `before` goes on from the last one that was had. */
  transactions(
    address: Address,
    o: CallOptions & { limit: number; before?: { lt: bigint; hash: Buffer } },
  ): Promise<Transaction[]>

  /**
   * Waits until a message and all that it set off is done.
   *
   * @param hash - what `send` returned.
   * @throws PinGoError CHAIN_TIMEOUT after the deadline: the message may still be done later
   */
  waitFor(hash: Buffer, o?: CallOptions & { deadlineMs?: number }): Promise<Trace>

  /** The chain's clock, seconds since 1970. */
  now(o?: CallOptions): Promise<number>

  /** The chain's configuration: the dictionary of its parameters, prices among them. */
  config(o?: CallOptions): Promise<Cell>

  close(): Promise<void>
}
=======
import { PinGoError } from '@pingo/wire'
import {
  type Address,
  beginCell,
  Cell,
  type Contract,
  type ContractProvider,
  external,
  type Message,
  type OpenedContract,
  openContract,
  type StateInit,
  storeMessage,
  type Transaction,
  type TupleItem,
  type TupleReader,
} from '@ton/core'

/** An account as a chain knows it; amounts in nano-GRAM. */
export interface Account {
  balance: bigint
  status: 'none' | 'uninit' | 'active' | 'frozen'
  code?: Cell
  data?: Cell
  /** The newest transaction. */
  last?: TransactionId
}

/** Where a transaction stands in its account's history. */
export interface TransactionId {
  lt: bigint
  hash: Buffer
}

/**
 * A chain: the real TVM in this process (`LocalChain`), or a TON network over HTTP. Programs are written against this alone.
 * All calls may throw PinGoError CHAIN_UNREACHABLE; those with a signal stop when it fires.
 */
export interface ChainEndpoint {
  /** Global id of the network: -239 mainnet, -3 testnet, others for local networks. Wallets and signatures are bound to it. */
  readonly globalId: number
  /**
   * Hands an external message in.
   *
   * @returns its normalised hash (TEP-467), by which `waitFor` finds what became of it.
   * @throws PinGoError CHAIN_REJECTED when the account does not accept it.
   */
  send(message: Message, options?: { signal?: AbortSignal }): Promise<Buffer>
  account(address: Address, options?: { signal?: AbortSignal }): Promise<Account>
  /** Runs a get method. @throws PinGoError CHAIN_GET_METHOD when there is no such contract or method, or it fails. */
  run(address: Address, method: string, args?: TupleItem[], options?: { signal?: AbortSignal }): Promise<TupleReader>
  /** Transactions of an account, newest first: at most `limit` (≤ 100), older than `before`. */
  transactions(
    address: Address,
    options?: { limit?: number; before?: TransactionId; signal?: AbortSignal },
  ): Promise<Transaction[]>
  /** The chain's time, seconds since 1970. */
  now(options?: { signal?: AbortSignal }): Promise<number>
  close(): Promise<void>
}

/** The most transactions that one call of `transactions` gives. */
export const MAX_TRANSACTIONS = 100

/** Bytes that an external message may have: what TON's nodes take, and 8,192 cells (TON's limits). */
export const MAX_MESSAGE_BYTES = 65_535

/**
 * Normalised hash of an external message, TEP-467: source, import fee and initial state are left out and the body stands in a
 * reference, so that whoever repackages the message gets the same hash.
 */
export function normalizedHash(message: Message): Buffer {
  if (message.info.type !== 'external-in')
    throw new PinGoError('CHAIN_MESSAGE', 'only an external message has such a hash')
  return beginCell()
    .store(
      storeMessage(
        { info: { ...message.info, src: null, importFee: 0n }, init: null, body: message.body },
        { forceRef: true },
      ),
    )
    .endCell()
    .hash()
}

/** A contract's wrapper with its getters and senders bound to a chain. */
export function openOn<C extends Contract>(endpoint: ChainEndpoint, contract: C): OpenedContract<C> {
  return openContract(contract, ({ address, init }) => providerOf(endpoint, address, init ?? null))
}

/** `ContractProvider` of @ton/core over an endpoint: what wrappers are written against. */
export function providerOf(endpoint: ChainEndpoint, address: Address, init: StateInit | null): ContractProvider {
  const initIfNew = async (): Promise<StateInit | null> =>
    init && (await endpoint.account(address)).status !== 'active' ? init : null
  return {
    async getState() {
      const { balance, status, code, data, last } = await endpoint.account(address)
      return {
        balance,
        extracurrency: null,
        last: last ?? null,
        state:
          status === 'active'
            ? { type: 'active', code: code?.toBoc() ?? null, data: data?.toBoc() ?? null }
            : status === 'frozen'
              ? { type: 'frozen', stateHash: Buffer.alloc(0) }
              : { type: 'uninit' },
      }
    },
    async get(method, args) {
      if (typeof method !== 'string') throw new PinGoError('CHAIN_GET_METHOD', 'get methods are called by their names')
      return { stack: await endpoint.run(address, method, args) }
    },
    async external(body) {
      await endpoint.send(external({ to: address, init: await initIfNew(), body }))
    },
    async internal(via, { value, bounce, sendMode, body, extracurrency }) {
      const neededInit = await initIfNew()
      await via.send({
        to: address,
        value: typeof value === 'string' ? BigInt(value) : value,
        bounce: bounce ?? neededInit === null,
        ...(sendMode !== undefined && { sendMode }),
        ...(neededInit && { init: neededInit }),
        ...(extracurrency && { extracurrency }),
        body:
          typeof body === 'string'
            ? beginCell().storeUint(0, 32).storeStringTail(body).endCell()
            : (body ?? Cell.EMPTY),
      })
    },
    open: (contract) => openOn(endpoint, contract),
    getTransactions: (of, lt, hash, limit) =>
      endpoint.transactions(of, { limit: limit ?? MAX_TRANSACTIONS, before: { lt, hash } }),
  }
}
>>>>>>> 02b0a67 (The port to a chain: send, account, get method, history, and a provider for wrappers)
