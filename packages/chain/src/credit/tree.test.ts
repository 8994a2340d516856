import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { Address, beginCell, Cell, Dictionary } from '@ton/core'
import fc from 'fast-check'
import { provenAmount } from './proof.ts'
import { CreditTree, MAX_AMOUNT } from './tree.ts'

/** What stands before the cells in a bag of cells of this size. */
const HEADER_BYTES = 13

/** The same tree by the dictionary of @ton/core. */
function reference(entries: readonly (readonly [Buffer, bigint])[]): Cell {
  const dictionary = Dictionary.empty(Dictionary.Keys.Buffer(32), Dictionary.Values.BigVarUint(4))
  for (const [key, amount] of entries) dictionary.set(key, amount)
  return beginCell().storeDictDirect(dictionary).endCell()
}

const key = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  // keys that share long, uniform beginnings: all three forms of labels
  fc
    .tuple(fc.constantFrom(0, 0xff), fc.integer({ min: 0, max: 32 }), fc.uint8Array({ minLength: 32, maxLength: 32 }))
    .map(([fill, length, bytes]) => bytes.map((byte, i) => (i < length ? fill : byte))),
)
const entries = fc.array(
  fc.tuple(
    key.map((bytes) => Buffer.from(bytes)),
    fc.bigInt({ min: 1n, max: MAX_AMOUNT }),
  ),
  { minLength: 1, maxLength: 24 },
)

test('the root is that of the TVM’s dictionary, built at once or entry by entry', () => {
  fc.assert(
    fc.property(entries, (list) => {
      const root = reference(list).hash().toString('hex')
      assert.equal(CreditTree.from(list).root().toString('hex'), root)
      const tree = new CreditTree()
      for (const [account, amount] of list) tree.set(account, amount)
      assert.equal(tree.root().toString('hex'), root)
      for (const [account] of list)
        assert.equal(
          tree.get(account),
          new Map(list.map(([k, v]) => [k.toString('hex'), v])).get(account.toString('hex')),
        )
    }),
    { numRuns: 300 },
  )
})

test('a proof shows the account’s amount and nothing else, also after a trip through bytes', () => {
  fc.assert(
    fc.property(entries, (list) => {
      const tree = CreditTree.from(list)
      const [account] = list[0] as [Buffer, bigint]
      const proof = Cell.fromBoc(tree.proof(account).toBoc())[0] as Cell
      assert.equal(provenAmount(proof, tree.root(), account), tree.get(account))
      const other = createHash('sha256').update(account).digest()
      assert.throws(() => provenAmount(proof, tree.root(), other), { code: 'CHAIN_PROOF' })
      assert.throws(() => provenAmount(proof, other, account), { code: 'CHAIN_PROOF', message: /another tree/ })
      assert.throws(() => tree.proof(other), { code: 'CHAIN_TREE' })
    }),
    { numRuns: 100 },
  )
})

test('a proof that was changed is refused', () => {
  const list = Array.from(
    { length: 50 },
    (_, i) => [createHash('sha256').update(`${i}`).digest(), BigInt(i + 1)] as const,
  )
  const tree = CreditTree.from(list)
  const account = list[7]?.[0] as Buffer
  // without the file's own checksum: the cells' hashes must find it
  const bytes = tree.proof(account).toBoc({ crc32: false, idx: false })
  const cells = bytes.length - HEADER_BYTES
  for (let at = HEADER_BYTES; at < bytes.length; at++) {
    const bad = Buffer.from(bytes)
    bad[at] = (bad[at] as number) ^ 0x10
    let told: bigint | undefined
    try {
      told = provenAmount(Cell.fromBoc(bad)[0] as Cell, tree.root(), account)
    } catch {}
    assert.equal(told, undefined, `byte ${at} was changed and the proof says ${told}`)
  }
  assert.ok(cells > 200)
})

test('amounts and keys out of range are refused with a sentence', () => {
  const tree = new CreditTree()
  assert.throws(() => tree.root(), { code: 'CHAIN_TREE' })
  assert.throws(() => tree.set(Buffer.alloc(32), 0n), { code: 'CHAIN_TREE' })
  assert.throws(() => tree.set(Buffer.alloc(32), MAX_AMOUNT + 1n), { code: 'CHAIN_TREE' })
  assert.throws(() => tree.set(Buffer.alloc(31), 1n), { code: 'CHAIN_TREE' })
  assert.throws(() => tree.set(new Address(-1, Buffer.alloc(32)), 1n), { code: 'CHAIN_WORKCHAIN' })
})
