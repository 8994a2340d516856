import type { DatabaseSync } from 'node:sqlite'
import { askAllowance } from '@pingo/storage'
import { ALLOWANCE_TYPE, AllowanceSchema, MAX_ALLOWANCE_BYTES, PinGoError, unseal } from '@pingo/wire'
import type { Endpoint } from '../connection.ts'

/** What is asked for: as much as a fog node's owner may ever want to store there. Nodes count what is used, not what is allowed. */
const ASKED_BYTES = 2 ** 40
const ASKED_MS = 60 * 24 * 3_600_000
/** Renewed when less of its time is left. */
const RENEW_MS = 30 * 24 * 3_600_000

/**
 * The word of a fog node that an owner may store in the network. Whoever has the fog node's token gets one; it is kept, shown to every
 * node that something is stored at, and renewed in time.
 */
export class Allowances {
  readonly #db: DatabaseSync
  readonly #owner: string
  readonly #clock: () => number

  constructor(db: DatabaseSync, o: { owner: string; clock?: () => number }) {
    this.#db = db
    this.#owner = o.owner
    this.#clock = o.clock ?? Date.now
  }

  /** The sealed allowance that is good for the longest, undefined without one. */
  current(): { sealed: Uint8Array; until: number } | undefined {
    return this.#db
      .prepare('SELECT sealed, until FROM allowances WHERE owner = ? AND until > ? ORDER BY until DESC LIMIT 1')
      .get(this.#owner, this.#clock()) as { sealed: Uint8Array; until: number } | undefined
  }

  /**
   * Sees to it that there is an allowance for a while, as far as the fog node's token is known.
   * @throws PinGoError UNAUTHORIZED, SOURCE_UNREACHABLE and others, but only when there is none that is still good
   */
  async renew({ url, pin, token }: Endpoint, signal?: AbortSignal): Promise<void> {
    const current = this.current()
    if (token === undefined || (current && current.until - this.#clock() > RENEW_MS)) return
    try {
      const question = { owner: this.#owner, bytes: ASKED_BYTES, until: this.#clock() + ASKED_MS }
      const allowance = await askAllowance({ url, pin, token }, question, { signal })
      const { from, value } = await unseal(AllowanceSchema, ALLOWANCE_TYPE, allowance, MAX_ALLOWANCE_BYTES)
      if (value.owner !== this.#owner)
        throw new PinGoError('FOG_ANSWER_INVALID', `The fog node at ${url} vouched for somebody else.`)
      this.#db
        .prepare(
          `INSERT INTO allowances (node, owner, until, sealed) VALUES (?, ?, ?, ?) ON CONFLICT (node, owner)
           DO UPDATE SET until = excluded.until, sealed = excluded.sealed`,
        )
        .run(from, this.#owner, value.until, allowance)
    } catch (error) {
      if (signal?.aborted || !current) throw error // an old one serves until it ends
    }
  }
}
