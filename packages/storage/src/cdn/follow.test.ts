import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get as httpGet, type IncomingMessage, type ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { type CID, cidOf } from '@pingo/wire'
import { code, node, serve, stops } from '../testing/http-node.ts'
import { fetchBlock } from '../transfer/fetch-block.ts'
import { HttpPool } from '../transfer/http-client.ts'
import { Arrivals, follow } from './follow.ts'
import type { BlockHolder } from './port.ts'
import { ReadThrough } from './read-through.ts'

const BYTES = 1 << 20
const HALF = BYTES / 2
const pool = new HttpPool()
stops.push(() => pool.close())

/** A holder that sends what the test says, when it says so. */
async function hand(id: string, rtt: number) {
  const asked: ServerResponse[] = []
  let wanted = Promise.withResolvers<ServerResponse>()
  const url = await serve((_, response) => {
    asked.push(response)
    response.writeHead(200, { 'content-length': BYTES })
    wanted.resolve(response)
    wanted = Promise.withResolvers()
  })
  const holder: BlockHolder = { id, rtt, get: (cid, o) => fetchBlock({ url }, cid, { ...o, pool }) }
  const next = () => (asked.length > 0 ? Promise.resolve(asked.at(-1)!) : wanted.promise)
  return { holder, asked, next }
}

/** A gateway that has nothing and knows these holders; what it offers to its cache. */
async function gateway(holders: BlockHolder[]) {
  const offered: CID[] = []
  const find = async function* () {
    yield holders
  }
  const source = new ReadThrough({ finder: { find }, cache: { offer: (cid) => void offered.push(cid) } })
  return { ...(await node({ source })), offered, source }
}

/** A reader of the gateway: what came, and how it ended. */
async function reader(url: string, cid: CID) {
  const request = httpGet(`${url}/ipfs/${cid}?format=raw`, { agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const parts: Buffer[] = []
  let came = 0
  let change = Promise.withResolvers<void>()
  response.on('data', (part: Buffer) => {
    parts.push(part)
    came += part.byteLength
    change.resolve()
    change = Promise.withResolvers()
  })
  const end = new Promise<'whole' | 'broken'>((resolve) => {
    response.on('end', () => resolve('whole')).on('error', () => resolve('broken'))
  })
  const has = async (bytes: number) => {
    while (came < bytes) await change.promise
  }
  return { response, end, has, bytes: () => Buffer.concat(parts), stop: () => request.destroy() }
}
const some = () => {
  const data = randomBytes(BYTES)
  return { data, cid: cidOf(data) }
}

describe('a raw block that is not here', () => {
  it('is passed on as it comes; others who ask meanwhile share the fetch, and see none of it before it was checked', async () => {
    const { data, cid } = some()
    const { holder, next, asked } = await hand('a', 1)
    const { url, offered, source } = await gateway([holder])
    const coming = reader(url, cid)
    ;(await next()).write(data.subarray(0, HALF))
    const first = await coming
    assert.equal(first.response.headers['content-length'], String(BYTES))
    await first.has(HALF)
    const second = await reader(url, cid)
    await second.has(HALF)
    let isSeen = false
    const checked = source.get(cid).then((bytes) => {
      isSeen = true
      return bytes
    })
    const file = fetch(`${url}/ipfs/${cid}`).then((answer) => answer.bytes())
    assert.equal(isSeen, false)
    assert.equal(offered.length, 0)
    ;(await next()).end(data.subarray(HALF))
    assert.deepEqual(await Promise.all([first.end, second.end]), ['whole', 'whole'])
    for (const bytes of [first.bytes(), second.bytes(), await checked, await file]) assert.ok(data.equals(bytes))
    assert.equal(asked.length, 1)
    assert.ok(offered.length > 0)
  })

  it('a liar never ends well, is asked no more, and nothing of it is kept; who waits for checked bytes gets those of the next', async () => {
    const { data, cid } = some()
    const lie = Buffer.from(data)
    lie[BYTES - 1]! ^= 1
    const [liar, honest] = [await hand('liar', 1), await hand('honest', 5)]
    const { url, source } = await gateway([liar.holder, honest.holder])
    const coming = reader(url, cid)
    ;(await liar.next()).write(lie.subarray(0, HALF))
    const first = await coming
    await first.has(HALF)
    const checked = source.get(cid)
    ;(await liar.next()).end(lie.subarray(HALF))
    ;(await honest.next()).end(data)
    // what it had sent on was true up to the last byte, which was held back
    assert.equal(await first.end, 'whole')
    assert.ok(data.equals(first.bytes()))
    assert.ok(data.equals(await checked))

    const other = some()
    const again = reader(url, other.cid)
    while (honest.asked.length < 2) await new Promise(setImmediate)
    honest.asked[1]!.end(other.data)
    const it = await again
    assert.equal(await it.end, 'whole')
    assert.ok(other.data.equals(it.bytes()))
    assert.equal(liar.asked.length, 1, 'the liar is not asked again')
  })

  it('that was begun with wrong bytes breaks off', async () => {
    const { data, cid } = some()
    const [liar, honest] = [await hand('liar', 1), await hand('honest', 5)]
    const { url } = await gateway([liar.holder, honest.holder])
    const coming = reader(url, cid)
    ;(await liar.next()).write(Buffer.alloc(HALF))
    const first = await coming
    await first.has(HALF)
    ;(await liar.next()).end(Buffer.alloc(HALF))
    ;(await honest.next()).end(data)
    assert.equal(await first.end, 'broken')
    assert.ok(first.bytes().byteLength < BYTES)
    const after = await reader(url, cid)
    assert.equal(await after.end, 'whole')
    assert.ok(data.equals(after.bytes()))
  })

  it('goes on with another holder where one breaks off', async () => {
    const { data, cid } = some()
    const [first, second] = [await hand('first', 1), await hand('second', 5)]
    const { url } = await gateway([first.holder, second.holder])
    const coming = reader(url, cid)
    ;(await first.next()).write(data.subarray(0, HALF))
    const it = await coming
    await it.has(HALF)
    ;(await first.next()).destroy()
    ;(await second.next()).write(data.subarray(0, HALF + 1000))
    await it.has(HALF + 1000)
    ;(await second.next()).end(data.subarray(HALF + 1000))
    assert.equal(await it.end, 'whole')
    assert.ok(data.equals(it.bytes()))
  })

  it('is asked for no longer when its readers are gone, and breaks off when all holders do', async () => {
    const { data, cid } = some()
    const one = await hand('one', 1)
    const { url } = await gateway([one.holder])
    const coming = reader(url, cid)
    const from = await one.next()
    from.write(data.subarray(0, HALF))
    const [it, other] = [await coming, await reader(url, cid)]
    await Promise.all([it.has(HALF), other.has(HALF)])
    it.stop()
    assert.equal(from.closed, false)
    other.stop()
    await once(from, 'close')
    const last = reader(url, cid)
    while (one.asked.length < 2) await new Promise(setImmediate)
    one.asked[1]!.write(data.subarray(0, HALF))
    const broken = await last
    await broken.has(HALF)
    one.asked[1]!.destroy()
    assert.equal(await broken.end, 'broken')
  })

  it('nobody has it: an answer like any other, before a byte', async () => {
    const { url } = await gateway([])
    const answer = await fetch(`${url}/ipfs/${some().cid}?format=raw`)
    assert.equal(answer.status, 404)
  })
})

describe('following a block', () => {
  it('a reader that takes its time holds only what the holders sent', async () => {
    const data = randomBytes(BYTES)
    const arrivals = new Arrivals()
    const block = Promise.withResolvers<Uint8Array>()
    arrivals.note('a', data.subarray(0, 10), BYTES)
    const { parts, bytes } = await follow(block.promise, arrivals)
    assert.equal(bytes, BYTES)
    assert.deepEqual((await parts.next()).value, data.subarray(0, 10))
    for (let at = 11; at <= BYTES; at += 1000) arrivals.note('a', data.subarray(0, at), BYTES)
    arrivals.note('a', data, BYTES)
    // all that came since is one part, a view of the same bytes, less the last one
    const { value } = await parts.next()
    assert.equal(value!.buffer, data.buffer)
    assert.equal(value!.byteLength, BYTES - 11)
    arrivals.drop('a')
    block.resolve(data)
    assert.equal((await parts.next()).value!.byteLength, 1)
    assert.equal((await parts.next()).done, true)
  })

  it('a length that was a lie, and no bytes at all', async () => {
    const data = randomBytes(100)
    const arrivals = new Arrivals()
    arrivals.note('a', data.subarray(0, 10), 50)
    const lied = await follow(Promise.resolve(data), arrivals)
    await assert.rejects(Array.fromAsync(lied.parts), code('BLOCK_MISMATCH'))
    const empty = await follow(Promise.resolve(new Uint8Array(0)), new Arrivals())
    assert.deepEqual([empty.bytes, await Array.fromAsync(empty.parts)], [0, []])
    await assert.rejects(follow(Promise.reject(new Error('gone')), new Arrivals()), /gone/)
  })
})
