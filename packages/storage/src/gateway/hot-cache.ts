/** Keys that are remembered although their block is not kept. */
const MAX_GHOSTS = 20_000

/**
 * The blocks that are asked for more than once, in memory: a block is kept from its second read on, since most are read once;
 * the one unused for longest goes first.
 */
export class HotCache {
  readonly #maxBytes: number
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #ghosts = new Set<string>()
  readonly #loading = new Map<string, Promise<Uint8Array>>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The block from memory, or by `load`, which runs once for all who ask meanwhile. */
  get(key: string, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const kept = this.#blocks.get(key)
    if (kept) {
      this.#blocks.delete(key)
      this.#blocks.set(key, kept)
      return Promise.resolve(kept)
    }
    const under = this.#loading.get(key)
    if (under) return under
    const loading = load()
      .then((block) => {
        this.#admit(key, block)
        return block
      })
      .finally(() => this.#loading.delete(key))
    this.#loading.set(key, loading)
    return loading
  }

  #admit(key: string, block: Uint8Array): void {
    if (!this.#ghosts.delete(key)) {
      this.#ghosts.add(key)
      if (this.#ghosts.size > MAX_GHOSTS) this.#ghosts.delete(this.#ghosts.keys().next().value!)
      return
    }
    if (block.byteLength > this.#maxBytes) return
    this.#blocks.set(key, block)
    this.#bytes += block.byteLength
    for (const [oldest, { byteLength }] of this.#blocks) {
      if (this.#bytes <= this.#maxBytes) return
      this.#blocks.delete(oldest)
      this.#bytes -= byteLength
    }
  }
}
