import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** What one block changes; all of it is written at once, or nothing. */
export interface BlockWrite {
  /** Address (raw form) → shard account, base64. */
  accounts: ReadonlyMap<string, string>
  /** Messages that are still to be executed, replacing all that were. */
  queue: readonly QueuedMessage[]
  transactions: readonly TransactionRow[]
  traces: readonly TraceRow[]
  head: Head
}

/** An internal message on its way. */
export interface QueuedMessage {
  trace: number
  /** Bag of cells. */
  boc: Buffer
}

export interface TransactionRow {
  address: string
  lt: bigint
  hash: Buffer
  trace: number
  boc: Buffer
}

/** What an external message (or the faucet) set off, by its normalised hash. `open` messages of it are still to be executed. */
export interface TraceRow {
  id: number
  hash: Buffer
  open: number
}

/** Where the chain stands. */
export interface Head {
  block: number
  lt: bigint
  /** Seconds since 1970. */
  time: number
  /** Seconds that this chain's clock is ahead of the machine's. */
  ahead: number
  traces: number
  transactions: number
  /** Running hash over every account state that ever was: equal on two machines that executed the same. */
  state: Buffer
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS head (id INTEGER PRIMARY KEY CHECK (id = 1), block INTEGER, lt INTEGER, time INTEGER, ahead INTEGER,
    traces INTEGER, transactions INTEGER, state BLOB, globalId INTEGER, config TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS accounts (address TEXT PRIMARY KEY, shard TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS queue (position INTEGER PRIMARY KEY, trace INTEGER NOT NULL, boc BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS transactions (id INTEGER PRIMARY KEY, address TEXT NOT NULL, lt INTEGER NOT NULL, hash BLOB NOT NULL,
    trace INTEGER NOT NULL, boc BLOB NOT NULL) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS transactions_by_account ON transactions (address, lt);
  CREATE INDEX IF NOT EXISTS transactions_by_trace ON transactions (trace);
  CREATE TABLE IF NOT EXISTS traces (id INTEGER PRIMARY KEY, hash BLOB NOT NULL, open INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS traces_by_hash ON traces (hash);
`

/** The state of a local chain in a file: a block is one transaction of SQLite, synced before anybody is told. */
export class ChainStore {
  readonly #db: DatabaseSync
  readonly #history: number
  readonly #sql: Record<
    | 'account'
    | 'putAccount'
    | 'clearQueue'
    | 'enqueue'
    | 'putTransaction'
    | 'putTrace'
    | 'putHead'
    | 'pruneTransactions'
    | 'pruneTraces',
    StatementSync
  >

  /** @param history - transactions that are kept; older ones are forgotten, their accounts are not. */
  constructor(file: string, history: number) {
    this.#db = new DatabaseSync(file)
    this.#history = history
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;')
    this.#db.exec(SCHEMA)
    const sql = (text: string) => this.#db.prepare(text)
    this.#sql = {
      account: sql('SELECT shard FROM accounts WHERE address = ?'),
      putAccount: sql('INSERT INTO accounts VALUES (?, ?) ON CONFLICT (address) DO UPDATE SET shard = excluded.shard'),
      clearQueue: sql('DELETE FROM queue'),
      enqueue: sql('INSERT INTO queue VALUES (?, ?, ?)'),
      putTransaction: sql('INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)'),
      putTrace: sql('INSERT INTO traces VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET open = excluded.open'),
      putHead: sql(
        'UPDATE head SET block = ?, lt = ?, time = ?, ahead = ?, traces = ?, transactions = ?, state = ? WHERE id = 1',
      ),
      pruneTransactions: sql('DELETE FROM transactions WHERE id <= ?'),
      pruneTraces: sql('DELETE FROM traces WHERE open = 0 AND id NOT IN (SELECT trace FROM transactions) AND id <= ?'),
    }
  }

  /** Global id and configuration of the chain in this file, undefined when the file is new. */
  identity(): { globalId: number; config: string } | undefined {
    return this.#db.prepare('SELECT globalId, config FROM head WHERE id = 1').get() as
      | { globalId: number; config: string }
      | undefined
  }

  create(globalId: number, config: string, head: Head): void {
    this.#db
      .prepare('INSERT INTO head VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .run(head.block, head.lt, head.time, head.ahead, head.traces, head.transactions, head.state, globalId, config)
  }

  head(): Head {
    const statement = this.#db.prepare(
      'SELECT block, lt, time, ahead, traces, transactions, state FROM head WHERE id = 1',
    )
    statement.setReadBigInts(true)
    const row = statement.get() as Record<string, bigint> & { state: Uint8Array }
    const number = (name: string) => Number(row[name])
    return {
      block: number('block'),
      lt: row.lt as bigint,
      time: number('time'),
      ahead: number('ahead'),
      traces: number('traces'),
      transactions: number('transactions'),
      state: Buffer.from(row.state),
    }
  }

  queue(): QueuedMessage[] {
    const rows = this.#db.prepare('SELECT trace, boc FROM queue ORDER BY position').all() as {
      trace: number
      boc: Uint8Array
    }[]
    return rows.map(({ trace, boc }) => ({ trace, boc: Buffer.from(boc) }))
  }

  openTraces(): TraceRow[] {
    return (this.#db.prepare('SELECT id, hash, open FROM traces WHERE open > 0').all() as unknown as TraceRow[]).map(
      (row) => ({
        ...row,
        hash: Buffer.from(row.hash),
      }),
    )
  }

  account(address: string): string | undefined {
    return (this.#sql.account.get(address) as { shard: string } | undefined)?.shard
  }

  accounts(): number {
    return (this.#db.prepare('SELECT count(*) AS n FROM accounts').get() as { n: number }).n
  }

  /** Transactions of an account, newest first, older than `before`. */
  transactions(address: string, limit: number, before: bigint): Buffer[] {
    const rows = this.#db
      .prepare('SELECT boc FROM transactions WHERE address = ? AND lt < ? ORDER BY lt DESC LIMIT ?')
      .all(address, before, limit) as { boc: Uint8Array }[]
    return rows.map(({ boc }) => Buffer.from(boc))
  }

  /** A trace by its message's hash, the newest of that hash. */
  trace(hash: Buffer): TraceRow | undefined {
    return this.#db.prepare('SELECT id, hash, open FROM traces WHERE hash = ? ORDER BY id DESC LIMIT 1').get(hash) as
      | TraceRow
      | undefined
  }

  transactionsOfTrace(trace: number, limit: number): Buffer[] {
    const rows = this.#db
      .prepare('SELECT boc FROM transactions WHERE trace = ? ORDER BY id LIMIT ?')
      .all(trace, limit) as { boc: Uint8Array }[]
    return rows.map(({ boc }) => Buffer.from(boc))
  }

  /** Writes a block; when it returns, it is on the disk. */
  commit({ accounts, queue, transactions, traces, head }: BlockWrite): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      for (const [address, shard] of accounts) this.#sql.putAccount.run(address, shard)
      this.#sql.clearQueue.run()
      for (const [position, { trace, boc }] of queue.entries()) this.#sql.enqueue.run(position, trace, boc)
      let id = head.transactions - transactions.length
      for (const { address, lt, hash, trace, boc } of transactions)
        this.#sql.putTransaction.run(++id, address, lt, hash, trace, boc)
      for (const { id: trace, hash, open } of traces) this.#sql.putTrace.run(trace, hash, open)
      this.#sql.putHead.run(head.block, head.lt, head.time, head.ahead, head.traces, head.transactions, head.state)
      if (head.transactions > this.#history && head.block % PRUNE_EVERY === 0) {
        this.#sql.pruneTransactions.run(head.transactions - this.#history)
        this.#sql.pruneTraces.run(head.traces - this.#history)
      }
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.#db.close()
  }
}

/** Blocks between two prunings of the history. */
const PRUNE_EVERY = 256
