import type { PlainTensor } from './protocol.ts'

/** Gathered garbage of so many bytes is collected. */
const LIMIT_BYTES = 4 << 20
/** A tensor that comes in a message is read in chunks and then joined; what a run returns is as large as what it takes, about. */
const COPIES = 3

/**
 * For both ends: sees to it that what messages leave behind goes soon. It lies outside of V8's heap, which hardly counts it: 64 MB of it would gather before a
 * collection, and what the C library's heap has grown to once stays with the process.
 */
export class Leftovers {
  readonly #collect: () => void
  #bytes = 0

  /** The default wants V8's `--expose-gc`, and does nothing without. A collection of young objects takes about a millisecond. */
  constructor(collect: () => void = collectYoung) {
    this.#collect = collect
  }

  /** Tensors go or come in a message. */
  passed(tensors: Record<string, PlainTensor>): void {
    for (const { data } of Object.values(tensors)) this.#bytes += COPIES * data.byteLength
    if (this.#bytes < LIMIT_BYTES) return
    this.#bytes = 0
    this.#collect()
  }
}

const collectYoung = (): void => {
  const gc = globalThis.gc as ((options: object) => void) | undefined
  gc?.({ type: 'minor', execution: 'sync' })
}
