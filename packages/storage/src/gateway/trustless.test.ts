import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { CarReader } from '@ipld/car'
import { type CID, cidOf, matchesCid } from '@pingo/wire'
import { exporter } from 'ipfs-unixfs-exporter'
import { putDirectory } from '../testing/directory.ts'
import { get, node } from '../testing/http-node.ts'

/** What `@ipld/car` reads of an answer: each block checked. */
async function car(url: string, path: string) {
  const answer = await get(url, path)
  assert.equal(answer.status, 200, path)
  const reader = await CarReader.fromBytes(new Uint8Array(await answer.arrayBuffer()))
  const blocks = new Map<string, Uint8Array>()
  for await (const { cid, bytes } of reader.blocks()) {
    assert.ok(matchesCid(cid as unknown as CID, bytes))
    assert.ok(!blocks.has(cid.toString()), 'sent once')
    blocks.set(cid.toString(), bytes)
  }
  const store = {
    get: async function* (cid: CID) {
      const bytes = blocks.get(cid.toString())
      if (!bytes) throw new Error(`${cid} is not in the CAR`)
      yield bytes
    },
  } as never
  return { roots: (await reader.getRoots()).map(String), blocks: [...blocks.keys()], store }
}

describe('a CAR from the gateway', () => {
  it('has what its scope says, and the way to it, so that the reader can check all of it', async () => {
    const { store, url } = await node()
    const movie = randomBytes(3_000_000)
    for (const shardSplitThresholdBytes of [1 << 20, 100]) {
      const many = Object.fromEntries(Array.from({ length: 80 }, (_, n) => [`dir/n${n}`, Buffer.from(`file ${n}`)]))
      const root = await putDirectory(store, { ...many, 'dir/movie': movie }, { shardSplitThresholdBytes })
      const all = await car(url, `/ipfs/${root}?format=car`)
      assert.deepEqual(all.roots, [root.toString()])
      for (const path of ['dir/n7', 'dir/movie']) {
        const file = await car(url, `/ipfs/${root}/${path}?format=car&dag-scope=entity`)
        assert.deepEqual(file.roots, [root.toString()])
        assert.equal(file.blocks[0], root.toString())
        assert.ok(file.blocks.length < all.blocks.length)
        const entry = await exporter(`${root}/${path}`, file.store)
        assert.ok('content' in entry)
        const bytes = Buffer.concat(await Array.fromAsync(entry.content() as AsyncIterable<Uint8Array>))
        assert.ok(bytes.equals(path === 'dir/movie' ? movie : Buffer.from('file 7')))
      }
      const directory = await car(url, `/ipfs/${root}/dir?format=car&dag-scope=entity`)
      assert.ok(directory.blocks.length < 20 || shardSplitThresholdBytes === 100)
      const entry = await exporter(`${root}/dir`, directory.store)
      assert.ok(entry.cid)
      const block = await car(url, `/ipfs/${root}/dir/movie?format=car&dag-scope=block`)
      assert.equal(block.blocks.at(-1), (await exporter(`${root}/dir/movie`, all.store)).cid.toString())
    }
  })

  it('has the blocks of a range of bytes', async () => {
    const { files, url } = await node()
    const bytes = randomBytes(5_000_000)
    const { cid } = await files.put(bytes)
    const chunks = await files.chunks(cid)
    const MIB = 1 << 20
    for (const [range, wanted] of [
      ['0:*', chunks],
      ['0:0', chunks.slice(0, 2)],
      [`${MIB}:${2 * MIB - 1}`, [chunks[0], chunks[2]]],
      [`${MIB - 1}:${MIB}`, chunks.slice(0, 3)],
      ['-1:*', [chunks[0], chunks.at(-1)]],
      ['-5000000:-4999999', chunks.slice(0, 2)],
      ['99999999:*', chunks.slice(0, 1)],
    ] as const) {
      const { blocks } = await car(url, `/ipfs/${cid}?format=car&dag-scope=entity&entity-bytes=${range}`)
      assert.deepEqual(blocks, wanted, range)
    }
    for (const query of ['dag-scope=some', 'entity-bytes=1', 'entity-bytes=a:b'])
      assert.equal((await get(url, `/ipfs/${cid}?format=car&${query}`)).status, 400)
    const tags = new Set<string>()
    for (const query of ['', '&dag-scope=block', '&dag-scope=entity', '&dag-scope=entity&entity-bytes=0:1'])
      tags.add((await get(url, `/ipfs/${cid}?format=car${query}`, {}, 'HEAD')).headers.get('etag')!)
    assert.equal(tags.size, 4)
  })

  it('sends equal blocks once', async () => {
    const { files, url } = await node()
    const { cid } = await files.put(new Uint8Array(20 << 20))
    const { blocks } = await car(url, `/ipfs/${cid}?format=car`)
    assert.equal(blocks.length, 2)
    assert.equal((await car(url, `/ipfs/${cid}?format=car&dag-scope=entity&entity-bytes=1:9999999`)).blocks.length, 2)
  })
})

describe('only-if-cached', () => {
  it('serves what is here, and fetches nothing', async () => {
    let isAsked = false
    const source = {
      get: async (): Promise<Uint8Array> => {
        isAsked = true
        throw new Error('asked')
      },
    }
    const { url, files, store } = await node({ source })
    const bytes = randomBytes(2 << 20)
    const { cid } = await files.put(bytes)
    const local = { 'cache-control': 'only-if-cached' }
    assert.deepEqual(Buffer.from(await (await get(url, `/ipfs/${cid}`, local)).arrayBuffer()), bytes)
    const folder = await putDirectory(store, { 'a.txt': Buffer.from('a') })
    const other = cidOf(randomBytes(9))
    for (const path of [`/ipfs/${other}`, `/ipfs/${other}?format=raw`, `/ipfs/${folder}`])
      assert.equal((await get(url, path, local)).status, 412, path)
    assert.equal(isAsked, false)
  })
})
