import { hash as digest } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import {
  Address,
  beginCell,
  Cell,
  loadShardAccount,
  loadTransaction,
  type Message,
  parseTuple,
  type ShardAccount,
  storeMessage,
  storeShardAccount,
  type Transaction,
  type TupleItem,
  TupleReader,
} from '@ton/core'
import { createEmptyShardAccount, Executor } from '@ton/sandbox'
import { readMessage, readTransaction } from '../message.ts'
import { LOCAL } from '../networks.ts'
import { normalisedHash } from '../open.ts'
import { localConfig } from './config.ts'
import { ChainStore, type Head, type QueuedMessage, type TraceRow, type TransactionRow } from './store.ts'

/** External messages that wait for the next block at most. */
export const MAX_WAITING = 4096

/** Transactions of a block at most: the rest of the queue waits for the next. */
const BLOCK_TRANSACTIONS = 256

/** Transactions that are kept when it is not told how many. */
const HISTORY = 1_000_000

/** Logical times between two transactions: more than a transaction can have messages. */
const LT_STEP = 1000n

/** Accounts that are kept in memory beside the file. */
const CACHED_ACCOUNTS = 5000

/** Transactions after which the machine's heap is begun anew: it never shrinks by itself. */
const EXECUTOR_TRANSACTIONS = 50_000

/** Gas that a get method may spend. */
const GET_METHOD_GAS = 1_000_000n

export interface LocalChainOptions {
  /** File of the state; ':memory:' when left out. */
  file?: string
  /** Milliseconds since 1970; blocks take their time from it. */
  clock?: () => number
  globalId?: number
  /** Fees of the chain as a share of those in the configuration (TON cut its own in 2026). Only for a new chain. */
  fees?: { numerator: bigint; denominator: bigint }
  /** Transactions that are kept. */
  history?: number
}

interface Waiting {
  message: Message
  cell: Cell
  resolve(hash: Buffer): void
  reject(error: unknown): void
}

/**
 * A chain of one machine: TON's own virtual machine (compiled to WebAssembly) executes messages in the order in which they came, and
 * everything is in one file. A message that was confirmed is on the disk; a process that is killed goes on where it was, and executes
 * nothing twice. The same messages at the same times give the same state hash on every machine.
 *
 * Not kept: forks, validators, masterchain, shards. Everyone who reaches it may fund accounts: it is for development and tests.
 */
export class LocalChain {
  readonly globalId: number
  readonly #store: ChainStore
  readonly #clock: () => number
  readonly #config: string
  #executor: Executor
  #executed = 0
  #head: Head
  #queue: QueuedMessage[]
  #traces: Map<number, TraceRow>
  #accounts = new Map<string, string>()
  #waiting: Waiting[] = []
  #producing: Promise<void> | undefined
  #watchers = new Set<() => void>()
  #closed = false

  private constructor(
    store: ChainStore,
    executor: Executor,
    clock: () => number,
    identity: { globalId: number; config: string },
  ) {
    this.#store = store
    this.#executor = executor
    this.#clock = clock
    this.#config = identity.config
    this.globalId = identity.globalId
    this.#head = store.head()
    this.#queue = store.queue()
    this.#traces = new Map(store.openTraces().map((row) => [row.id, row]))
  }

  /** Opens a chain, or begins one. @throws PinGoError CHAIN_NETWORK when the file holds another network. */
  static async open({
    file = ':memory:',
    clock = Date.now,
    globalId = LOCAL,
    fees,
    history = HISTORY,
  }: LocalChainOptions = {}): Promise<LocalChain> {
    const store = new ChainStore(file, history)
    if (!store.identity()) {
      const begin: Head = {
        block: 0,
        lt: 0n,
        time: Math.floor(clock() / 1000),
        ahead: 0,
        traces: 0,
        transactions: 0,
        state: Buffer.alloc(32),
      }
      store.create(globalId, localConfig(globalId, fees), begin)
    }
    const identity = store.identity() as { globalId: number; config: string }
    if (identity.globalId !== globalId) {
      store.close()
      throw new PinGoError(
        'CHAIN_NETWORK',
        `the chain in ${file} has the network id ${identity.globalId}, not ${globalId}`,
      )
    }
    const chain = new LocalChain(store, await Executor.create(), clock, identity)
    if (chain.#queue.length > 0) chain.#produce()
    return chain
  }

  /** The chain's time, seconds since 1970. */
  now(): number {
    return Math.max(this.#head.time, Math.floor(this.#clock() / 1000) + this.#head.ahead)
  }

  /** Block, transactions, state hash and so on. */
  head(): Readonly<Head> {
    return this.#head
  }

  accounts(): number {
    return this.#store.accounts()
  }

  /** Messages that are still to be executed. */
  pending(): number {
    return this.#queue.length + this.#waiting.length
  }

  /** The configuration: a dictionary of parameters. */
  config(): Cell {
    return Cell.fromBase64(this.#config)
  }

  /** Sets the clock forward. */
  advance(seconds: number): void {
    if (!Number.isSafeInteger(seconds) || seconds < 0)
      throw new PinGoError('CHAIN_TIME', 'time goes forward, by whole seconds')
    this.#head = { ...this.#head, ahead: this.#head.ahead + seconds, time: this.now() + seconds }
    this.#commit([], new Map(), [])
  }

  /**
   * Executes an external message in the next block.
   *
   * @returns its normalised hash, once the block is on the disk.
   * @throws PinGoError CHAIN_REFUSED when the account doesn't accept it, CHAIN_MESSAGE when it is none, CHAIN_BUSY when too many wait.
   */
  async send(boc: Buffer): Promise<Buffer> {
    const { message, cell } = readMessage(boc)
    if (message.info.type !== 'external-in')
      throw new PinGoError('CHAIN_MESSAGE', 'only external messages are sent to a chain')
    return await this.#submit(message, cell)
  }

  /** Gives an account GRAM out of nothing (nano-GRAM), as a message from the null address of the masterchain. */
  async fund(to: Address, amount: bigint): Promise<Buffer> {
    const message: Message = {
      info: {
        type: 'internal',
        ihrDisabled: true,
        bounce: false,
        bounced: false,
        src: new Address(-1, Buffer.alloc(32)),
        dest: to,
        value: { coins: amount },
        ihrFee: 0n,
        forwardFee: 0n,
        createdLt: this.#head.lt,
        createdAt: this.now(),
      },
      body: beginCell().endCell(),
    }
    return await this.#submit(message, beginCell().store(storeMessage(message)).endCell())
  }

  account(address: Address): ShardAccount | undefined {
    const shard = this.#shard(raw(address))
    return shard === undefined ? undefined : loadShardAccount(Cell.fromBase64(shard).beginParse())
  }

  transactions(address: Address, limit: number, before?: bigint): Transaction[] {
    return this.#store.transactions(raw(address), limit, before ?? 2n ** 62n).map(readTransaction)
  }

  /** What a message set off so far, and whether that is all; undefined when it is unknown. */
  trace(hash: Buffer): { transactions: Transaction[]; done: boolean } | undefined {
    const row = this.#store.trace(hash)
    return (
      row && {
        done: row.open === 0,
        transactions: this.#store.transactionsOfTrace(row.id, TRACE_TRANSACTIONS).map(readTransaction),
      }
    )
  }

  /** Calls back after every block, until the function that it returns is called. */
  onBlock(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Runs a get method on the present state. @throws PinGoError CHAIN_GET_METHOD with the exit code. */
  async runGetMethod(
    address: Address,
    method: number,
    args: TupleItem[],
  ): Promise<{ stack: TupleReader; gasUsed: number; exitCode: number }> {
    const state = this.account(address)?.account
    if (state?.storage.state.type !== 'active' || !state.storage.state.state.code) {
      throw new PinGoError('CHAIN_GET_METHOD', `there is no contract at ${address}`)
    }
    const { code, data } = state.storage.state.state
    const { output } = await this.#executor.runGetMethod({
      code,
      data: data ?? Cell.EMPTY,
      methodId: method,
      stack: args,
      config: this.#config,
      verbosity: 'short',
      address,
      unixTime: this.now(),
      balance: state.storage.balance.coins,
      randomSeed: this.#head.state,
      gasLimit: GET_METHOD_GAS,
      debugEnabled: false,
    })
    if (!output.success) throw new PinGoError('CHAIN_GET_METHOD', `the get method failed: ${output.error}`)
    return {
      stack: new TupleReader(output.vm_exit_code > 1 ? [] : parseTuple(Cell.fromBase64(output.stack))),
      gasUsed: Number(output.gas_used),
      exitCode: output.vm_exit_code,
    }
  }

  /** Waits for the block in work, and closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const { reject } of this.#waiting.splice(0)) reject(new PinGoError('CHAIN_CLOSED', 'the chain was closed'))
    await this.#producing
    this.#store.close()
  }

  #submit(message: Message, cell: Cell): Promise<Buffer> {
    if (this.#closed) throw new PinGoError('CHAIN_CLOSED', 'the chain was closed')
    if (this.#waiting.length >= MAX_WAITING) {
      throw new PinGoError('CHAIN_BUSY', 'too many messages wait for the next block', {
        hint: 'Send it again in a moment.',
      })
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, cell, resolve, reject })
      this.#produce()
    })
  }

  /** Makes blocks until nothing is left to be executed. */
  #produce(): void {
    this.#producing ??= (async () => {
      try {
        do {
          // whoever calls now gets into the block: one sync serves all of them
          await new Promise(setImmediate)
          await this.#block()
        } while ((this.#waiting.length > 0 || this.#queue.length > 0) && !this.#closed)
      } finally {
        this.#producing = undefined
      }
    })()
  }

  async #block(): Promise<void> {
    const taken: Waiting[] = []
    const time = this.now()
    const before = { head: this.#head, queue: this.#queue, traces: structuredClone(this.#traces) }
    const changed = new Map<string, string>()
    const rows: TransactionRow[] = []
    const answers: (() => void)[] = []
    const lost: number[] = []
    this.#head = { ...this.#head, block: this.#head.block + 1, time }
    this.#queue = [...this.#queue]
    try {
      // a message and all that it sets off come before the next one: so the state depends on their order alone, not on who shares a block
      await this.#drain(changed, rows, lost)
      while (rows.length < BLOCK_TRANSACTIONS) {
        const next = this.#waiting.shift()
        if (!next) break
        taken.push(next)
        const { message, cell, resolve, reject } = next
        try {
          const hash = normalisedHash(message)
          const trace: TraceRow = { id: this.#head.traces + 1, hash, open: 1 }
          await this.#execute(message, cell, trace, changed, rows)
          this.#head = { ...this.#head, traces: trace.id }
          answers.push(() => resolve(hash))
        } catch (error) {
          answers.push(() => reject(error))
        }
        await this.#drain(changed, rows, lost)
      }
      this.#commit(rows, changed, [...new Set([...rows.map(({ trace }) => trace), ...lost])])
    } catch (error) {
      // nothing of the block counts: neither here nor on the disk
      this.#head = before.head
      this.#queue = before.queue
      this.#traces = before.traces
      for (const { reject } of taken) reject(error)
      throw error
    }
    for (const answer of answers) answer()
    for (const watcher of this.#watchers) watcher()
  }

  /** Executes what is queued, as far as the block goes. */
  async #drain(changed: Map<string, string>, rows: TransactionRow[], lost: number[]): Promise<void> {
    while (this.#queue.length > 0 && rows.length < BLOCK_TRANSACTIONS) {
      const { trace, boc } = this.#queue.shift() as QueuedMessage
      const { message, cell } = readMessage(boc)
      const row = this.#traces.get(trace) as TraceRow
      try {
        await this.#execute(message, cell, row, changed, rows)
      } catch {
        // the machine can't execute it at all (a workchain that is not there): it is lost, the chain goes on
        row.open -= 1
        lost.push(trace)
        this.#executor = await Executor.create()
      }
    }
  }

  async #execute(
    message: Message,
    cell: Cell,
    trace: TraceRow,
    changed: Map<string, string>,
    rows: TransactionRow[],
  ): Promise<void> {
    const dest = message.info.dest
    if (!Address.isAddress(dest)) throw new PinGoError('CHAIN_MESSAGE', 'the message has no destination')
    const address = raw(dest)
    const lt = this.#head.lt + LT_STEP
    if (++this.#executed % EXECUTOR_TRANSACTIONS === 0) this.#executor = await Executor.create()
    const { result } = await this.#executor.runTransaction({
      message: cell,
      config: this.#config,
      libs: null,
      verbosity: 'short',
      shardAccount: changed.get(address) ?? this.#shard(address) ?? emptyAccount(dest),
      now: this.#head.time,
      lt,
      randomSeed: digest('sha256', `${this.globalId}:${lt}`, 'buffer'),
      ignoreChksig: false,
      debugEnabled: false,
    })
    if (!result.success) {
      const code = result.vmResults?.vmExitCode
      throw new PinGoError(
        'CHAIN_REFUSED',
        `the account did not accept the message${code === undefined ? '' : ` (exit code ${code})`}: ${result.error}`,
      )
    }
    const boc = Buffer.from(result.transaction, 'base64')
    const root = Cell.fromBoc(boc)[0] as Cell
    const transaction = loadTransaction(root.beginParse())
    changed.set(address, result.shardAccount)
    for (const out of transaction.outMessages.values()) {
      if (out.info.type !== 'internal') continue
      this.#queue.push({ trace: trace.id, boc: beginCell().store(storeMessage(out)).endCell().toBoc() })
      trace.open += 1
    }
    trace.open -= 1
    this.#traces.set(trace.id, trace)
    const hash = root.hash()
    rows.push({ address, lt, hash, trace: trace.id, boc })
    const state = digest(
      'sha256',
      Buffer.concat([this.#head.state, hash, digest('sha256', result.shardAccount, 'buffer')]),
      'buffer',
    )
    this.#head = { ...this.#head, lt, state, transactions: this.#head.transactions + 1 }
  }

  #commit(transactions: TransactionRow[], accounts: Map<string, string>, touched: readonly number[]): void {
    const traces = touched.map((id) => this.#traces.get(id) as TraceRow)
    this.#store.commit({ accounts, queue: this.#queue, transactions, traces, head: this.#head })
    for (const [address, shard] of accounts) {
      this.#accounts.delete(address)
      this.#accounts.set(address, shard)
    }
    for (const address of this.#accounts.keys()) {
      if (this.#accounts.size <= CACHED_ACCOUNTS) break
      this.#accounts.delete(address)
    }
    for (const { id, open } of traces) if (open === 0) this.#traces.delete(id)
  }

  #shard(address: string): string | undefined {
    return this.#accounts.get(address) ?? this.#store.account(address)
  }
}

/** Transactions of a trace that are told at most. */
const TRACE_TRANSACTIONS = 1000

function raw(address: Address): string {
  return address.toRawString()
}

function emptyAccount(address: Address): string {
  return beginCell()
    .store(storeShardAccount(createEmptyShardAccount(address)))
    .endCell()
    .toBoc()
    .toString('base64')
}
