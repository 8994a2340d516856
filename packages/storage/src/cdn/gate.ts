import { PinGoError } from '@pingo/wire'

export interface Entry {
  /** Low ones come after all others, and few of them at once. May be raised while it waits. */
  isLow: boolean
}

interface Waiting {
  entry: Entry
  enter(): void
}

/** Lets so many in at once; those that somebody waits for before those that are fetched ahead. */
export class Gate {
  readonly #max: number
  readonly #maxLow: number
  readonly #maxWaiting: number
  readonly #inside = new Set<Entry>()
  readonly #waiting: Waiting[] = []

  constructor(o: { max: number; maxLow: number; maxWaiting: number }) {
    this.#max = o.max
    this.#maxLow = o.maxLow
    this.#maxWaiting = o.maxWaiting
  }

  /**
   * Resolves when it is its turn; {@link Gate.leave} must follow.
   * @throws PinGoError OVERLOADED when too many wait, or the signal's reason
   */
  async enter(entry: Entry, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#mayEnter(entry)) return void this.#inside.add(entry)
    if (this.#waiting.length >= this.#maxWaiting)
      throw new PinGoError('OVERLOADED', 'Too many blocks are being fetched already.', {
        hint: 'Ask again in a second.',
      })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting: Waiting = { entry, enter: resolve }
    const stop = () => {
      const at = this.#waiting.indexOf(waiting)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      reject(signal.reason)
    }
    signal.addEventListener('abort', stop, { once: true })
    this.#waiting.push(waiting)
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  leave(entry: Entry): void {
    if (this.#inside.delete(entry)) this.#admit()
  }

  /** Somebody waits for it now. */
  raise(entry: Entry): void {
    if (!entry.isLow) return
    entry.isLow = false
    this.#admit()
  }

  #admit(): void {
    for (;;) {
      const may = this.#waiting.filter(({ entry }) => this.#mayEnter(entry))
      const next = may.find(({ entry }) => !entry.isLow) ?? may[0]
      if (!next) return
      this.#waiting.splice(this.#waiting.indexOf(next), 1)
      this.#inside.add(next.entry)
      next.enter()
    }
  }

  #mayEnter({ isLow }: Entry): boolean {
    if (this.#inside.size >= this.#max) return false
    return !isLow || [...this.#inside].filter((entry) => entry.isLow).length < this.#maxLow
  }
}
