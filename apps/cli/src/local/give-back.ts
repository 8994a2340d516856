/** So long nothing is done before memory is given back, and so long at least lies between two times; milliseconds. */
const QUIET_MS = 3_000
const APART_MS = 5_000
/** At most this part of the time goes into it: one time in so many. */
const COST = 50
/** Growth since the last time from which on it pays, in quiet moments and while there is work. */
const GROWTH_BYTES = 4e6
const GROWTH_BUSY_BYTES = 12e6

/** What it needs of the process. */
export interface Heap {
  rss(): number
  /** Collects what is young: a millisecond or two. */
  collectYoung(): void
  /** Collects all there is. @returns how long it took, milliseconds. */
  collect(): number
}

/**
 * Gives the owner back what the start, a lease or a challenge has left in the heap: V8 keeps it as long as nobody needs it. It costs about a
 * tenth of a second, so it is done only when the process has grown. What came and went since the last look costs next to nothing.
 */
export class GiveBack {
  readonly #heap: Heap
  #after = 0
  #quietSince: number | undefined
  #next = 0

  /** The default wants V8's `--expose-gc`, and does nothing without. */
  constructor(heap: Heap = OWN) {
    this.#heap = heap
  }

  /** Is told again and again whether anything is done, and when; milliseconds. */
  look(isBusy: boolean, now: number): void {
    this.#quietSince = isBusy ? undefined : (this.#quietSince ?? now)
    if (isBusy && this.#heap.rss() > this.#after + GROWTH_BYTES) this.#heap.collectYoung()
    if (now < this.#next || (this.#quietSince !== undefined && now - this.#quietSince < QUIET_MS)) return
    if (this.#heap.rss() < this.#after + (isBusy ? GROWTH_BUSY_BYTES : GROWTH_BYTES)) return
    this.#next = now + Math.max(APART_MS, this.#heap.collect() * COST)
    this.#after = this.#heap.rss()
  }
}

const OWN: Heap = {
  rss: () => process.memoryUsage.rss(),
  collectYoung() {
    const gc = globalThis.gc as ((options: object) => void) | undefined
    gc?.({ type: 'minor', execution: 'sync' })
  },
  // 'last-resort' also drops compiled code that is seldom run, and joins what is left in fewer pages
  collect() {
    const gc = globalThis.gc as ((options: object) => void) | undefined
    const start = performance.now()
    gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    return performance.now() - start
  },
}
