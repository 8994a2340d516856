import { type Identity, NODE_RECORD_TYPE, type NodeRecord, seal } from '@pingo/wire'

/** A node that had no room says so for a while, instead of refusing every chunk anew. */
const FULL_BACK_OFF_MS = 60_000
/** A record of the node is told for so long before it is signed anew. */
const RECORD_MS = 30_000

/** What a node tells of itself, beside what it measures. */
export type NodeSettings = Pick<NodeRecord, 'url' | 'pin' | 'multiaddrs' | 'region' | 'domain' | 'price' | 'state'>

export interface OwnRecordOptions {
  identity: Identity
  settings: NodeSettings
  /** Bytes that chunks may take. */
  quotaBytes: number
  /** Bytes that they take. */
  usedBytes: () => number
  /** ms since epoch. */
  clock: () => number
}

/** What a node tells of itself, signed. */
export class OwnRecord {
  readonly #o: OwnRecordOptions
  #settings: NodeSettings
  #fullUntil = 0
  #sequence = 0
  #last: { sealed: Promise<Uint8Array>; at: number; isFull: boolean } | undefined

  constructor(o: OwnRecordOptions) {
    this.#o = o
    this.#settings = o.settings
  }

  get settings(): Readonly<NodeSettings> {
    return this.#settings
  }

  /** Changes what is told: that the node leaves, its price. */
  set(settings: Partial<NodeSettings>): void {
    this.#settings = { ...this.#settings, ...settings }
    this.#last = undefined
  }

  /** There was no room for a chunk. */
  full(): void {
    this.#fullUntil = this.#o.clock() + FULL_BACK_OFF_MS
  }

  /** Signed anew after a while, or when the node filled up. */
  sealed(): Promise<Uint8Array> {
    const now = this.#o.clock()
    const isFull = now < this.#fullUntil
    const last = this.#last
    if (last && last.isFull === isFull && now >= last.at && now - last.at < RECORD_MS) return last.sealed
    this.#sequence = Math.max(this.#sequence + 1, now) // grows over restarts, as clocks do
    const left = Math.max(0, this.#o.quotaBytes - this.#o.usedBytes())
    const sealed = seal(this.#o.identity, NODE_RECORD_TYPE, {
      ...this.#settings,
      peerId: this.#o.identity.peerId,
      capacityBytes: this.#o.quotaBytes,
      freeBytes: isFull ? 0 : left,
      sequence: this.#sequence,
      at: now,
    } satisfies NodeRecord)
    this.#last = { sealed, at: now, isFull }
    return sealed
  }
}
