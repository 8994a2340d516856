interface Entry {
  at: number
  order: number
  run: () => void
}

/** Virtual time: what is to happen, in order of time; at the same time in order of asking. */
export class VirtualClock {
  now = 0
  #order = 0
  readonly #heap: Entry[] = []

  after(ms: number, run: () => void): void {
    const entry = { at: this.now + Math.max(0, Math.ceil(ms)), order: this.#order++, run }
    const heap = this.#heap
    let index = heap.push(entry) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  /** Runs what is next; false when nothing is left or it is later than `until`. */
  step(until: number): boolean {
    const first = this.#heap[0]
    if (first === undefined || first.at > until) return false
    const last = this.#heap.pop()!
    if (this.#heap.length > 0) this.#sink(last)
    this.now = first.at
    first.run()
    return true
  }

  #sink(entry: Entry): void {
    const heap = this.#heap
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, entry)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = entry
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)
