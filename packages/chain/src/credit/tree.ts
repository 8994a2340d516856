import { hash as digest } from 'node:crypto'
import { PinGoError } from '@pingo/wire'
import { type Address, BitString, Cell } from '@ton/core'
import { type Bits, bitAt, commonPrefix, type Scratch, scratch, writeCoins, writeLabel } from './bits.ts'

/** Bits of a key: the hash of an account of the base workchain. */
export const KEY_BITS = 256

/** Bytes of a representation hash. */
export const HASH_BYTES = 32

/** What an account may have earned in total: TVM's coins, 120 bits. */
export const MAX_AMOUNT = 2n ** 120n - 1n

/**
 * What every account has earned so far, as the dictionary `HashmapE 256 coins` that the TVM has built in: the same root as a
 * contract would compute, byte for byte, but kept as a trie of hashes in flat arrays. A change re-hashes one path (about log2 of
 * the accounts), so that a new epoch costs what changed in it, not what exists; 100,000 accounts take some 20 MB.
 *
 * Cumulative trees (one root per epoch, a claimant proves all it ever earned): Merkle drops of Uniswap and TEP-126's use of them.
 *
 * @example
 * const tree = CreditTree.from([[alice, 10n], [bob, 20n]])
 * tree.root()           // what the distributor's owner signs for the epoch
 * tree.proof(alice)     // what alice sends with her claim
 */
export class CreditTree {
  // Nodes are numbered; a leaf has no children. Node i branches at bit `end[i]` (a leaf's is 256) and its label runs from the bit
  // after its parent's branch; the label's bits are those of any key below, `key[i]` of which is one.
  #keys: Buffer = Buffer.alloc(HASH_BYTES * 1024)
  #amounts: bigint[] = []
  #left = new Int32Array(2048)
  #right = new Int32Array(2048)
  #end = new Uint16Array(2048)
  #key = new Int32Array(2048)
  #hashes: Buffer = Buffer.alloc(HASH_BYTES * 2048)
  #depths = new Uint16Array(2048)
  #nodes = 0
  #root = -1
  readonly #out: Scratch = scratch()

  /** A tree of these accounts and amounts; hashes each cell once. */
  static from(entries: Iterable<readonly [Address | Buffer, bigint]>): CreditTree {
    const tree = new CreditTree()
    for (const [account, amount] of entries) tree.#put(keyOf(account), amount)
    tree.#hashAll()
    return tree
  }

  /** Number of accounts. */
  get size(): number {
    return this.#amounts.length
  }

  /** Hash of the dictionary's root cell, 32 bytes. @throws PinGoError CHAIN_TREE when the tree is empty: an empty dictionary has no cell. */
  root(): Buffer {
    if (this.#root < 0) throw new PinGoError('CHAIN_TREE', 'the tree is empty: nobody has earned anything yet')
    return Buffer.from(this.#hashOf(this.#root))
  }

  /** What the account has earned, 0 when it is not in the tree. */
  get(account: Address | Buffer): bigint {
    const leaf = this.#find(keyOf(account))
    return leaf < 0 ? 0n : (this.#amounts[this.#key[leaf] as number] as bigint)
  }

  /** Sets what the account has earned in total, in units. @throws PinGoError CHAIN_TREE when it is not in 1 … 2^120 − 1. */
  set(account: Address | Buffer, amount: bigint): void {
    const key = keyOf(account)
    this.#put(key, amount)
    this.#hashPath(key)
  }

  /** All accounts (key of 32 bytes) and amounts, in the order in which they came. */
  *entries(): Generator<[Buffer, bigint]> {
    for (let index = 0; index < this.size; index++)
      yield [Buffer.from(this.#keyAt(index)), this.#amounts[index] as bigint]
  }

  /**
   * The Merkle proof of an account's amount: an exotic cell of type 3 over the dictionary in which all but the account's path is
   * pruned. @throws PinGoError CHAIN_TREE when the account is not in the tree.
   */
  proof(account: Address | Buffer): Cell {
    const key = keyOf(account)
    if (this.#find(key) < 0)
      throw new PinGoError('CHAIN_TREE', 'this account is not in the tree: it has earned nothing yet')
    const path = this.#pathCell(this.#root, 0, key)
    const head = Buffer.alloc(1 + HASH_BYTES + 2)
    head[0] = 3
    this.#hashOf(this.#root).copy(head, 1)
    head.writeUInt16BE(this.#depths[this.#root] as number, 1 + HASH_BYTES)
    return new Cell({ exotic: true, bits: new BitString(head, 0, head.length * 8), refs: [path] })
  }

  #pathCell(node: number, start: number, key: Buffer): Cell {
    const bits = this.#bitsOf(node, start)
    const own = new BitString(Buffer.from(bits.bytes.subarray(0, Math.ceil(bits.length / 8))), 0, bits.length)
    if (this.#isLeaf(node)) return new Cell({ bits: own })
    const end = this.#end[node] as number
    const right = bitAt(key, end) === 1
    const next = this.#pathCell((right ? this.#right : this.#left)[node] as number, end + 1, key)
    const pruned = this.#pruned((right ? this.#left : this.#right)[node] as number)
    return new Cell({ bits: own, refs: right ? [pruned, next] : [next, pruned] })
  }

  #pruned(node: number): Cell {
    const bytes = Buffer.alloc(2 + HASH_BYTES + 2)
    bytes[0] = 1
    bytes[1] = 1
    this.#hashOf(node).copy(bytes, 2)
    bytes.writeUInt16BE(this.#depths[node] as number, 2 + HASH_BYTES)
    return new Cell({ exotic: true, bits: new BitString(bytes, 0, bytes.length * 8) })
  }

  #find(key: Buffer): number {
    let node = this.#root
    while (node >= 0 && !this.#isLeaf(node)) {
      node = (bitAt(key, this.#end[node] as number) ? this.#right : this.#left)[node] as number
    }
    return node >= 0 && this.#keyAt(this.#key[node] as number).equals(key) ? node : -1
  }

  /** Puts the amount in; hashes are stale until `#hashPath` or `#hashAll`. */
  #put(key: Buffer, amount: bigint): void {
    if (amount <= 0n || amount > MAX_AMOUNT) {
      throw new PinGoError('CHAIN_TREE', `an amount of ${amount} can't stand in the tree: it takes 1 to 2^120 − 1`)
    }
    if (this.#root < 0) {
      this.#root = this.#leaf(key, amount)
      return
    }
    let near = this.#root
    while (!this.#isLeaf(near))
      near = (bitAt(key, this.#end[near] as number) ? this.#right : this.#left)[near] as number
    const split = commonPrefix(key, this.#keyAt(this.#key[near] as number))
    if (split === KEY_BITS) {
      this.#amounts[this.#key[near] as number] = amount
      return
    }
    // the new branch stands above the first node that branches later than the keys differ
    let parent = -1
    let node = this.#root
    while ((this.#end[node] as number) < split) {
      parent = node
      node = (bitAt(key, this.#end[node] as number) ? this.#right : this.#left)[node] as number
    }
    const leaf = this.#leaf(key, amount)
    const right = bitAt(key, split) === 1
    const fork = this.#node(split, this.#key[leaf] as number, right ? node : leaf, right ? leaf : node)
    if (parent < 0) this.#root = fork
    else if (bitAt(key, this.#end[parent] as number)) this.#right[parent] = fork
    else this.#left[parent] = fork
  }

  #leaf(key: Buffer, amount: bigint): number {
    const index = this.#amounts.length
    if ((index + 1) * HASH_BYTES > this.#keys.length) this.#keys = doubled(this.#keys)
    key.copy(this.#keys, index * HASH_BYTES)
    this.#amounts.push(amount)
    return this.#node(KEY_BITS, index, -1, -1)
  }

  #node(end: number, key: number, left: number, right: number): number {
    const node = this.#nodes++
    if (node >= this.#end.length) this.#grow()
    this.#end[node] = end
    this.#key[node] = key
    this.#left[node] = left
    this.#right[node] = right
    return node
  }

  #grow(): void {
    const larger = <T extends Int32Array | Uint16Array>(from: T): T => {
      const to = new (from.constructor as new (length: number) => T)(from.length * 2)
      to.set(from)
      return to
    }
    this.#left = larger(this.#left)
    this.#right = larger(this.#right)
    this.#end = larger(this.#end)
    this.#key = larger(this.#key)
    this.#depths = larger(this.#depths)
    this.#hashes = doubled(this.#hashes)
  }

  #hashAll(): void {
    const visit = (node: number, start: number): void => {
      if (!this.#isLeaf(node)) {
        visit(this.#left[node] as number, (this.#end[node] as number) + 1)
        visit(this.#right[node] as number, (this.#end[node] as number) + 1)
      }
      this.#hash(node, start)
    }
    if (this.#root >= 0) visit(this.#root, 0)
  }

  /** Hashes again from the account's leaf to the root, and the sibling that a new branch gave a shorter label. */
  #hashPath(key: Buffer): void {
    const path: [node: number, start: number][] = []
    let node = this.#root
    let start = 0
    while (true) {
      path.push([node, start])
      if (this.#isLeaf(node)) break
      start = (this.#end[node] as number) + 1
      node = (bitAt(key, start - 1) ? this.#right : this.#left)[node] as number
    }
    const above = path.at(-2)
    if (above) {
      const [fork] = above
      const sibling = (bitAt(key, this.#end[fork] as number) ? this.#left : this.#right)[fork] as number
      this.#hash(sibling, (this.#end[fork] as number) + 1)
    }
    for (const [each, from] of path.reverse()) this.#hash(each, from)
  }

  /** The bits of a node's cell: its label, and a leaf's amount. Valid until the next call. */
  #bitsOf(node: number, start: number): Bits {
    const out = this.#out.begin()
    const end = this.#end[node] as number
    writeLabel(out, this.#keyAt(this.#key[node] as number), start, end, KEY_BITS - start)
    if (this.#isLeaf(node)) writeCoins(out, this.#amounts[this.#key[node] as number] as bigint)
    return out
  }

  /** Representation hash of a node's cell (TVM white paper, 3.1.5). */
  #hash(node: number, start: number): void {
    this.#bitsOf(node, start)
    const refs = this.#isLeaf(node) ? 0 : 2
    let at = this.#out.close(refs)
    const bytes = this.#out.cell
    let depth = 0
    if (refs > 0) {
      const children = [this.#left[node] as number, this.#right[node] as number]
      for (const child of children) {
        const below = this.#depths[child] as number
        depth = Math.max(depth, below + 1)
        bytes.writeUInt16BE(below, at)
        at += 2
      }
      for (const child of children) at += this.#hashOf(child).copy(bytes, at)
    }
    this.#depths[node] = depth
    digest('sha256', bytes.subarray(0, at), 'buffer').copy(this.#hashes, node * HASH_BYTES)
  }

  #isLeaf(node: number): boolean {
    return (this.#left[node] as number) < 0
  }

  #keyAt(index: number): Buffer {
    return this.#keys.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES)
  }

  #hashOf(node: number): Buffer {
    return this.#hashes.subarray(node * HASH_BYTES, (node + 1) * HASH_BYTES)
  }
}

function doubled(from: Buffer): Buffer {
  const to = Buffer.alloc(from.length * 2)
  from.copy(to)
  return to
}

/** The key of an account. @throws PinGoError CHAIN_WORKCHAIN outside the base workchain, where a hash alone says too little. */
export function keyOf(account: Address | Buffer): Buffer {
  if (Buffer.isBuffer(account)) {
    if (account.length !== HASH_BYTES) throw new PinGoError('CHAIN_TREE', 'the key of an account has 32 bytes')
    return account
  }
  if (account.workChain !== 0) throw new PinGoError('CHAIN_WORKCHAIN', `${account} is not in the base workchain`)
  return account.hash
}
