/** So long nothing is done before memory is given back, and so long at least lies between two times; milliseconds. */
const QUIET_MS = 3_000
const APART_MS = 15_000
const APART_BUSY_MS = 60_000
/** Growth since the last time from which on it pays. */
const GROWTH_BYTES = 4e6

/** What it needs of the process. */
export interface Heap {
  rss(): number
  collect(): void
}

/**
 * Gives the owner back what the start, a lease or a challenge has left in the heap: V8 keeps it as long as nobody needs it. It costs about a
 * tenth of a second, so it is done when the process has grown, in quiet moments and seldom while there is work.
 */
export class GiveBack {
  readonly #heap: Heap
  #after = 0
  #quietSince: number | undefined
  #last = Number.NEGATIVE_INFINITY

  /** The default wants V8's `--expose-gc`, and does nothing without. */
  constructor(heap: Heap = OWN) {
    this.#heap = heap
  }

  /** Is told again and again whether anything is done, and when; milliseconds. */
  look(isBusy: boolean, now: number): void {
    this.#quietSince = isBusy ? undefined : (this.#quietSince ?? now)
    if (this.#quietSince !== undefined && now - this.#quietSince < QUIET_MS) return
    if (now - this.#last < (isBusy ? APART_BUSY_MS : APART_MS)) return
    if (this.#heap.rss() < this.#after + GROWTH_BYTES) return
    this.#heap.collect()
    this.#last = now
    this.#after = this.#heap.rss()
  }
}

const OWN: Heap = {
  rss: () => process.memoryUsage.rss(),
  // 'last-resort' also drops compiled code that is seldom run, and joins what is left in fewer pages
  collect() {
    const gc = globalThis.gc as ((options: object) => void) | undefined
    gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  },
}
