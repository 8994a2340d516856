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
