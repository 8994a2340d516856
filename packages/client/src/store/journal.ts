import type { DatabaseSync } from 'node:sqlite'
import type { JournalStripe, PutJournal, PutStart } from '@pingo/storage'
import { CodeSchema, decode, encode, PinGoError, StripeSchema } from '@pingo/wire'
import { z } from 'zod'
import { isProcessAlive } from '../connection.ts'
import { transaction } from './database.ts'
import type { KeyBox } from './key-box.ts'

/** A put that nobody went on with for so long begins afresh: its shards are gone by then. */
const PUT_KEPT_MS = 7 * 24 * 3_600_000
const MAX_INFO_BYTES = 1 << 20

const Bytes = z.instanceof(Uint8Array)
const StartSchema = z.strictObject({
  upload: z.string(),
  key: Bytes.optional(),
  code: CodeSchema,
  isPublic: z.boolean(),
  at: z.int(),
})
const JournalStripeSchema = z.strictObject({
  content: Bytes,
  done: z.strictObject({ stripe: StripeSchema, holders: z.array(z.string().nullable()) }).optional(),
})

/** What puts of this machine remember, in the owner's database; see {@link PutJournal}. One process goes on with a put at a time. */
export class Journals {
  readonly #db: DatabaseSync
  readonly #keys: KeyBox
  readonly #own = new Set<string>()

  constructor(db: DatabaseSync, keys: KeyBox, o: { clock?: () => number } = {}) {
    this.#db = db
    this.#keys = keys
    const before = (o.clock ?? Date.now)() - PUT_KEPT_MS
    for (const { name } of db.prepare('SELECT name FROM puts WHERE at < ?').all(before)) this.drop(name as string)
  }

  /** @throws PinGoError PUT_UNDER_WAY */
  claim(name: string): PutJournal & { release(): void } {
    transaction(this.#db, () => {
      const { pid } = (this.#db.prepare('SELECT pid FROM claims WHERE name = ?').get(name) ?? {}) as { pid?: number }
      const isTaken = pid === process.pid ? this.#own.has(name) : pid !== undefined && isProcessAlive(pid)
      if (isTaken)
        throw new PinGoError('PUT_UNDER_WAY', `Process ${pid} is putting the same just now.`, {
          hint: 'Wait until it has ended, or end it.',
        })
      this.#db
        .prepare('INSERT INTO claims (name, pid) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET pid = excluded.pid')
        .run(name, process.pid)
    })
    this.#own.add(name)
    const release = () => {
      this.#own.delete(name)
      this.#db.prepare('DELETE FROM claims WHERE name = ? AND pid = ?').run(name, process.pid)
    }
    return { ...this.#journal(name), release }
  }

  /** Forgets a put. */
  drop(name: string): void {
    transaction(this.#db, () => {
      this.#db.prepare('DELETE FROM put_stripes WHERE name = ?').run(name)
      this.#db.prepare('DELETE FROM puts WHERE name = ?').run(name)
    })
  }

  #journal(name: string): PutJournal {
    const [db, keys] = [this.#db, this.#keys]
    const purpose = `put ${name}`
    return {
      read: async (): Promise<PutStart | undefined> => {
        const row = db.prepare('SELECT info FROM puts WHERE name = ?').get(name) as { info: Uint8Array } | undefined
        if (!row) return undefined
        const start = decode(StartSchema, row.info, MAX_INFO_BYTES)
        return { ...start, ...(start.key ? { key: keys.open(purpose, start.key) } : {}) }
      },
      begin: async (start) =>
        transaction(db, () => {
          this.drop(name)
          const key = start.key && keys.seal(purpose, start.key)
          db.prepare('INSERT INTO puts (name, at, info) VALUES (?, ?, ?)').run(
            name,
            start.at,
            encode({ ...start, key }),
          )
        }),
      stripe: async (index) => {
        const row = db.prepare('SELECT info FROM put_stripes WHERE name = ? AND stripe = ?').get(name, index)
        if (!row) return undefined
        const { content, done } = decode(JournalStripeSchema, row.info as Uint8Array, MAX_INFO_BYTES)
        return {
          content,
          ...(done ? { done: { ...done, holders: done.holders.map((holder) => holder ?? undefined) } } : {}),
        }
      },
      write: async (index, { content, done }: JournalStripe) => {
        const holders = done?.holders.map((holder) => holder ?? null)
        db.prepare(
          `INSERT INTO put_stripes (name, stripe, info) VALUES (?, ?, ?)
           ON CONFLICT (name, stripe) DO UPDATE SET info = excluded.info`,
        ).run(name, index, encode({ content, done: done && { stripe: done.stripe, holders } }))
      },
    }
  }
}
