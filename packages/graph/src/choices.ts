/** Attempts at giving a model another batch size before its first error stands. */
const MAX_ATTEMPTS = 200

/** Depth-first search over a sequence of choices: each attempt replays the choices up to the last one that has another way left. */
export class Choices {
  #taken: { index: number; of: number }[] = []
  #at = 0
  #attempts = 0

  /** One of n ways: the one that is due in this attempt. */
  choose = (n: number): number => {
    const taken = (this.#taken[this.#at] ??= { index: 0, of: n })
    this.#at++
    return taken.index
  }

  /** The choices of this attempt once more, for another import of the same model. */
  again(): (n: number) => number {
    let at = 0
    return () => this.#taken[at++]?.index ?? 0
  }

  /** Prepares the next attempt; false when there is none. */
  next(): boolean {
    // Choices after the error were not made in this attempt.
    this.#taken.length = this.#at
    this.#at = 0
    while (this.#taken.length && this.#taken.at(-1)!.index + 1 >= this.#taken.at(-1)!.of) this.#taken.pop()
    const last = this.#taken.at(-1)
    if (!last || ++this.#attempts >= MAX_ATTEMPTS) return false
    last.index++
    return true
  }
}
