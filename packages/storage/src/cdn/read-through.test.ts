import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { type CID, cidOf, PinGoError, parseCid } from '@pingo/wire'
import { code, node, serve, stops } from '../testing/http-node.ts'
import { fetchBlock } from '../transfer/fetch-block.ts'
import { HttpPool } from '../transfer/http-client.ts'
import type { BlockHolder, FindOptions } from './port.ts'
import { prefetch } from './prefetch.ts'
import { ReadThrough, type ReadThroughOptions } from './read-through.ts'
import type { Timing } from './timing.ts'

/** Time that passes when the test says so. */
class HandTime implements Timing {
  #now = 0
  #timers = new Set<{ at: number; call: () => void }>()
  now = () => this.#now
  after = (ms: number, call: () => void) => {
    const timer = { at: this.#now + ms, call }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await settle()
      const next = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (!next) break
      this.#now = next.at
      this.#timers.delete(next)
      next.call()
    }
    this.#now = until
  }
}
/** Lets all that can go on without time go on. */
const settle = async () => {
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
}
const block = (bytes = 1000) => {
  const data = randomBytes(bytes)
  return { data, cid: cidOf(data) }
}

/** A holder whose answers the test gives. */
class Holder implements BlockHolder {
  readonly id: string
  rtt: number | undefined
  readonly asked: {
    cid: CID
    signal: AbortSignal | undefined
    resolve(bytes: Uint8Array): void
    reject(error: unknown): void
  }[] = []
  #answer: ((cid: CID) => Uint8Array | PinGoError) | undefined

  constructor(id: string, answer?: (cid: CID) => Uint8Array | PinGoError, rtt?: number) {
    this.id = id
    this.rtt = rtt
    this.#answer = answer
  }

  get(cid: CID, o: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.asked.push({ cid, signal: o.signal, resolve, reject })
    o.signal?.addEventListener('abort', () => reject(o.signal!.reason), { once: true })
    const answer = this.#answer?.(cid)
    if (answer instanceof PinGoError) reject(answer)
    else if (answer) resolve(answer)
    return promise
  }
}
const lacks = (cid: CID) => new PinGoError('BLOCK_MISSING', `no ${cid}`)

function reader(batches: BlockHolder[][], o: Partial<ReadThroughOptions> = {}) {
  const time = new HandTime()
  const searches: { cid: CID; o: FindOptions | undefined }[] = []
  const offered: string[] = []
  const find = async function* (cid: CID, o?: FindOptions) {
    searches.push({ cid, o })
    yield* batches
  }
  const through = new ReadThrough({
    finder: { find },
    cache: { offer: (cid) => void offered.push(cid.toString()) },
    timing: time,
    ...o,
  })
  return { through, time, searches, offered }
}

describe('reading through', () => {
  it('fetches a block once for all who ask meanwhile, and offers it to the cache', async () => {
    const { data, cid } = block()
    const holder = new Holder('a')
    const { through, searches, offered } = reader([[holder]])
    const all = Array.from({ length: 50 }, () => through.get(cid))
    await settle()
    assert.equal(holder.asked.length, 1)
    holder.asked[0]!.resolve(data)
    for (const bytes of await Promise.all(all)) assert.equal(bytes, data)
    assert.equal(searches.length, 1)
    assert.ok(offered.includes(cid.toString()))
  })

  it('goes on for those who still wait when others leave, and ends when nobody does', async () => {
    const { data, cid } = block()
    const holder = new Holder('a')
    const { through } = reader([[holder]])
    const [first, second] = [new AbortController(), new AbortController()]
    const one = through.get(cid, { signal: first.signal })
    const two = through.get(cid, { signal: second.signal })
    await settle()
    first.abort(new Error('left'))
    await assert.rejects(one, /left/)
    assert.equal(holder.asked[0]!.signal!.aborted, false)
    second.abort(new Error('left too'))
    await assert.rejects(two, /left too/)
    await settle()
    assert.equal(holder.asked[0]!.signal!.aborted, true)
    const three = through.get(cid)
    await settle()
    holder.asked[1]!.resolve(data)
    assert.equal(await three, data)
  })

  it('asks a second holder when the first takes longer than it should, takes the faster, stops the other', async () => {
    const { data, cid } = block()
    const [near, far] = [new Holder('near', undefined, 10), new Holder('far', undefined, 100)]
    const { through, time } = reader([[far, near]])
    const bytes = through.get(cid)
    await settle()
    assert.equal(near.asked.length, 1, 'the nearest first')
    await time.pass(100)
    assert.equal(far.asked.length, 0)
    await time.pass(1000)
    assert.equal(far.asked.length, 1)
    far.asked[0]!.resolve(data)
    assert.equal(await bytes, data)
    assert.equal(near.asked[0]!.signal!.aborted, true)
  })

  it('never shows or keeps wrong bytes: the next holder is asked, the liar not again', async () => {
    const [first, second] = [block(), block()]
    const blocks = new Map([first, second].map(({ cid, data }) => [cid.toString(), data]))
    const liar = new Holder('liar', () => randomBytes(1000), 1)
    const honest = new Holder('honest', (cid) => blocks.get(cid.toString())!, 200)
    const { through, offered } = reader([[liar, honest]])
    assert.equal(await through.get(first.cid), first.data)
    assert.equal(await through.get(second.cid), second.data)
    assert.equal(liar.asked.length, 1)
    assert.deepEqual(offered, [first.cid.toString(), second.cid.toString()])
  })

  it('looks further only when those found fail; says what it knows; does not ask again at once', async () => {
    const { cid } = block()
    const [a, b] = [new Holder('a', lacks), new Holder('b', lacks)]
    const { through, time, searches } = reader([[a], [b]])
    await assert.rejects(through.get(cid), code('BLOCK_MISSING'))
    await assert.rejects(through.get(cid), code('BLOCK_MISSING'))
    assert.deepEqual([a.asked.length, b.asked.length, searches.length], [1, 1, 1])
    await time.pass(60_000)
    await assert.rejects(through.get(cid), code('BLOCK_MISSING'))
    assert.equal(searches.length, 2)
    const down = new Holder('down', () => new PinGoError('SOURCE_UNREACHABLE', 'down'))
    const other = reader([[down], [a]])
    await assert.rejects(other.through.get(cid), code('BLOCK_UNREACHABLE'))
    await assert.rejects(other.through.get(cid), code('BLOCK_UNREACHABLE'))
    assert.equal(other.searches.length, 2, 'what did not answer may have it: it is asked again')
  })

  it('gives up in time, and holds no more than so many at once', async () => {
    const holder = new Holder('a')
    const { through, time } = reader([[holder]], { maxFetches: 4, timeoutMs: 1000 })
    const all = Array.from({ length: 10 }, () => through.get(block().cid))
    const ends = Promise.allSettled(all)
    await settle()
    assert.equal(holder.asked.length, 4)
    await time.pass(1001)
    for (const end of await ends) code('TRANSFER_TIMEOUT')((end as PromiseRejectedResult).reason)
  })

  it('spreads the blocks of a file over its holders', async () => {
    const blocks = Array.from({ length: 12 }, () => block())
    const holders = ['a', 'b', 'c'].map((id) => new Holder(id, undefined, 50))
    const { through } = reader([holders])
    const all = blocks.map(({ cid }) => through.get(cid))
    await settle()
    for (const { id, asked } of holders) assert.equal(asked.length, 4, id)
    for (const { asked } of holders)
      for (const { cid, resolve } of asked) resolve(blocks.find((each) => each.cid.equals(cid))!.data)
    await Promise.all(all)
  })

  it('lets those that somebody waits for go before those that are fetched early', async () => {
    const holder = new Holder('a')
    const { through } = reader([[holder]], { maxFetches: 2 })
    const early = Array.from({ length: 5 }, () => block())
    const wanted = block()
    const stop = new AbortController()
    const later = early.map(({ cid }) => through.getLater(cid, { signal: stop.signal }).catch(() => undefined))
    const now = through.get(wanted.cid)
    const raised = through.get(early[4]!.cid)
    await settle()
    assert.deepEqual(
      holder.asked.map(({ cid }) => cid.toString()),
      [early[0]!.cid.toString(), wanted.cid.toString()],
    )
    holder.asked[1]!.resolve(wanted.data)
    await now
    await settle()
    assert.equal(holder.asked[2]!.cid.toString(), early[4]!.cid.toString(), 'what somebody waits for by now')
    holder.asked[2]!.resolve(early[4]!.data)
    assert.equal(await raised, early[4]!.data)
    stop.abort()
    await Promise.all(later)
  })
})

describe('over HTTP', () => {
  const pool = new HttpPool()
  stops.push(() => pool.close())
  const over = (url: string): BlockHolder => ({
    id: url,
    rtt: 1,
    get: (cid, o) => fetchBlock({ url }, cid, { ...o, pool }),
  })

  it('reads a file in order with its next blocks on their way, from two nodes, around a liar and one that is silent', async () => {
    const [a, b] = [await node(), await node()]
    const bytes = randomBytes(20 << 20)
    const { cid } = await a.files.put(bytes)
    await b.files.put(bytes)
    const liar = await serve((_, s) => void s.end(randomBytes(1 << 20)))
    const silent = await serve(() => {})
    const find = async function* () {
      yield [liar, silent, a.url, b.url].map(over)
    }
    const through = new ReadThrough({ finder: { find } })
    const root = parseCid(cid)
    const parts: Uint8Array[] = []
    for (const chunk of await a.files.chunks(cid)) {
      const part = await through.get(parseCid(chunk), { root })
      if (chunk !== cid) parts.push(part)
    }
    assert.ok(Buffer.concat(parts).equals(bytes))
    assert.ok(a.asked.length > 0 && b.asked.length > 0, 'both were asked')
    assert.ok(
      a.asked.length + b.asked.length < 40,
      `20 blocks and a root were asked for ${a.asked.length + b.asked.length} times`,
    )
  })

  it('a block from one source is checked, bounded, and its errors are told apart', async () => {
    const there = await node()
    const data = randomBytes(3000)
    const cid = parseCid((await there.files.put(data)).cid)
    assert.deepEqual(Buffer.from(await fetchBlock({ url: there.url }, cid, { pool })), data)
    await assert.rejects(fetchBlock({ url: there.url }, block().cid, { pool }), code('BLOCK_MISSING'))
    const of = async (answer: (s: import('node:http').ServerResponse) => unknown) =>
      fetchBlock({ url: await serve((_, s) => answer(s)) }, cid, { pool, deadlineMs: 2000 })
    assert.deepEqual(Buffer.from(await of((s) => s.writeHead(200, { 'transfer-encoding': 'chunked' }).end(data))), data)
    await assert.rejects(
      of((s) => s.end(randomBytes(3000))),
      code('BLOCK_MISMATCH'),
    )
    await assert.rejects(
      of((s) => s.end(Buffer.alloc(3 << 20))),
      code('BLOCK_MISMATCH'),
    )
    await assert.rejects(
      of((s) => s.writeHead(200).write(Buffer.alloc(3 << 20))),
      code('BLOCK_MISMATCH'),
    )
    await assert.rejects(
      of((s) => s.writeHead(302, { location: 'http://x' }).end()),
      code('SOURCE_REFUSED'),
    )
    await assert.rejects(
      of((s) => s.socket!.end('SSH-2.0-OpenSSH\r\n\r\n')),
      code('SOURCE_UNREACHABLE'),
    )
    await assert.rejects(
      of((s) => s.socket!.end(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)),
      code('SOURCE_UNREACHABLE'),
    )
  })
})

describe('over a long link', () => {
  const pool = new HttpPool()
  stops.push(() => pool.close())
  const far = { pool, rtt: 100 }

  it('a block comes over many connections, whatever its size, and is checked', async () => {
    const there = await node()
    for (const bytes of [0, 1, 11_700, 11_701, 100_000, 1 << 20, (1 << 20) + 1, 2 << 20]) {
      const { data, cid } = block(bytes)
      await there.store.put(cid, data)
      assert.ok(data.equals(await fetchBlock({ url: there.url }, cid, far)), `${bytes} bytes`)
    }
    assert.ok(there.asked.some((line) => line.endsWith('bytes=0-11699')))
    await assert.rejects(fetchBlock({ url: there.url }, block().cid, far), code('BLOCK_MISSING'))
    const bytes = randomBytes(3 << 20)
    const { cid } = await there.files.put(bytes)
    await fetchBlock({ url: there.url }, parseCid(cid), far)
  })

  it('is read from a source that knows no ranges, sends others, or lies', async () => {
    const { data, cid } = block(200_000)
    const plain = await serve((_, s) => void s.end(data))
    assert.ok(data.equals(await fetchBlock({ url: plain }, cid, far)))
    const shifted = await serve((q, s) => {
      if (!q.headers.range) return void s.end(data)
      s.writeHead(206, { 'content-range': 'bytes 7-19/200000', 'content-length': 13 }).end(data.subarray(7, 20))
    })
    assert.ok(data.equals(await fetchBlock({ url: shifted }, cid, far)))
    const huge = await serve((q, s) => {
      if (!q.headers.range) return void s.end(data)
      const start = Number(/\d+/.exec(q.headers.range)![0])
      s.writeHead(206, { 'content-range': `bytes ${start}-${start}/1000000000000` }).end(Buffer.alloc(2 << 20))
    })
    assert.ok(data.equals(await fetchBlock({ url: huge }, cid, far)))
    const liar = await serve((_, s) => void s.end(randomBytes(200_000)))
    await assert.rejects(fetchBlock({ url: liar }, cid, far), code('BLOCK_MISMATCH'))
  })

  it('the first leaf of a file comes with its root, when the source has it on its own disk', async () => {
    const there = await node()
    for (const bytes of [(1 << 20) + 7, 3 << 20]) {
      const data = randomBytes(bytes)
      const { cid } = await there.files.put(data)
      const [root, first, second] = (await there.files.chunks(cid)).map((chunk) => parseCid(chunk))
      await fetchBlock({ url: there.url }, root!, far)
      there.asked.length = 0
      assert.ok(data.subarray(0, 1 << 20).equals(await fetchBlock({ url: there.url }, first!, far)))
      assert.deepEqual(
        there.asked.filter((line) => line.includes(`${first}`)),
        [],
        'it was on its way',
      )
      assert.ok(data.subarray(1 << 20, 2 << 20).equals(await fetchBlock({ url: there.url }, second!, far)))
    }
  })

  it('a source without the leaf, and one that lies about it, are asked for it as for any block', async () => {
    const whole = await node()
    const data = randomBytes(3 << 20)
    const { cid } = await whole.files.put(data)
    const [root, first] = (await whole.files.chunks(cid)).map((chunk) => parseCid(chunk))
    const [bytes, leaf] = [await whole.store.get(root!), await whole.store.get(first!)]
    const poor = await node({ source: new ReadThrough({ finder: { find: async function* () {} } }) })
    await poor.store.put(root!, bytes)
    await fetchBlock({ url: poor.url }, root!, far)
    await assert.rejects(fetchBlock({ url: poor.url }, first!, far), code('BLOCK_MISSING'))
    const liar = await serve((q, s) => {
      const of = q.url!.endsWith('=raw') ? (q.url!.includes(`${root}`) ? bytes : leaf) : randomBytes(1 << 20)
      const [, from = 0, to = of.byteLength - 1] = /(\d+)-(\d+)/.exec(q.headers.range ?? '') ?? []
      const end = Math.min(Number(to) + 1, of.byteLength)
      if (!q.headers.range) return void s.end(of)
      s.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${of.byteLength}` })
      s.end(of.subarray(Number(from), end))
    })
    await fetchBlock({ url: liar }, root!, far)
    assert.ok(Buffer.compare(leaf, await fetchBlock({ url: liar }, first!, far)) === 0)
  })
})

describe('prefetching', () => {
  it('fetches the rarest first, within its budget, and says what failed and what is left', async () => {
    const blocks = Array.from({ length: 6 }, () => block(1 << 20))
    const cids = blocks.map(({ cid }) => cid)
    const order: string[] = []
    const kept = new Map<string, Uint8Array>([[cids[5]!.toString(), blocks[5]!.data]])
    const into = {
      has: (cid: CID) => kept.has(cid.toString()),
      put: async (cid: CID, bytes: Uint8Array) => void kept.set(cid.toString(), bytes),
    }
    const from = {
      getLater: async (cid: CID) => {
        order.push(cid.toString())
        if (cid.equals(cids[0]!)) throw lacks(cid)
        return blocks.find((each) => each.cid.equals(cid))!.data
      },
    }
    const done = await prefetch([...cids, ...cids], from, into, {
      budget: 3 << 20,
      concurrency: 1,
      count: async (some) => new Map(some.map((cid) => [cid, 5 - cids.indexOf(cid)])),
      random: () => 0,
    })
    assert.deepEqual(
      order,
      [4, 3, 2].map((n) => cids[n]!.toString()),
    )
    assert.deepEqual(done, { blocks: 3, bytes: 3 << 20, failed: [], left: [cids[1], cids[0]] })
    const rest = await prefetch(cids, from, into)
    assert.deepEqual([rest.blocks, rest.failed], [1, [cids[0]]])
  })
})
