import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CID, cidOf, OBJECT_RECORD_TYPE, seal } from '@pingo/wire'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { keyOf } from '../blocks/key.ts'
import { NetworkFinder } from '../cdn/finder.ts'
import { ReadThrough } from '../cdn/read-through.ts'
import { folderNodes, resolvePath } from '../files/folder.ts'
import { HttpNodeMap } from '../nodes/node-map.ts'
import { code, node as gateway, get } from '../testing/http-node.ts'
import { MemoryNetwork } from '../testing/memory-network.ts'
import { ownerOf, remote, storageNode } from '../testing/storage-nodes.ts'
import { openObject } from './get.ts'
import { type Block, encodeManifest, encodePart } from './object.ts'
import { putCutFile, putFolder } from './put.ts'

const MIB = 1 << 20

/** Files in a folder, as IPFS cuts them. */
async function cut(files: Record<string, Uint8Array>, o: object = {}) {
  const blocks = new Map<string, Uint8Array>()
  const sink = { put: async (cid: CID, bytes: Uint8Array) => blocks.set(keyOf(cid), bytes) && cid }
  const roots: Record<string, CID> = {}
  const source = Object.entries(files).map(([path, content]) => ({ path, content }))
  const options = { cidVersion: 1, wrapWithDirectory: true, ...o } as never
  for await (const { path, cid } of importer(source, sink as never, options)) roots[path ?? ''] = cid as never
  const read = async (cid: CID) => blocks.get(keyOf(cid)) ?? assert.fail(`no block ${cid}`)
  return { blocks, roots, read }
}

async function blocksOf(root: CID, read: (cid: CID) => Promise<Uint8Array>) {
  const nodes = await Array.fromAsync(folderNodes(root, read))
  return nodes.map(({ cid, bytes }): Block => ({ cid, bytes }))
}

describe('a file that others cut', () => {
  for (const [what, cuts, isKept] of [
    ['into 256 KiB', { chunker: fixedSize({ chunkSize: 256 << 10 }) }, true],
    ['into 1 MiB, many links a node', { chunker: fixedSize({ chunkSize: MIB }) }, true],
    ['into leaves that are nodes themselves', { rawLeaves: false, chunker: fixedSize({ chunkSize: 262_144 }) }, true],
    ['into odd lengths', { chunker: fixedSize({ chunkSize: 100_000 }) }, true],
    ['with CIDs of version 0', { rawLeaves: false, cidVersion: 0 }, true],
  ] as const)
    it(`${what} is kept under its own CID, and read to the byte`, async () => {
      for (const nodes of [3, 17]) {
        const network = await MemoryNetwork.create(nodes)
        const owner = network.nodes[0]!.identity
        for (const size of [0, 5, 300_000, 5 * MIB + 3]) {
          const bytes = randomBytes(size)
          if (size > 3 * MIB) bytes.copyWithin(2 * MIB, 0, MIB) // some leaves come twice
          const { roots, read } = await cut({ 'a.bin': bytes }, cuts)
          const root = roots['a.bin']!
          const put = await putCutFile(root, read, { nodes: network.map(), owner })
          assert.equal(put !== undefined, isKept)
          assert.equal(put!.id, root.toV1().toString())
          assert.equal(put!.bytes, size)
          const object = await openObject({ id: put!.id, from: network.map() })
          assert.ok(Buffer.concat(await Array.fromAsync(object.read())).equals(bytes))
          const part = Buffer.concat(
            await Array.fromAsync(object.read({ start: size >> 1, end: (size >> 1) + 70_000 })),
          )
          assert.ok(part.equals(bytes.subarray(size >> 1, (size >> 1) + 70_000)))
        }
      }
    })

  it('so that its leaves are no shards, and that is long, is not kept as it is', async () => {
    const network = await MemoryNetwork.create(3)
    const { roots, read } = await cut(
      { 'a.bin': randomBytes(20 * MIB) },
      { chunker: fixedSize({ chunkSize: 700_001 }) },
    )
    const owner = network.nodes[0]!.identity
    assert.equal(await putCutFile(roots['a.bin']!, read, { nodes: network.map(), owner }), undefined)
  })
})

describe('a folder in the network', () => {
  it('is read by its path through the gateway of a node that has none of it; plain and sharded', async () => {
    const first = await storageNode()
    const nodes = [first]
    while (nodes.length < 5) nodes.push(await storageNode({ seeds: [first] }))
    for (let i = 0; i < 400 && nodes.some(({ membership }) => membership.book.list().length < 4); i++) await sleep(50)
    const owner = await ownerOf(first)
    const map = new HttpNodeMap({ seeds: [first], access: owner.access })
    await map.refresh()
    const o = { nodes: map, owner: owner.identity }
    const source = new ReadThrough({ finder: new NetworkFinder({ nodes: map }) })
    const { url } = await gateway({ source })
    for (const shardSplitThresholdBytes of [262_144, 1]) {
      const big = randomBytes(2 * MIB + 5)
      const { roots, read } = await cut(
        { 'deep/big.bin': big, 'deep/a': Buffer.from('A'), b: Buffer.from('B') },
        { shardSplitThresholdBytes },
      )
      for (const file of ['deep/big.bin', 'deep/a', 'b']) await putCutFile(roots[file]!, read, o)
      for (const folder of ['deep', '']) {
        const { cid } = await resolvePath(roots['']!, folder, read)
        const { id, nodes } = await putFolder({ root: cid, blocks: await blocksOf(cid, read), dagBytes: 1 }, o)
        assert.deepEqual([id, nodes], [cid.toString(), 5])
      }
      const root = roots['']!
      assert.equal(await (await get(url, `/ipfs/${root}/deep/a`)).text(), 'A')
      assert.ok(Buffer.from(await (await get(url, `/ipfs/${root}/deep/big.bin`)).arrayBuffer()).equals(big))
      const { entries } = (await (await get(url, `/ipfs/${root}/deep`, { accept: 'application/json' })).json()) as {
        entries: { name: string }[]
      }
      assert.deepEqual(entries.map(({ name }) => name).sort(), ['a', 'big.bin'])
      const car = await get(url, `/ipfs/${root}?format=car`)
      assert.ok((await car.arrayBuffer()).byteLength > big.byteLength)
      assert.equal((await get(url, `/ipfs/${root}/deep/none`)).status, 404)
    }
  })

  it('is taken into care with all of its own blocks, and no others', async () => {
    const node = await storageNode()
    const { access, identity } = await ownerOf(node)
    const there = await remote(node, access)
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`file ${n}`, Buffer.from(`${n}`)]))
    const { roots, read } = await cut({ ...many, 'b/c': Buffer.from('c') }, { shardSplitThresholdBytes: 100 })
    const blocks = await blocksOf(roots['']!, read)
    assert.ok(blocks.length > 3)
    const foreign = { cid: cidOf(Buffer.from('foreign')), bytes: Buffer.from('foreign') }
    const commit = async (tree: Block[]) => {
      const part = encodePart({ type: 'pingo/object-part', stripes: [], tree: tree.map(({ cid }) => cid.toString()) })
      const root = roots['']!.toString()
      const code = { k: 1, m: 0 }
      const parts = [part.cid.toString()]
      const top = encodeManifest({
        type: 'pingo/object',
        version: 1,
        code,
        bytes: 0,
        stripeBytes: 1,
        cipher: 'none',
        root,
        stripes: 0,
        parts,
      })
      for (const { cid, bytes } of [...tree, part, top]) await there.putChunk(cid, bytes, { upload: 'one' })
      const record = { id: root, manifest: top.cid.toString(), class: 'hot', storedBytes: 1, at: Date.now() }
      const sealed = await seal(identity, OBJECT_RECORD_TYPE, record)
      await there.commit({ record: sealed, locations: [{ nodes: [], at: new Uint8Array(0) }] })
    }
    await assert.rejects(commit(blocks.slice(1)), code('MANIFEST_MALFORMED'))
    await assert.rejects(commit(blocks.slice(0, -1)), code('MANIFEST_MALFORMED'))
    await assert.rejects(commit([...blocks, foreign]), code('MANIFEST_MALFORMED'))
    await commit(blocks)
  })
})
