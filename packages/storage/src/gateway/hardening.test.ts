import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { type CID, cidOf, DAG_PB } from '@pingo/wire'
import { UnixFS } from 'ipfs-unixfs'
import { type BlockStore, blockHandler } from '../index.ts'
import { get, listen, node, openStore, stops } from '../testing/http-node.ts'

interface Link {
  cid: CID
  bytes: number
  name?: string
}

async function put(store: BlockStore, bytes: Uint8Array, codec?: number): Promise<CID> {
  const cid = cidOf(bytes, codec)
  await store.put(cid, bytes)
  return cid
}

/** A dag-pb node of any shape. @returns a link to it */
async function putNode(store: BlockStore, entry: UnixFS, links: Link[]): Promise<CID> {
  const Links = links.map(({ cid, bytes, name }) => ({ Hash: cid, Tsize: bytes, Name: name ?? '' }))
  return await put(store, dagPb.encode(dagPb.prepare({ Data: entry.marshal(), Links: Links as never })), DAG_PB)
}

/** A node of a file that says it has these parts. */
async function putFileNode(store: BlockStore, links: Link[]): Promise<Link> {
  const entry = new UnixFS({ type: 'file', blockSizes: links.map(({ bytes }) => BigInt(bytes)) })
  return { cid: await putNode(store, entry, links), bytes: links.reduce((sum, { bytes }) => sum + bytes, 0) }
}

const errorOf = async (answer: Response) => ((await answer.json()) as { error: { code: string } }).error.code
const ended = (socket: ReturnType<typeof connect>) => new Promise((resolve) => socket.once('close', resolve))

describe('a DAG that is made to cost much', () => {
  it('many links to little: the answer breaks off, in every form', async () => {
    const { store, url } = await node()
    let bomb: Link = { cid: await put(store, Buffer.from('x')), bytes: 1 }
    for (let level = 0; level < 4; level++) bomb = await putFileNode(store, Array<Link>(100).fill(bomb))
    assert.equal(bomb.bytes, 1e8)
    // a hundred million leaves in five blocks: read one by one they are refused, as a CAR they are five blocks
    await assert.rejects(get(url, `/ipfs/${bomb.cid}`).then((answer) => answer.arrayBuffer()))
    await assert.rejects(
      get(url, `/ipfs/${bomb.cid}`, { range: 'bytes=5-99999999' }).then((answer) => answer.arrayBuffer()),
    )
    const few = await get(url, `/ipfs/${bomb.cid}`, { range: 'bytes=50000000-50000009' })
    assert.equal(await few.text(), 'xxxxxxxxxx')
    for (const query of ['', '&dag-scope=entity', '&dag-scope=entity&entity-bytes=3:99999990']) {
      const car = await get(url, `/ipfs/${bomb.cid}?format=car${query}`)
      assert.ok((await car.arrayBuffer()).byteLength < 200_000)
    }
  })

  it('a tree that is too deep, claims too much, or says one thing here and another there', async () => {
    const { store, url } = await node()
    const leaf = { cid: await put(store, Buffer.alloc(2000, 'y')), bytes: 2000 }
    let deep: Link = leaf
    for (let level = 0; level < 70; level++) deep = await putFileNode(store, [deep])
    assert.equal(await errorOf(await get(url, `/ipfs/${deep.cid}`)), 'FILE_MALFORMED')
    for (const query of ['', '&dag-scope=entity'])
      await assert.rejects(get(url, `/ipfs/${deep.cid}?format=car${query}`).then((answer) => answer.arrayBuffer()))
    const huge = await putFileNode(store, [{ cid: leaf.cid, bytes: 2 ** 42 }])
    assert.equal(await errorOf(await get(url, `/ipfs/${huge.cid}`)), 'FILE_MALFORMED')
    const liar = await putFileNode(store, [{ cid: leaf.cid, bytes: 5 }])
    assert.equal(await errorOf(await get(url, `/ipfs/${liar.cid}`)), 'FILE_MALFORMED')
    const inner = await putFileNode(store, [leaf])
    const outer = await putFileNode(store, [{ cid: inner.cid, bytes: 99 }])
    await assert.rejects(
      get(url, `/ipfs/${outer.cid}?format=car&dag-scope=entity`).then((answer) => answer.arrayBuffer()),
    )
  })

  it('shards of a directory that lead back to themselves, or nowhere', async () => {
    const { store, url } = await node()
    const shard = () =>
      new UnixFS({ type: 'hamt-sharded-directory', hashType: 0x22n, fanout: 256n, data: new Uint8Array(32) })
    const prefixes = Array.from({ length: 256 }, (_, n) => n.toString(16).toUpperCase().padStart(2, '0'))
    let cid = await put(store, Buffer.from('end'))
    let inner = await putNode(store, shard(), [{ cid, bytes: 3, name: 'FFname' }])
    for (let level = 0; level < 12; level++)
      inner = await putNode(
        store,
        shard(),
        prefixes.map((name) => ({ cid: inner, bytes: 1, name })),
      )
    assert.equal(await errorOf(await get(url, `/ipfs/${inner}/anything`)), 'FOLDER_MALFORMED')
    const listed = await get(url, `/ipfs/${inner}`, { accept: 'application/json' })
    assert.ok(listed.status === 422 || !((await listed.json()) as { isWhole: boolean }).isWhole)
    // two levels of shards that are all the same one: 65,536 shards to look at, of which few are
    cid = await putNode(
      store,
      shard(),
      prefixes.map((name) => ({ cid, bytes: 3, name: `${name}n` })),
    )
    for (let level = 0; level < 2; level++)
      cid = await putNode(
        store,
        shard(),
        prefixes.map((name) => ({ cid, bytes: 1, name })),
      )
    const { entries, isWhole } = (await (await get(url, `/ipfs/${cid}`, { accept: 'application/json' })).json()) as {
      entries: unknown[]
      isWhole: boolean
    }
    assert.equal(entries.length, 1000)
    assert.equal(isWhole, false)
    const odd = new UnixFS({ type: 'hamt-sharded-directory', hashType: 0x22n, fanout: 16n, data: new Uint8Array(2) })
    const mixed = await putNode(
      store,
      shard(),
      prefixes.map((name) => ({ cid, bytes: 1, name })),
    )
    const wrong = await putNode(
      store,
      odd,
      prefixes.slice(0, 16).map((name) => ({ cid: mixed, bytes: 1, name: name[1]! })),
    )
    assert.equal(await errorOf(await get(url, `/ipfs/${wrong}/x`)), 'FOLDER_MALFORMED')
  })
})

describe('a path', () => {
  it('leads nowhere but down', async () => {
    const { store, url } = await node()
    const entry = new UnixFS({ type: 'directory' })
    const file = await put(store, Buffer.from('file'))
    const root = await putNode(store, entry, [
      { cid: file, bytes: 4, name: '..' },
      { cid: file, bytes: 4, name: 'a/b' },
      { cid: file, bytes: 4, name: 'ok' },
    ])
    const { port } = new URL(url)
    const status = (path: string) =>
      new Promise<number>((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1')
        socket.on('error', reject).once('data', (data) => {
          resolve(Number(data.toString().split(' ')[1]))
          socket.destroy()
        })
        socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      })
    for (const path of [
      '/..',
      '/%2e%2e',
      '/%2E%2E/ok',
      '/a%2fb',
      '/a%5cb',
      '/ok%00',
      '/%ff',
      '//ok',
      '/./ok',
      `${'/a'.repeat(65)}`,
      `/${'a'.repeat(5000)}`,
    ])
      assert.equal(await status(`/ipfs/${root}${path}`), 400, path.slice(0, 20))
    assert.equal(await status(`/ipfs/${root}/ok`), 200)
    assert.equal(await status(`/ipfs/${root}/ok/`), 200)
    const page = await (await get(url, `/ipfs/${root}`)).text()
    assert.doesNotMatch(page, /href="[^"]*(\.\.|a\/b)"/)
  })
})

describe('ranges', () => {
  it('many, overlapping, absurd: one answer, without reading a block', async () => {
    const { store, files, url } = await node()
    const { cid } = await files.put(randomBytes(1000))
    await store.get(cid)
    for (const [range, status] of [
      [`bytes=${Array.from({ length: 1000 }, (_, n) => `${n}-${n}`).join(',')}`, 200],
      ['bytes=0-,0-,0-,0-', 200],
      ['bytes=999999999999999999999-', 416],
      [`bytes=${'9'.repeat(2000)}-`, 416],
      ['bytes=0-99999999999999999999999999', 206],
      [`bytes=0-${'9'.repeat(2000)}`, 206],
      ['bytes=-99999999999999999999999999', 206],
      ['bytes=1e3-2e3', 200],
      ['bytes=0x10-0x20', 200],
      ['bytes=--5', 200],
    ] as const)
      for (const format of ['', '?format=raw']) {
        const answer = await get(url, `/ipfs/${cid}${format}`, { range })
        assert.equal(answer.status, status, range.slice(0, 40))
        assert.ok((await answer.arrayBuffer()).byteLength <= 1000)
      }
  })
})

describe('whoever is slow on purpose', () => {
  it('is cut off with a head that does not end, and with none at all', async () => {
    const { store } = await openStore()
    const handle = blockHandler(store, { authorize: () => true })
    const server = createServer(
      { headersTimeout: 300, connectionsCheckingInterval: 100, keepAliveTimeout: 300 },
      (q, s) => void handle(q, s),
    )
    handle.accelerate(server)
    const [host, port] = (await listen(server)).split(':') as [string, string]
    const sockets = Array.from({ length: 20 }, (_, n) => {
      const socket = connect(Number(port), host).on('error', () => undefined)
      socket.resume()
      stops.push(() => void socket.destroy())
      if (n % 2 === 0) socket.write('GET /ipfs/x HTTP/1.1\r\nHost: x\r\nX-Slow: ')
      return socket
    })
    await Promise.all(sockets.map(ended))
  })

  it('is cut off with a body that does not end', async () => {
    const { url } = await node({ transferTimeoutMs: 200 })
    const { port } = new URL(url)
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
    socket.resume()
    socket.write(
      `PUT /v1/blocks/${cidOf(Buffer.from('x'))} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 1000\r\n\r\nx`,
    )
    await ended(socket)
  })

  it('who does not read a long file has a few blocks of it read, and is cut off', async () => {
    const there = await openStore()
    const ref = await there.files.put(randomBytes(40 << 20))
    let reads = 0
    const { url } = await node({
      transferTimeoutMs: 400,
      source: {
        get: async (cid) => {
          reads += 1
          return await there.store.get(cid)
        },
      },
    })
    const { port } = new URL(url)
    for (const format of ['', '?format=car']) {
      reads = 0
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
      socket.write(`GET /ipfs/${ref.cid}${format} HTTP/1.1\r\nHost: x\r\n\r\n`)
      await new Promise((resolve) => socket.once('readable', resolve))
      await new Promise((resolve) => setTimeout(resolve, 1000))
      socket.resume()
      let received = 0
      socket.on('data', (part) => (received += part.byteLength))
      await ended(socket)
      assert.ok(received < 40 << 20, `${received}`)
      assert.ok(reads < 20, `${reads} blocks were read`)
    }
  })

  it('together they hold no more than is allowed; others are told to come again', async () => {
    const { files, url } = await node({ maxInFlightBytes: 6 << 20, transferTimeoutMs: 60_000 })
    const { cid } = await files.put(randomBytes(1 << 20))
    const { port } = new URL(url)
    const ask = `GET /ipfs/${cid} HTTP/1.1\r\nHost: x\r\n\r\n`
    for (let times = 0; times < 2; times++) await (await get(url, `/ipfs/${cid}`)).arrayBuffer()
    // more than the kernel's buffers take, from many, in the fast lane and beside it
    const sockets = Array.from({ length: 12 }, (_, n) => {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
      socket.pause()
      stops.push(() => void socket.destroy())
      socket.write(n % 2 ? ask.repeat(20) : ask)
      return socket
    })
    for (let round = 0; round < 20; round++) {
      for (const socket of sockets) socket.write(ask)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const refused = await get(url, `/ipfs/${cid}`)
    assert.equal(refused.status, 503)
    assert.equal(refused.headers.get('retry-after'), '1')
    for (const socket of sockets) socket.destroy()
    for (;;) {
      const answer = await get(url, `/ipfs/${cid}`)
      await answer.arrayBuffer()
      if (answer.status === 200) break
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })
})
