import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { cidOf, LEAF_BYTES } from '@pingo/wire'
import { leafCount, leafHash, leafHashes } from '../durability/merkle.ts'
import { get, node, serve, stops } from '../testing/http-node.ts'
import { fetchBlock } from './fetch-block.ts'
import { HttpPool } from './http-client.ts'

const pool = new HttpPool()
stops.push(() => pool.close())
const far = { pool, rtt: 100 }

describe('the first leaf of a block that is far away', () => {
  it('is told with the hashes of all leaves, once, while the block comes', async () => {
    const there = await node()
    for (const bytes of [1, LEAF_BYTES, LEAF_BYTES + 1, 1 << 20]) {
      const data = randomBytes(bytes)
      const cid = cidOf(data)
      await there.store.put(cid, data)
      const told: { leaf: Buffer; hashes: Buffer }[] = []
      const onFirstLeaf = (leaf: Uint8Array, hashes: Uint8Array) =>
        void told.push({ leaf: Buffer.from(leaf), hashes: Buffer.from(hashes) })
      assert.ok(data.equals(await fetchBlock({ url: there.url }, cid, { ...far, onFirstLeaf })))
      assert.ok(told.length <= 1) // a block that is there before the hashes is not told of
      for (const { leaf, hashes } of told) {
        assert.ok(leaf.equals(data.subarray(0, LEAF_BYTES)))
        assert.ok(hashes.equals(Buffer.concat(leafHashes(data))))
      }
    }
  })

  it('comes before the rest is there', async () => {
    const data = randomBytes(1 << 20)
    const cid = cidOf(data)
    const release = Promise.withResolvers<void>()
    const url = await serve(async (q, s) => {
      if (q.url!.endsWith('/leaves')) return s.end(Buffer.concat(leafHashes(data)))
      const [start, end] = /(\d+)-(\d+)/.exec(q.headers.range!)!.slice(1).map(Number) as [number, number]
      if (start > 70_000) await release.promise
      const part = data.subarray(start, end + 1)
      s.writeHead(206, { 'content-range': `bytes ${start}-${end}/${data.byteLength}` }).end(part)
    })
    const told = Promise.withResolvers<Uint8Array>()
    const block = fetchBlock({ url }, cid, { ...far, onFirstLeaf: told.resolve })
    assert.ok(data.subarray(0, LEAF_BYTES).equals(await told.promise))
    release.resolve()
    assert.ok(data.equals(await block))
  })

  it('is not told, and the block comes, where the source knows no leaves, sends too many, too few bytes, or never answers', async () => {
    const data = randomBytes(200_000)
    const cid = cidOf(data)
    const { store, handle } = await node()
    await store.put(cid, data)
    const answers: Parameters<typeof serve>[0][] = [
      (_, s) => s.writeHead(404).end(),
      (_, s) => s.end(Buffer.alloc(32 * 33)),
      (_, s) => s.end(Buffer.alloc(33)),
      (_, s) => s.end(),
      (_, s) => s.writeHead(200, { 'content-length': 64 }).destroy(),
      () => undefined,
    ]
    for (const answer of answers) {
      const url = await serve((q, s) => (q.url!.endsWith('/leaves') ? answer(q, s) : handle(q, s)))
      const onFirstLeaf = () => assert.fail('told')
      assert.ok(data.equals(await fetchBlock({ url }, cid, { ...far, onFirstLeaf })))
    }
  })
})

describe('GET /v1/blocks/{cid}/leaves', () => {
  it('tells the hash of each leaf of a block that is here, for ever', async () => {
    const { store, url } = await node()
    for (const bytes of [0, 1, LEAF_BYTES, LEAF_BYTES + 1, 2 << 20]) {
      const data = randomBytes(bytes)
      const cid = cidOf(data)
      await store.put(cid, data)
      const answer = await get(url, `/v1/blocks/${cid}/leaves`)
      const hashes = Buffer.from(await answer.arrayBuffer())
      assert.equal(answer.status, 200)
      assert.equal(hashes.byteLength, 32 * leafCount(bytes))
      assert.ok(hashes.subarray(-32).equals(leafHash(data.subarray(LEAF_BYTES * (leafCount(bytes) - 1)))))
      assert.match(answer.headers.get('cache-control')!, /immutable/)
      const again = await get(url, `/v1/blocks/${cid}/leaves`, { 'if-none-match': answer.headers.get('etag')! })
      assert.equal(again.status, 304)
      const head = await get(url, `/v1/blocks/${cid}/leaves`, {}, 'HEAD')
      assert.equal(head.headers.get('content-length'), String(hashes.byteLength))
    }
  })

  it('does not fetch what is elsewhere, and knows no other method and no other path', async () => {
    const data = randomBytes(100)
    const cid = cidOf(data)
    const { url } = await node({ source: { get: async () => assert.fail('fetched') } })
    assert.equal((await get(url, `/v1/blocks/${cid}/leaves`)).status, 412)
    assert.equal((await get(url, `/v1/blocks/${cid}/leaves`, {}, 'POST')).status, 405)
    assert.equal((await get(url, '/v1/blocks/..%2f/leaves')).status, 400)
    assert.equal((await get(url, '/v1/blocks/bafy/leaves')).status, 400)
  })
})
