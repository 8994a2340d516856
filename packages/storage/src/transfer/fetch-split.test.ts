import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { cidOf } from '@pingo/wire'
import { node, stops } from '../testing/http-node.ts'
import { fetchBlock } from './fetch-block.ts'
import { HttpPool } from './http-client.ts'

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
    assert.ok(ranges.length <= Math.max(1, Math.ceil(bytes / (11 << 10))), `${bytes}: ${ranges.length}`)
    for (const wrong of [0, 10, bytes + 1, 1 << 21])
      assert.ok(data.equals(await fetchBlock({ url: there.url }, cid, { ...far, bytes: wrong })), `${bytes}, ${wrong}`)
  }
})
