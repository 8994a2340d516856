import { type CID, matchesCid, RAW } from '@pingo/wire'
import { readNode } from '../files/unixfs.ts'
import { CHUNK_BYTES } from '../limits.ts'
import { fetchSplit } from './fetch-split.ts'
import type { HttpPool, Source } from './http-client.ts'

/** Leaves that wait to be asked for: a MiB each at most. */
const MAX_LEAVES = 8

/**
 * First leaves of files, fetched before their CIDs are known. Who asks for a file's root over a long link asks for its first leaf next: the
 * first MiB of the file comes meanwhile, and saves the round trip in which the root tells the leaf's CID.
 */
export class EarlyLeaves {
  readonly #leaves = new Map<string, Promise<Uint8Array | undefined>>()

  /**
   * The root is on its way: asks its source for the first bytes of the file, which tells them when it has them on its own disk.
   * @returns to be called with the root, or with nothing when it did not come
   */
  fetch(
    source: Source,
    root: CID,
    o: { deadlineMs: number; idleMs?: number; pool: HttpPool },
  ): (block?: Uint8Array) => void {
    const stop = new AbortController()
    const bytes = fetchSplit(source, `/ipfs/${root}`, {
      ...o,
      headers: { 'cache-control': 'only-if-cached' },
      maxBytes: CHUNK_BYTES,
      inOneFlight: true,
      signal: stop.signal,
    }).catch(() => undefined)
    return (block) => {
      if (!block) return stop.abort()
      const leaf = firstLeaf(root, block)
      if (!leaf) return
      this.#leaves.set(
        nameOf(source, leaf.cid),
        bytes.then((bytes) => {
          if (!bytes || bytes.byteLength < leaf.bytes) return undefined
          const own = bytes.byteLength === leaf.bytes ? bytes : bytes.slice(0, leaf.bytes)
          return matchesCid(leaf.cid, own) ? own : undefined
        }),
      )
      for (const oldest of this.#leaves.keys()) if (this.#leaves.size > MAX_LEAVES) this.#leaves.delete(oldest)
    }
  }

  /** A leaf that is on its way from there, once. Resolves with its bytes, checked; with undefined when it has to be asked for. */
  take(source: Source, cid: CID): Promise<Uint8Array | undefined> | undefined {
    if (cid.code !== RAW) return undefined
    const name = nameOf(source, cid)
    const leaf = this.#leaves.get(name)
    this.#leaves.delete(name)
    return leaf
  }

  clear(): void {
    this.#leaves.clear()
  }
}

const nameOf = (source: Source, cid: CID) => `${source.url} ${source.pin ?? ''} ${cid}`

/** The first leaf of a file that is a node's child; none of a directory, nor of a tree that is deeper. */
function firstLeaf(root: CID, block: Uint8Array): { cid: CID; bytes: number } | undefined {
  try {
    const { children, data } = readNode(root, block)
    return data.byteLength === 0 && children[0]?.cid.code === RAW ? children[0] : undefined
  } catch {
    return undefined
  }
}
