import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { CID, cidOf, DAG_PB } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'
import { toCid } from '../blocks/key.ts'
import { readFolder, resolvePath } from './folder.ts'
import { PbNode } from './pb-node.ts'

/** What `@ipld/dag-pb` makes of a block, with sha2-256 CIDs alone; undefined when it refuses it. */
function known(block: Uint8Array) {
  try {
    const { Data, Links } = dagPb.decode(block)
    const links = Links.map(({ Hash, Name = '', Tsize = 0 }) => [toCid(Hash).toString(), Name, Tsize])
    // it also takes a CID of version 0 that says so, which no CID does
    for (const { Hash } of Links) assert.ok(Buffer.from(block).includes(Buffer.from([Hash.byteLength, ...Hash.bytes])))
    return { data: Data && Buffer.from(Data).toString('hex'), links }
  } catch {
    return undefined
  }
}
function ours(block: Uint8Array) {
  try {
    const node = new PbNode(block)
    const links = Array.from({ length: node.length }, (_, n) => [node.cid(n).toString(), node.name(n), node.bytes(n)])
    return { data: node.data && Buffer.from(node.data).toString('hex'), links }
  } catch {
    return undefined
  }
}
/** A generator of numbers below a bound, by a seed. */
function seeded(seed: number) {
  let state = seed
  return (bound: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}
const names = ['', 'a', 'file.txt', 'Grüße', '😀', '00', 'x'.repeat(300)]

function someNode(draw: (bound: number) => number): Uint8Array {
  const Links = Array.from({ length: draw(6) }, (_, n) => {
    const v1 = cidOf(Buffer.from([n, draw(256)]), draw(2) ? DAG_PB : 0x55)
    const Hash = v1.code === DAG_PB && draw(2) ? CID.createV0(v1.multihash as never) : v1
    return { Hash, Name: names[draw(names.length)]!, Tsize: [0, 1, 2 ** 31, 2 ** 45][draw(4)]! }
  })
  return dagPb.encode(
    dagPb.prepare({ ...(draw(4) ? { Data: Buffer.alloc(draw(40), draw(256)) } : {}), Links: Links as never }),
  )
}

describe('a dag-pb node', () => {
  it('is read as @ipld/dag-pb reads it', () => {
    const draw = seeded(1)
    for (let n = 0; n < 300; n++) {
      const block = someNode(draw)
      assert.ok(known(block))
      assert.deepEqual(ours(block), known(block))
    }
    assert.deepEqual(ours(new Uint8Array(0)), { data: undefined, links: [] })
  })

  it('that is damaged is refused or read as it does', () => {
    const draw = seeded(2)
    let [refused, taken] = [0, 0]
    for (let n = 0; n < 4_000; n++) {
      const block = Buffer.from(someNode(draw))
      if (block.byteLength === 0) continue
      const at = draw(Math.min(block.byteLength, 60))
      const damaged = draw(3) === 0 ? block.subarray(0, at) : block
      if (damaged === block) block[at] = draw(2) ? block[at]! ^ (1 << draw(8)) : draw(16)
      const expected = known(damaged)
      // names that are no UTF-8 are taken by both, and shown as the same text
      assert.deepEqual(ours(damaged), expected, damaged.toString('hex'))
      if (expected) taken += 1
      else refused += 1
    }
    assert.ok(refused > 500 && taken > 500, `${refused} refused, ${taken} taken`)
  })

  it('finds the first link of a name, and no other', () => {
    const cids = ['a', 'b', 'c'].map((text) => cidOf(Buffer.from(text)))
    const Links = ['one', 'two', 'two', 'Grüße', ''].map((Name, n) => ({ Hash: cids[n % 3], Name, Tsize: n }))
    const node = new PbNode(dagPb.encode(dagPb.prepare({ Data: new Uint8Array(0), Links: Links as never })))
    const at = (name: string) => node.name(node.find(name))
    for (const name of ['one', 'two', 'Grüße', '']) assert.equal(at(name), name)
    assert.equal(node.find('two'), Array.from({ length: 5 }, (_, n) => node.name(n)).indexOf('two'))
    for (const name of ['on', 'onet', 'Grusse', 'oné']) assert.equal(node.find(name), -1)
  })

  it('of a wide folder is not taken apart for a name, nor for its first entries', async (t) => {
    const Links = Array.from({ length: 20_000 }, (_, n) => ({ Hash: cidOf(Buffer.from('x')), Name: `${n}`, Tsize: 1 }))
    const Data = new UnixFS({ type: 'directory' }).marshal()
    const block = dagPb.encode(dagPb.prepare({ Data, Links: Links as never }))
    const root = cidOf(block, DAG_PB)
    const made = t.mock.method(CID, 'decode')
    const { cid } = await resolvePath(root, '12345', async () => block)
    assert.equal(cid.toString(), cidOf(Buffer.from('x')).toString())
    await assert.rejects(
      resolvePath(root, '20000', async () => block),
      { code: 'PATH_NOT_FOUND' },
    )
    for (const { name } of readFolder(root, block)!.entries) if (name === '10') break
    assert.ok(made.mock.callCount() < 100, `${made.mock.callCount()} CIDs were made`)
  })
})
