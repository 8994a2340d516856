/** Samples per second over a sliding window, from a counter that is read now and then. */
export class Speed {
  readonly #windowMs: number
  readonly #points: { at: number; count: number }[] = []

  constructor(windowMs = 10_000) {
    this.#windowMs = windowMs
  }

  /** Notes that `count` samples in all were done at `at` (ms). A counter that falls back (a lost lease) starts the window anew. */
  note(at: number, count: number): void {
    const last = this.#points.at(-1)
    if (last && count < last.count) this.#points.length = 0
    this.#points.push({ at, count })
    while (this.#points.length > 2 && this.#points[1]!.at <= at - this.#windowMs) this.#points.shift()
  }

  /** Samples per second; 0 before there are two readings. */
  get perSecond(): number {
    const [first, last] = [this.#points[0], this.#points.at(-1)]
    if (!first || !last || last.at <= first.at) return 0
    return ((last.count - first.count) / (last.at - first.at)) * 1000
  }

  reset(): void {
    this.#points.length = 0
  }
}
