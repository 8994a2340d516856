/** A wait's end: a time, any of some signals, or by hand; whichever is first gives the reason. */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #sources: [AbortSignal, () => void][] = []

  /** @param late makes the reason when `ms` have passed */
  constructor(ms: number, late: () => Error, sources: (AbortSignal | undefined)[] = []) {
    this.#timer = setTimeout(() => this.end(late()), ms)
    for (const source of sources) {
      if (!source) continue
      if (source.aborted) this.end(source.reason)
      const listener = () => this.end(source.reason)
      source.addEventListener('abort', listener, { once: true })
      this.#sources.push([source, listener])
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  end(reason: unknown): void {
    this.#controller.abort(reason)
  }

  /** Lets go of the timer and of the signals that were watched. */
  clear(): void {
    clearTimeout(this.#timer)
    for (const [source, listener] of this.#sources) source.removeEventListener('abort', listener)
  }

  /** Settles as `work`, or rejects with the reason when the deadline ends first. */
  async race<T>(work: Promise<T>): Promise<T> {
    const { signal } = this
    signal.throwIfAborted()
    const ended = Promise.withResolvers<never>()
    const listener = () => ended.reject(signal.reason)
    signal.addEventListener('abort', listener, { once: true })
    try {
      return await Promise.race([work, ended.promise])
    } finally {
      signal.removeEventListener('abort', listener)
    }
  }
}
