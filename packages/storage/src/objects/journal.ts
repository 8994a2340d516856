import type { Code, Stripe } from '@pingo/wire'

/** How a put began. What it decides holds for every later try. */
export interface PutStart {
  /** Names the leases of its chunks until it is committed. */
  upload: string
  /** The object's key, absent of a public object. Secret: a journal on disk wraps it. */
  key?: Uint8Array
  code: Code
  isPublic: boolean
  /** ms since epoch. */
  at: number
}

/** What is known of one stripe. */
export interface JournalStripe {
  /** SHA-256 that tells what is in it, and whether it is the last. */
  content: Uint8Array
  /** Set when all its shards are stored and synced. */
  done?: { stripe: Stripe; holders: (string | undefined)[] }
}

/**
 * What a put remembers, so that the same put goes on after a crash without sending again what is stored, and never encrypts two
 * different texts with one key and nonce (with GCM that would give both away): a stripe's `content` is written before any of its
 * shards is sent, and a later try with other content begins afresh under a new key.
 *
 * Every write is durable when it resolves. The caller drops the journal after it has kept what {@link putObject} returned; until then a
 * repeated put gives the same object.
 */
export interface PutJournal {
  /** Undefined when nothing began. */
  read(): Promise<PutStart | undefined>
  /** Forgets what was there. */
  begin(start: PutStart): Promise<void>
  stripe(index: number): Promise<JournalStripe | undefined>
  write(index: number, stripe: JournalStripe): Promise<void>
}

/** A journal that ends with the process: for puts whose callers keep none, and for tests. */
export class MemoryJournal implements PutJournal {
  #start: PutStart | undefined
  readonly #stripes = new Map<number, JournalStripe>()

  async read(): Promise<PutStart | undefined> {
    return this.#start
  }

  async begin(start: PutStart): Promise<void> {
    this.#start = start
    this.#stripes.clear()
  }

  async stripe(index: number): Promise<JournalStripe | undefined> {
    return this.#stripes.get(index)
  }

  async write(index: number, stripe: JournalStripe): Promise<void> {
    this.#stripes.set(index, stripe)
  }
}
