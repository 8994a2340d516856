import { MAX_NODES } from '@pingo/wire'
import type { GroupedDatabase } from './database.ts'

/** A node that was once proven is remembered so long after it was heard of last. */
const REMEMBERED_MS = 30 * 24 * 3_600_000
/** That it still lives is noted this often. */
const NOTED_MS = 10 * 60_000

export const KNOWN_SCHEMA = `
CREATE TABLE IF NOT EXISTS known_nodes (peer_id TEXT PRIMARY KEY, sealed BLOB NOT NULL, heard_at INTEGER NOT NULL) STRICT;
`

/** The fog nodes that proved themselves here, also before a restart, and those that are silent for now. */
export class KnownNodes {
  readonly #db: GroupedDatabase
  readonly #clock: () => number
  readonly #heard: Map<string, number>

  constructor(db: GroupedDatabase, clock: () => number) {
    this.#db = db
    this.#clock = clock
    const rows = db.all<{ peer_id: string; heard_at: number }>('SELECT peer_id, heard_at FROM known_nodes')
    this.#heard = new Map(rows.map(({ peer_id, heard_at }) => [peer_id, heard_at]))
  }

  has(peerId: string): boolean {
    return this.#clock() - (this.#heard.get(peerId) ?? Number.NEGATIVE_INFINITY) < REMEMBERED_MS
  }

  /** Their last sealed records, the last heard first. */
  records(): Uint8Array[] {
    return this.#db
      .all<{ sealed: Uint8Array }>('SELECT sealed FROM known_nodes ORDER BY heard_at DESC LIMIT ?', MAX_NODES)
      .map(({ sealed }) => sealed)
  }

  /** Notes that a node was heard of. */
  async note(peerId: string, sealed: Uint8Array): Promise<void> {
    const now = this.#clock()
    if (now - (this.#heard.get(peerId) ?? 0) < NOTED_MS) return
    this.#heard.set(peerId, now)
    await this.#db.write(() => {
      this.#db.run('INSERT OR REPLACE INTO known_nodes VALUES (?, ?, ?)', peerId, sealed, now)
      if (this.#heard.size <= MAX_NODES) return
      for (const { peer_id } of this.#db.all<{ peer_id: string }>(
        'DELETE FROM known_nodes WHERE heard_at <= ? OR peer_id IN (SELECT peer_id FROM known_nodes ORDER BY heard_at LIMIT 1) RETURNING peer_id',
        now - REMEMBERED_MS,
      ))
        this.#heard.delete(peer_id)
    })
  }
}
