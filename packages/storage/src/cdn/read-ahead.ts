import { type CID, DAG_PB } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { readNode } from '../files/unixfs.ts'

/** Nodes of files that are remembered. */
const MAX_NODES = 512
/** Blocks ahead of the first that is read, and at most: they fill a Gbit/s over 80 ms. */
const FIRST_AHEAD = 3
const MAX_AHEAD = 12
/** How far a reader with several requests at once may jump and still read in order. */
const MAX_JUMP = MAX_AHEAD

interface Node {
  children: readonly CID[]
  root: CID
  /** The last child that was read, and how many are fetched ahead of it. */
  at: number
  ahead: number
}

/** Tells what will be read next by what was read: the siblings of a block, the more the longer somebody reads in order. */
export class ReadAhead {
  readonly #nodes = new Map<string, Node>()
  readonly #parents = new Map<string, { node: Node; index: number }>()

  knows(cid: CID): boolean {
    return this.#nodes.has(keyOf(cid))
  }

  /** The root of the file that a block is of, as far as it was seen. */
  rootOf(cid: CID): CID | undefined {
    return this.#parents.get(keyOf(cid))?.node.root ?? this.#nodes.get(keyOf(cid))?.root
  }

  /** Remembers the children of a node of a file. What is none is passed over. */
  learn(cid: CID, block: Uint8Array, root: CID): void {
    if (cid.code !== DAG_PB || this.knows(cid)) return
    let children: CID[]
    try {
      children = readNode(cid, block).children.map((child) => child.cid)
    } catch {
      return
    }
    const node: Node = { children, root, at: -1, ahead: 0 }
    this.#nodes.set(keyOf(cid), node)
    for (const [index, child] of children.entries()) this.#parents.set(keyOf(child), { node, index })
    for (const [oldest, { children }] of this.#nodes) {
      if (this.#nodes.size <= MAX_NODES) return
      this.#nodes.delete(oldest)
      for (const child of children) this.#parents.delete(keyOf(child))
    }
  }

  /** Notes that a block is read. @returns what is worth fetching now */
  next(cid: CID): { cids: readonly CID[]; root: CID } | undefined {
    const found = this.#parents.get(keyOf(cid))
    if (!found) return undefined
    const { node, index } = found
    const jump = index - node.at
    if (jump > 0 && jump <= MAX_JUMP) node.ahead = Math.min(MAX_AHEAD, Math.max(FIRST_AHEAD, 2 * node.ahead))
    else if (jump !== 0) node.ahead = 0
    node.at = index
    return { cids: node.children.slice(index + 1, index + 1 + node.ahead), root: node.root }
  }
}
