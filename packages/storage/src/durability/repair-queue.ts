/** Longest pause for bandwidth. */
const MAX_PAUSE_MS = 60_000

interface Task {
  priority: number
  order: number
  bytes: number
  run: () => Promise<void>
  settle: (error?: unknown) => void
}

/**
 * Repairs of all objects, those first that have the fewest shards to spare; of equals those that were asked first. At most
 * `parallel` run at once, and what they read and write keeps below `bytesPerSecond` on average.
 */
export class RepairQueue {
  readonly #tasks: Task[] = []
  readonly #o: { parallel: number; bytesPerSecond: number; clock: () => number; sleep: (ms: number) => Promise<void> }
  #order = 0
  #running = 0
  /** When the bytes that were started are paid for, ms since epoch. */
  #freeAt = 0

  constructor(o: {
    parallel: number
    bytesPerSecond: number
    clock: () => number
    sleep: (ms: number) => Promise<void>
  }) {
    this.#o = o
  }

  get length(): number {
    return this.#tasks.length + this.#running
  }

  /**
   * @param o.priority the lowest runs first: shards to spare
   * @param o.bytes what it will read and write
   * @returns when it ran; rejects as it does
   */
  add(o: { priority: number; bytes: number; run: () => Promise<void> }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const settle = (error?: unknown) => (error === undefined ? resolve() : reject(error))
    const task = { ...o, order: this.#order++, settle }
    const index = this.#tasks.findIndex((other) => other.priority > o.priority)
    this.#tasks.splice(index < 0 ? this.#tasks.length : index, 0, task)
    this.#next()
    return promise
  }

  #next(): void {
    if (this.#running >= this.#o.parallel || this.#tasks.length === 0) return
    this.#running++
    void this.#work().finally(() => {
      this.#running--
      this.#next()
    })
  }

  async #work(): Promise<void> {
    const wait = this.#freeAt - this.#o.clock()
    // A clock that was set back must not stop all repair.
    if (wait > 0) await this.#o.sleep(Math.min(wait, MAX_PAUSE_MS))
    // Chosen after the wait: something more urgent may have come.
    const task = this.#tasks.shift()
    if (task === undefined) return
    this.#freeAt = Math.max(this.#freeAt, this.#o.clock()) + (1_000 * task.bytes) / this.#o.bytesPerSecond
    await task.run().then(
      () => task.settle(),
      (error: unknown) => task.settle(error ?? new Error('a repair failed')),
    )
  }
}
