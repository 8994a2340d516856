import type { Source } from './http-client.ts'

/** How long it is remembered: links change, and a machine that was busy looks like one. */
const NARROW_MS = 10 * 60_000
const MAX_SOURCES = 256

/** Sources from which much at once does not come whole, since a link on the way is too narrow for it. */
export class NarrowLinks {
  readonly #until = new Map<string, number>()
  readonly #now: () => number

  /** @param now ms, of any beginning */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  has(source: Source): boolean {
    return (this.#until.get(source.url) ?? 0) > this.#now()
  }

  add(source: Source): void {
    this.#until.delete(source.url)
    this.#until.set(source.url, this.#now() + NARROW_MS)
    if (this.#until.size > MAX_SOURCES) this.#until.delete(this.#until.keys().next().value!)
  }
}
