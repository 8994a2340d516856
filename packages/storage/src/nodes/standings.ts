import { z } from 'zod'
import type { Standing, StandingStore } from '../durability/reputation.ts'
import type { GroupedDatabase } from './database.ts'

export const STANDINGS_SCHEMA = `
CREATE TABLE IF NOT EXISTS standings (peer_id TEXT PRIMARY KEY, standing TEXT NOT NULL) STRICT, WITHOUT ROWID;
`

const StandingSchema = z.strictObject({
  state: z.enum(['new', 'vetted', 'contained', 'ejected']),
  alpha: z.number(),
  beta: z.number(),
  audits: z.int(),
  clean: z.int(),
  failedInRow: z.int(),
  retries: z.int(),
  retryAt: z.int(),
}) satisfies z.ZodType<Standing>

/** What this node thinks of the others, over restarts. */
export class SqliteStandings implements StandingStore {
  readonly #db: GroupedDatabase

  constructor(db: GroupedDatabase) {
    this.#db = db
  }

  load(): [peerId: string, Standing][] {
    return this.#db
      .all<{ peer_id: string; standing: string }>('SELECT peer_id, standing FROM standings')
      .flatMap(({ peer_id, standing }) => {
        const { data } = StandingSchema.safeParse(JSON.parse(standing))
        return data ? [[peer_id, data]] : []
      })
  }

  save(peerId: string, standing: Standing): void {
    this.#db
      .write(() => this.#db.run('INSERT OR REPLACE INTO standings VALUES (?, ?)', peerId, JSON.stringify(standing)))
      .catch(() => undefined) // a full disk: it is judged anew after a restart
  }
}
