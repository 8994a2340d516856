import type { TypedArray } from '@pingo/wire'

interface Page {
  buffer: Uint8Array
  rows: Promise<TypedArray>
  /** Who waits for it or reads it: meanwhile its memory is not given to another. */
  users: number
}

/**
 * Pages in memory of a fixed size: those used longest ago make room, and what is read next takes their place in the same memory, so that
 * reading on and on leaves no garbage. More is taken only while more is in use at once.
 */
export class PageCache {
  readonly #cacheBytes: number
  /** In the order of last use. */
  readonly #pages = new Map<number, Page>()
  #bytes = 0

  constructor(cacheBytes: number) {
    this.#cacheBytes = cacheBytes
  }

  has(number: number): boolean {
    return this.#pages.has(number)
  }

  /** Reads a page unless it is here, and lends it while `take` runs. */
  async use(
    number: number,
    bytes: number,
    read: (into: Uint8Array) => Promise<TypedArray>,
    take: (rows: TypedArray) => void = () => {},
  ): Promise<void> {
    const page = this.#pages.get(number) ?? this.#load(bytes, read)
    this.#pages.delete(number)
    this.#pages.set(number, page)
    page.users++
    try {
      take(await page.rows)
    } catch (error) {
      this.#drop(number, page)
      throw error
    } finally {
      page.users--
    }
  }

  clear(): void {
    this.#pages.clear()
    this.#bytes = 0
  }

  #load(bytes: number, read: (into: Uint8Array) => Promise<TypedArray>): Page {
    const buffer = this.#room(bytes)
    this.#bytes += buffer.byteLength
    return { buffer, rows: read(buffer.subarray(0, bytes)), users: 0 }
  }

  /** Memory for a page: of one that goes for it, where that fits. */
  #room(bytes: number): Uint8Array {
    for (const [number, page] of this.#pages) {
      if (this.#bytes + bytes <= this.#cacheBytes) break
      if (page.users > 0) continue
      this.#drop(number, page)
      if (page.buffer.byteLength >= bytes && page.buffer.byteLength <= 2 * bytes) return page.buffer
    }
    return new Uint8Array(new ArrayBuffer(bytes))
  }

  #drop(number: number, page: Page): void {
    if (this.#pages.get(number) !== page) return
    this.#pages.delete(number)
    this.#bytes -= page.buffer.byteLength
  }
}
