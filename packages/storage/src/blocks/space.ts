import { PinGoError } from '@pingo/wire'
import { diskFull } from './disk.ts'

/** Free space is asked for again after this many written bytes. */
const FREE_SPACE_CHECK_BYTES = 16 << 20

export interface SpaceOptions {
  folder: string
  quotaBytes: number
  /** Counted for each block beside its bytes. */
  overheadBytes: number
  minFreeBytes: number
  stored: () => { blocks: number; bytes: number }
  /** Bytes that the disk has left. */
  free: () => Promise<number>
}

/**
 * The room that a store may take: its quota, of which also counts what is being written and what is not removed yet, so that no race takes
 * more; and what has to stay free on the disk. Before it refuses, it asks whoever can remove something.
 */
export class Space {
  #o: SpaceOptions
  #busyBytes = 0
  #uncheckedBytes = Number.POSITIVE_INFINITY
  /** Removes at least so many bytes, if it can. @returns how many came free */
  makeRoom: ((bytes: number) => Promise<number>) | undefined

  constructor(o: SpaceOptions) {
    this.#o = o
  }

  /** Other limits from now on; what is over them stays until somebody removes it. */
  limit(limits: Pick<SpaceOptions, 'quotaBytes' | 'minFreeBytes'>): void {
    this.#o = { ...this.#o, ...limits }
    this.#uncheckedBytes = Number.POSITIVE_INFINITY
  }

  /** Bytes that the stored blocks, and what is under way, count for. */
  get usedBytes(): number {
    const { blocks, bytes } = this.#o.stored()
    return bytes + blocks * this.#o.overheadBytes + this.#busyBytes
  }

  /**
   * Takes the room of one more block.
   * @returns gives it back: when the block is stored and counts as such, or is not stored
   * @throws PinGoError QUOTA_EXCEEDED, DISK_FULL
   */
  async take(bytes: number): Promise<() => void> {
    const needed = bytes + this.#o.overheadBytes
    for (;;) {
      const short = this.usedBytes + needed - this.#o.quotaBytes
      if (short <= 0) break
      if (!((await this.makeRoom?.(short)) ?? 0))
        throw new PinGoError('QUOTA_EXCEEDED', `The store's quota of ${this.#o.quotaBytes} bytes is used up.`, {
          hint: 'Remove data that is not wanted any more, or raise the quota.',
        })
    }
    const giveBack = this.count(needed)
    try {
      await this.#checkFree(bytes)
      return giveBack
    } catch (error) {
      giveBack()
      throw error
    }
  }

  /** Counts bytes that are on the disk and no longer, or not yet, a block. @returns ends it */
  count(bytes: number): () => void {
    this.#busyBytes += bytes
    return () => {
      this.#busyBytes -= bytes
      bytes = 0
    }
  }

  async #checkFree(bytes: number): Promise<void> {
    const { minFreeBytes, free, folder } = this.#o
    if (minFreeBytes === 0) return
    this.#uncheckedBytes += bytes
    if (this.#uncheckedBytes < FREE_SPACE_CHECK_BYTES) return
    const short = async () => minFreeBytes - ((await free()) - bytes)
    let missing = await short()
    if (missing > 0 && (await this.makeRoom?.(missing))) missing = await short()
    if (missing > 0) throw diskFull(folder)
    this.#uncheckedBytes = 0
  }
}
