import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { cidOf } from '@pingo/wire'
import { node, serve, stops } from '../testing/http-node.ts'
import { fetchBlock } from './fetch-block.ts'
import { HttpPool } from './http-client.ts'
import { NarrowLinks } from './narrow-links.ts'

const pool = new HttpPool()
stops.push(() => pool.close())

it('of a block whose length is told no more is asked for than it takes; a length that is wrong does no harm', async () => {
  const there = await node()
  const far = { pool, rtt: 100 }
  for (const bytes of [0, 1, 20_000, 100_000, 1 << 20]) {
    const data = randomBytes(bytes)
    const cid = cidOf(data)
    await there.store.put(cid, data)
    assert.ok(data.equals(await fetchBlock({ url: there.url }, cid, { ...far, bytes })))
    const ranges = there.asked.filter((line) => line.includes(`${cid}`) && line.includes('bytes='))
    assert.ok(ranges.length <= Math.max(1, Math.ceil(bytes / 11_700)), `${bytes}: ${ranges.length}`)
    for (const wrong of [0, 10, bytes + 1, 1 << 21])
      assert.ok(data.equals(await fetchBlock({ url: there.url }, cid, { ...far, bytes: wrong })), `${bytes}, ${wrong}`)
  }
})

it('a block comes over one connection from a node that lets in too few for its pieces', async () => {
  const there = await node()
  there.server.maxConnections = 5
  const data = randomBytes(1 << 20)
  const cid = cidOf(data)
  await there.store.put(cid, data)
  assert.ok(data.equals(await fetchBlock({ url: there.url }, cid, { pool, rtt: 100 })))
  assert.ok(there.asked.some((line) => !line.includes('bytes=')))
})

it('all comes over many connections where the length is told, over fewer where it is not or where such a flight had losses', async () => {
  const data = randomBytes(1 << 20)
  const cid = cidOf(data)
  let asked = 0
  let isLossy = false
  const url = await serve((q, s) => {
    asked += 1
    const [start, end] = /(\d+)-(\d+)/.exec(q.headers.range!)!.slice(1).map(Number) as [number, number]
    const part = data.subarray(start, end + 1)
    const head = { 'content-range': `bytes ${start}-${end}/${data.byteLength}`, 'content-length': part.byteLength }
    const send = () => s.writeHead(206, head).end(part)
    if (isLossy && start > 0) setTimeout(send, 1_000)
    else send()
  })
  const fetched = async (source: HttpPool, bytes?: number) => {
    asked = 0
    assert.ok(data.equals(await fetchBlock({ url }, cid, { pool: source, rtt: 100, bytes })))
    return asked
  }
  const fresh = new HttpPool()
  stops.push(() => fresh.close())
  assert.equal(await fetched(fresh), 41)
  isLossy = true
  assert.equal(await fetched(fresh, data.byteLength), 90)
  assert.equal(await fetched(fresh, data.byteLength), 41)
})

it('a narrow link is remembered for a while, and so many of them', () => {
  let now = 0
  const narrow = new NarrowLinks(() => now)
  const source = (n: number) => ({ url: `https://10.0.0.${n}:443` })
  narrow.add(source(0))
  assert.ok(narrow.has(source(0)))
  assert.ok(!narrow.has(source(1)))
  now = 11 * 60_000
  assert.ok(!narrow.has(source(0)))
  for (let n = 0; n < 300; n++) narrow.add(source(n))
  assert.ok(!narrow.has(source(0)))
  assert.ok(narrow.has(source(299)))
})
