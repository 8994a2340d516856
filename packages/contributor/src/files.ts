import { type BlockStore, FileStore, fetchFile, type Source } from '@pingo/storage'
import { type FileRef, isPinGoError } from '@pingo/wire'

/** Files by CID: from the disk cache, else fetched from the fog node, every chunk verified. */
export class Files {
  readonly #blocks: BlockStore
  readonly #store: FileStore
  readonly #sources: () => Source[]

  constructor(blocks: BlockStore, sources: () => Source[]) {
    this.#blocks = blocks
    this.#store = new FileStore(blocks)
    this.#sources = sources
  }

  async read(ref: FileRef, signal: AbortSignal): Promise<Uint8Array> {
    try {
      await fetchFile(ref, this.#sources(), this.#blocks, { signal })
    } catch (error) {
      // the cache is full: what it holds can be fetched again
      if (!isPinGoError(error, 'QUOTA_EXCEEDED')) throw error
      await this.#blocks.gc({ olderThanMs: 0 })
      await fetchFile(ref, this.#sources(), this.#blocks, { signal })
    }
    return this.#store.readAll(ref.cid)
  }

  /** Drops a file that will not be wanted again. */
  async drop(ref: FileRef): Promise<void> {
    for (const cid of await this.#store.chunks(ref.cid).catch(() => [])) await this.#blocks.delete(cid)
  }
}
