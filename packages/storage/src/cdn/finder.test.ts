import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { cidOf, createIdentity, parseCid } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import type { ChunkOptions } from '../nodes/port.ts'
import { putObject } from '../objects/put.ts'
import { code, node } from '../testing/http-node.ts'
import { MemoryNetwork } from '../testing/memory-network.ts'
import { NetworkFinder } from './finder.ts'
import type { BlockHolder, Finder, FindOptions } from './port.ts'
import { ReadThrough } from './read-through.ts'

/** A public file on 16 nodes. */
async function stored(bytes = 4_500_000) {
  const net = await MemoryNetwork.create(16)
  const data = randomBytes(bytes)
  const { id } = await putObject(data, { nodes: net.map(), owner: await createIdentity(), isPublic: true })
  const leaves = Array.from({ length: Math.ceil(bytes / (1 << 20)) }, (_, n) =>
    data.subarray(n << 20, (n + 1) << 20),
  ).map((bytes) => ({ bytes, cid: cidOf(bytes) }))
  return { net, data, root: parseCid(id), leaves }
}
async function batches(finder: Finder, ...args: Parameters<Finder['find']>): Promise<string[][]> {
  return (await Array.fromAsync(finder.find(...args))).map((holders: BlockHolder[]) => holders.map(({ id }) => id))
}
const ids = (nodes: readonly { record: { peerId: string } }[]) => nodes.map(({ record }) => record.peerId).sort()

describe('who has a block', () => {
  it('is told by the caretakers of its file, by them of the tree, and by those near by when no file is named', async () => {
    const { net, root, leaves } = await stored()
    const finder = new NetworkFinder({ nodes: net.map() })
    for (const { cid } of leaves) {
      const [first, then] = await batches(finder, cid, { root })
      assert.deepEqual(first, ids(net.holders(cid)))
      assert.deepEqual(then, ['rebuilt'])
      const [near] = await batches(finder, cid)
      assert.deepEqual(near, ids(net.holders(cid)))
    }
    const [caretakers] = await batches(finder, root, { root })
    assert.deepEqual(caretakers!.toSorted(), ids(net.holders(root)))
    assert.equal((await batches(finder, cidOf(randomBytes(9)))).flat().length, 0)
  })

  it('is told how long the block is, where the manifest says so', async () => {
    const { net, root, leaves } = await stored()
    const told: (number | undefined)[] = []
    for (const one of net.nodes) {
      const getChunk = one.getChunk.bind(one)
      one.getChunk = (cid, o?: ChunkOptions) => {
        if (leaves.some((leaf) => leaf.cid.equals(cid))) told.push(o?.bytes)
        return getChunk(cid, o)
      }
    }
    const finder = new NetworkFinder({ nodes: net.map() })
    for (const { cid } of leaves) {
      const first = await finder.find(cid, { root }).next()
      await first.value![0]!.get(cid)
    }
    assert.deepEqual(
      told,
      leaves.map(({ bytes }) => bytes.byteLength),
    )
  })

  it('is asked in one question for many blocks of the same moment; this node itself is not asked', async () => {
    const { net, leaves } = await stored()
    for (const { calls } of net.nodes) calls.missing = 0
    const self = net.holders(leaves[0]!.cid)[0]!
    const finder = new NetworkFinder({ nodes: net.map(), self: self.record.peerId })
    const counts = await finder.count(leaves.map(({ cid }) => cid))
    assert.deepEqual([...counts.values()], [0, 1, 1, 1, 1])
    for (const one of net.nodes) assert.equal(one.calls.missing, one === self ? 0 : 1)
  })

  it('reads a file whose data shards are gone, from the others of its stripe', async () => {
    const { net, data, root, leaves } = await stored()
    for (const { cid } of leaves.slice(0, 3)) for (const { chunks } of net.holders(cid)) chunks.delete(keyOf(cid))
    const through = new ReadThrough({ finder: new NetworkFinder({ nodes: net.map() }) })
    await through.get(root, { root })
    const parts = await Promise.all(leaves.map(({ cid }) => through.get(cid, { root })))
    assert.ok(Buffer.concat(parts).equals(data))
    // the file was seen: a leaf of it is found without its name
    const another = new ReadThrough({ finder: new NetworkFinder({ nodes: net.map() }) })
    await another.get(root)
    assert.ok(leaves[0]!.bytes.equals(await another.get(leaves[0]!.cid)))
    for (const one of net.nodes) for (const { cid } of leaves) one.chunks.delete(keyOf(cid))
    for (const one of net.nodes.slice(3)) one.chunks.clear()
    const none = new ReadThrough({ finder: new NetworkFinder({ nodes: net.map() }) })
    await assert.rejects(none.get(leaves[0]!.cid, { root }))
  })

  it('is told by provider records of the root when the network does not know it', async () => {
    const there = await node()
    const data = randomBytes(3_000_000)
    const root = parseCid((await there.files.put(data)).cid)
    const asked: string[] = []
    const providers = {
      async *find(cid: typeof root) {
        asked.push(cid.toString())
        yield { peerId: 'liar', url: 'http://127.0.0.1:1' }
        yield { peerId: 'there', url: there.url }
      },
      provide: async () => undefined,
    }
    const nodes = (await MemoryNetwork.create(2)).map()
    const through = new ReadThrough({ finder: new NetworkFinder({ nodes, providers }) })
    const o: FindOptions = { root }
    await through.get(root, o)
    const chunks = (await there.files.chunks(root)).filter((text) => text !== root.toString())
    const parts = await Promise.all(chunks.map((text) => through.get(parseCid(text), o)))
    assert.ok(Buffer.concat(parts).equals(data))
    assert.deepEqual([...new Set(asked)], [root.toString()], 'never for a chunk')
    await assert.rejects(through.get(cidOf(randomBytes(7)), o), code('BLOCK_UNREACHABLE'))
  })
})
