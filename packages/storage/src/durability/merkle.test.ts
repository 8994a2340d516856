import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { LEAF_BYTES } from '@pingo/wire'
import { leafCount, leafHash, merkleProof, merkleRoot, pathOf, rootByPath, rootOf, verifyProof } from './merkle.ts'

/** The leaves and roots of Certificate Transparency's test vectors (google/certificate-transparency, merkle_tree_test.cc). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
/** Audit paths of the same vectors: [leaf, tree size, path]. */
const PATHS: [number, number, string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
]
const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('hex')

test('roots and audit paths are those of Certificate Transparency', () => {
  const hashes = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, 'hex')))
  for (const [i, root] of ROOTS.entries()) assert.equal(hex(rootOf(hashes.slice(0, i + 1))), root)
  for (const [leaf, size, path] of PATHS) {
    assert.deepEqual(pathOf(hashes.slice(0, size), leaf).map(hex), path)
    const root = rootByPath(
      hashes[leaf]!,
      leaf,
      size,
      path.map((hash) => Buffer.from(hash, 'hex')),
    )
    assert.equal(hex(root), ROOTS[size - 1])
  }
})

/** A chunk whose leaves differ. */
function chunkOf(bytes: number): Uint8Array {
  const chunk = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i += LEAF_BYTES) chunk[i] = i / LEAF_BYTES + 1
  return chunk
}

test('every leaf of a chunk proves itself, also of an empty one and one with a short last leaf', () => {
  for (const bytes of [0, 1, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 5 * LEAF_BYTES + 7, 1 << 20]) {
    const chunk = chunkOf(bytes)
    const root = merkleRoot(chunk)
    for (let leafIndex = 0; leafIndex < leafCount(bytes); leafIndex++)
      assert.ok(verifyProof({ root, bytes, leafIndex, ...merkleProof(chunk, leafIndex) }), `${bytes}: ${leafIndex}`)
    assert.throws(() => merkleProof(chunk, leafCount(bytes)), RangeError)
  }
  const one = Buffer.concat([Uint8Array.of(0), chunkOf(9)])
  assert.equal(hex(merkleRoot(chunkOf(9))), createHash('sha256').update(one).digest('hex'))
})

test('a proof proves nothing else: another leaf, place, length, root or path is refused', () => {
  const chunk = chunkOf(11 * LEAF_BYTES + 5)
  const bytes = chunk.byteLength
  const right = { root: merkleRoot(chunk), bytes, leafIndex: 6, ...merkleProof(chunk, 6) }
  const refused = (change: Partial<typeof right>) => assert.equal(verifyProof({ ...right, ...change }), false)
  assert.ok(verifyProof(right))
  refused({ leafIndex: 5 })
  refused({ leafIndex: 12 })
  refused({ leafIndex: -1 })
  refused({ leafIndex: 1.5 })
  refused({ leaf: merkleProof(chunk, 5).leaf })
  refused({ leaf: right.leaf.subarray(1) })
  refused({ bytes: 7 * LEAF_BYTES })
  refused({ bytes: Number.NaN })
  refused({ root: merkleRoot(chunkOf(7)) })
  refused({ path: right.path.slice(1) })
  refused({ path: [...right.path, right.path[0]!] })
  refused({ path: right.path.map((hash) => hash.subarray(1)) })
  refused({ path: [...right.path].reverse() })
  // a node is no leaf: its two children as the bytes of a leaf have another hash
  const two = chunkOf(2 * LEAF_BYTES)
  const children = Buffer.concat([leafHash(two.subarray(0, LEAF_BYTES)), leafHash(two.subarray(LEAF_BYTES))])
  assert.equal(verifyProof({ root: merkleRoot(two), bytes: 64, leafIndex: 0, leaf: children, path: [] }), false)
})
