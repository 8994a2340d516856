import { setImmediate as nextTurn } from 'node:timers/promises'
import { type CID, DAG_CBOR, DAG_PB } from '@pingo/wire'
import type { IndexEntry } from './block-index.ts'
import { keyOf, toCid } from './key.ts'
import { linksOf } from './links.ts'

/** Blocks that are looked at before others get a turn. */
const BLOCKS_PER_TURN = 1_000

/** What a collection asks of its store. */
export interface Collected {
  roots(): Iterable<string>
  /** Grows with every pin, so that those made meanwhile are noticed. */
  pinned(): number
  has(key: string): boolean
  read(cid: CID): Promise<Uint8Array>
  /** Whether somebody keeps a block that no pin reaches. */
  isKept(key: string): boolean
  /** Removes a block when its turn comes and it still is garbage. @returns whether it did */
  remove(key: string, isGarbage: () => boolean): Promise<boolean>
}

/** Removes those of `candidates` that no pin reaches and nobody keeps. Puts and pins may go on meanwhile. */
export async function collectGarbage(
  store: Collected,
  candidates: Iterable<IndexEntry>,
): Promise<{ blocks: number; bytes: number }> {
  let reached = new Set<string>()
  let pinned: number | undefined
  const isKept = (key: string) => reached.has(key) || store.isKept(key)
  const freed = { blocks: 0, bytes: 0 }
  let looked = 0
  for (const { key, bytes } of candidates) {
    if (++looked % BLOCKS_PER_TURN === 0) await nextTurn()
    while (pinned !== store.pinned()) {
      pinned = store.pinned()
      reached = await reachable(store)
    }
    if (isKept(key)) continue
    // asked again at its turn: it may have been put again, leased or pinned while this waited
    if (!(await store.remove(key, () => !isKept(key) && pinned === store.pinned()))) continue
    freed.blocks += 1
    freed.bytes += bytes
  }
  return freed
}

/** Keys of all that the pins reach, through the links of UnixFS files and of dag-cbor blocks. */
async function reachable(store: Collected): Promise<Set<string>> {
  const reached = new Set<string>()
  for (const root of store.roots()) {
    const left: CID[] = [toCid(root)]
    for (let cid = left.pop(); cid; cid = left.pop()) {
      const key = keyOf(cid)
      if (reached.has(key)) continue
      reached.add(key)
      if ((cid.code !== DAG_PB && cid.code !== DAG_CBOR) || !store.has(key)) continue
      // a node that cannot be read links to nothing that could be found by it
      left.push(
        ...(await store.read(cid).then(
          (bytes) => linksOf(cid as CID, bytes),
          () => [],
        )),
      )
    }
  }
  return reached
}
