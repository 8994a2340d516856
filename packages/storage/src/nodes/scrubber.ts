import { setTimeout as sleep } from 'node:timers/promises'
import { type CID, isPinGoError } from '@pingo/wire'
import type { BlockStore } from '../blocks/block-store.ts'
import { cidOfKey } from '../blocks/key.ts'
import type { GroupedDatabase } from './database.ts'

export const SCRUB_SCHEMA = `
CREATE TABLE IF NOT EXISTS scrub (one INTEGER PRIMARY KEY CHECK (one = 1), after TEXT NOT NULL, began_at INTEGER NOT NULL,
  rounds INTEGER NOT NULL) STRICT;
`

/** A terabyte in a month takes 400 KB/s; ten times as much leaves room for larger disks and is nothing to any of them. */
const BYTES_PER_SECOND = 4 << 20
/** Where it is, is noted after so many bytes. */
const NOTED_BYTES = 64 << 20
/** One round through all blocks takes this long at least: data that lie still do not decay faster. */
const ROUND_MS = 7 * 86_400_000
const NAP_MS = 60_000

export interface ScrubberOptions {
  blocks: BlockStore
  db: GroupedDatabase
  clock: () => number
  /** True for a block (sha2-256 in hex) that should be here. */
  isWanted: (key: string) => boolean
  /** Bytes read in a second at most. 4 MiB by default. */
  bytesPerSecond?: number
  /** A round begins this long after the last one began. A week by default. */
  roundMs?: number
  /** Told of each block that was damaged; it is dropped already. */
  onCorrupt?: (cid: CID) => void
}

/**
 * Reads all blocks once in a while, slowly, so that damage is found before the copy is needed: the store drops what does not hash to
 * its name, and the object's caretakers bring it back. Goes on where it was after a restart.
 */
export class Scrubber {
  readonly #o: ScrubberOptions
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(o: ScrubberOptions) {
    this.#o = o
  }

  start(): void {
    this.#running ??= this.#run().catch(() => undefined) // ends with the process or by close()
  }

  /** Where it is. */
  state(): { after: string; beganAt: number; rounds: number } {
    const row = this.#o.db.get<{ after: string; began_at: number; rounds: number }>('SELECT * FROM scrub')
    return { after: row?.after ?? '', beganAt: row?.began_at ?? 0, rounds: row?.rounds ?? 0 }
  }

  /** One round from where it is to the end. @returns how many blocks were damaged */
  async round(): Promise<number> {
    const { blocks, clock, isWanted, onCorrupt, bytesPerSecond = BYTES_PER_SECOND } = this.#o
    const state = this.state()
    if (state.after === '') state.beganAt = clock()
    let corrupt = 0
    let unnoted = 0
    for (const { key, bytes } of blocks.entries(state.after)) {
      this.#stopping.signal.throwIfAborted()
      const began = performance.now()
      const cid = cidOfKey(key)
      await blocks.get(cid).catch((error) => {
        if (isPinGoError(error, 'STORE_CLOSED')) throw error
        if (!isWanted(key)) return // collected meanwhile
        corrupt += 1
        onCorrupt?.(cid)
      })
      unnoted += bytes
      if (unnoted >= NOTED_BYTES) {
        unnoted = 0
        await this.#note({ ...state, after: key })
      }
      const wait = (bytes / bytesPerSecond) * 1_000 - (performance.now() - began)
      if (wait > 1) await sleep(wait, undefined, { signal: this.#stopping.signal, ref: false })
    }
    await this.#note({ after: '', beganAt: state.beganAt, rounds: state.rounds + 1 })
    return corrupt
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    for (;;) {
      const { after, beganAt } = this.state()
      const isDue = after !== '' || this.#o.clock() - beganAt >= (this.#o.roundMs ?? ROUND_MS)
      if (isDue) await this.round()
      await sleep(NAP_MS, undefined, { signal: this.#stopping.signal, ref: false })
    }
  }

  async #note(o: { after: string; beganAt: number; rounds: number }): Promise<void> {
    await this.#o.db.write(() =>
      this.#o.db.run('INSERT OR REPLACE INTO scrub VALUES (1, ?, ?, ?)', o.after, o.beganAt, o.rounds),
    )
  }
}
