/** Work on things that have keys: of each thing one piece at a time, in the order in which they came. */
export class OneByOne {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Runs `work` after what is under way for this key, whether that failed or not. */
  async run<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    const before = this.#last.get(key)
    const mine = (async () => {
      await before?.catch(() => undefined)
      return await work()
    })()
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }

  /** Waits for all that is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#last.values())
  }
}
