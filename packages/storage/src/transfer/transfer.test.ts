import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { CarReader } from '@ipld/car'
import { cidOf, createIdentity, DAG_CBOR, encode, isPinGoError, type PinGoError } from '@pingo/wire'
import {
  type BlockHandlerOptions,
  BlockStore,
  type BlockStoreOptions,
  blockHandler,
  FileStore,
  fetchFile,
  HttpPool,
  makeCertificate,
  pushFile,
  request,
} from '../index.ts'

const stops: (() => Promise<unknown> | unknown)[] = []
after(async () => {
  for (const stop of stops.toReversed()) await stop()
})
const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error), `not a PinGoError: ${error}`)
  assert.equal(error.code, expected, error.message)
  return true
}

async function openStore(o: BlockStoreOptions = {}) {
  const path = await mkdtemp(join(tmpdir(), 'pingo-transfer-'))
  const store = await BlockStore.open(path, o)
  stops.push(async () => {
    await store.close()
    await rm(path, { recursive: true, force: true })
  })
  return { path, store, files: new FileStore(store) }
}
type Handle = (request: IncomingMessage, response: ServerResponse) => unknown
async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stops.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
const serve = async (handle: Handle) => `http://${await listen(createServer((q, s) => void handle(q, s)))}`
async function node(o: Partial<BlockHandlerOptions> = {}) {
  const opened = await openStore()
  const asked: string[] = []
  const handle = blockHandler(opened.store, { authorize: (q) => q.headers.authorization === 'Bearer secret', ...o })
  const url = await serve((q, s) => {
    asked.push(`${q.method} ${q.url} ${q.headers.range ?? ''}`.trim())
    if (!handle(q, s)) s.writeHead(404).end('elsewhere')
  })
  return { ...opened, url, asked, handle }
}
const get = (url: string, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(url + path, { headers, method })
/** The head of an answer to a request as it is, with no client that tidies it up. */
async function rawRequest(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.end(text)
  return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString('latin1')
}

describe('the data plane', () => {
  it('serves a block as the trustless gateway does: whole, parts, heads, not again what is known', async () => {
    const { files, url } = await node()
    const bytes = randomBytes(1000)
    const { cid } = await files.put(bytes)
    const whole = await get(url, `/ipfs/${cid}?format=raw`)
    assert.equal(whole.status, 200)
    assert.equal(whole.headers.get('content-type'), 'application/vnd.ipld.raw')
    assert.equal(whole.headers.get('etag'), `"${cid}"`)
    assert.match(whole.headers.get('cache-control')!, /immutable/)
    assert.equal(whole.headers.get('accept-ranges'), 'bytes')
    assert.equal(whole.headers.get('content-length'), '1000')
    assert.equal(whole.headers.get('x-content-type-options'), 'nosniff')
    assert.match(whole.headers.get('content-disposition')!, /attachment/)
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), bytes)
    assert.equal((await get(url, `/ipfs/${cid}`, { accept: 'application/vnd.ipld.raw' })).status, 200)

    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=10-19', 10, 20],
      ['bytes=990-', 990, 1000],
      ['bytes=-10', 990, 1000],
      ['bytes=500-99999', 500, 1000],
      ['bytes=-99999', 0, 1000],
    ] as const) {
      const part = await get(url, `/ipfs/${cid}?format=raw`, { range })
      assert.equal(part.status, 206, range)
      assert.equal(part.headers.get('content-range'), `bytes ${start}-${end - 1}/1000`)
      assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(start, end))
    }
    for (const range of ['bytes=1000-', 'bytes=-0', 'bytes=0-1,5-6']) {
      const none = await get(url, `/ipfs/${cid}?format=raw`, { range })
      assert.equal(none.status, 416, range)
      assert.equal(none.headers.get('content-range'), 'bytes */1000')
      await none.arrayBuffer()
    }
    for (const range of ['bytes=5-1', 'lines=1-2', 'bytes=a-b', 'bytes=-'])
      assert.equal((await get(url, `/ipfs/${cid}?format=raw`, { range })).status, 200, range)

    const head = await get(url, `/ipfs/${cid}?format=raw`, {}, 'HEAD')
    assert.equal(head.status, 200)
    assert.equal(head.headers.get('content-length'), '1000')
    assert.equal((await head.arrayBuffer()).byteLength, 0)
    for (const tag of [`"${cid}"`, `W/"${cid}"`, `"other", "${cid}.raw"`, '*'])
      assert.equal((await get(url, `/ipfs/${cid}?format=raw`, { 'if-none-match': tag })).status, 304, tag)
    assert.equal((await get(url, `/ipfs/${cid}?format=raw`, { 'if-none-match': '"other"' })).status, 200)
  })

  it('serves a file as CAR', async () => {
    const { files, url } = await node()
    const ref = await files.put(randomBytes(2_500_000))
    const answer = await get(url, `/ipfs/${ref.cid}?format=car`)
    assert.match(answer.headers.get('content-type')!, /^application\/vnd\.ipld\.car; version=1/)
    const reader = await CarReader.fromBytes(new Uint8Array(await answer.arrayBuffer()))
    assert.deepEqual((await reader.getRoots()).map(String), [ref.cid])
    const blocks = await Array.fromAsync(reader.blocks())
    assert.deepEqual(
      blocks.map(({ cid }) => cid.toString()),
      await files.chunks(ref.cid),
    )
    assert.equal((await get(url, `/ipfs/${ref.cid}?format=car`, {}, 'HEAD')).status, 200)
    // a file with a hole is broken off, not ended as if it were whole
    await files.blocks.delete((await files.chunks(ref.cid))[2]!)
    await assert.rejects(get(url, `/ipfs/${ref.cid}?format=car`).then((broken) => broken.arrayBuffer()))
  })

  it('answers for its own paths alone, and no path leads out of it', async () => {
    const { store, files, url, path, handle } = await node()
    const { cid } = await files.put(Buffer.from('here'))
    await writeFile(join(path, 'secret'), 'secret')
    for (const other of ['/', '/v1/jobs', '/ipfs', '/v1/blocks', '/metrics'])
      assert.equal((await get(url, other)).status, 404)
    assert.equal(handle({ url: '/v1/jobs', method: 'GET' } as IncomingMessage, {} as ServerResponse), false)
    for (const [target, status] of [
      ['/ipfs/../secret', 400],
      ['/ipfs/..%2fsecret?format=raw', 400],
      [`/ipfs/${cid}/../../secret?format=raw`, 400],
      ['/ipfs//etc/passwd', 400],
      ['/ipfs/nonsense?format=raw', 400],
      ['/ipfs/bafkqaaa?format=raw', 400],
      [`/ipfs/${cid}`, 406],
      [`/ipfs/${cid}?format=tar`, 406],
      [`/ipfs/${cidOf(randomBytes(9))}?format=raw`, 404],
      [`/ipfs/${cidOf(randomBytes(9))}?format=car`, 404],
    ] as const) {
      const answer = await rawRequest(url, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), target)
      assert.match(answer, /"error":\{"code":"[A-Z_]+","message":/)
      assert.doesNotMatch(answer, /immutable/i, 'an error is not cached')
    }
    assert.equal((await get(url, `/ipfs/${cid}?format=raw`, {}, 'DELETE')).status, 405)
    assert.equal((await get(url, `/v1/blocks/${cid}`)).status, 405)
    assert.equal(store.stats().blocks, 1)
  })

  it('takes blocks from whom it authorizes, whole ones only, within its limits', async () => {
    const { store, url } = await node({ maxBlockBytes: 2000 })
    const block = randomBytes(1000)
    const cid = cidOf(block).toString()
    const put = (target: string, body: Uint8Array<ArrayBuffer>, authorization = 'Bearer secret') =>
      fetch(`${url}/v1/blocks/${target}`, { method: 'PUT', body, headers: { authorization } })
    assert.equal((await put(cid, block, 'Bearer wrong')).status, 401)
    assert.equal((await put(cid, randomBytes(1000))).status, 400)
    assert.equal((await put(cid, block.subarray(0, 999))).status, 400)
    assert.equal((await put(cidOf(randomBytes(3000)).toString(), randomBytes(3000))).status, 413)
    assert.equal(store.stats().blocks, 0)
    assert.equal((await put(cid, block)).status, 201)
    assert.equal((await put(cid, block)).status, 200)
    const chunked = await rawRequest(
      url,
      `PUT /v1/blocks/${cid} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer secret\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    )
    assert.match(chunked, /^HTTP\/1.1 411 /)
    const other = cidOf(randomBytes(5)).toString()
    const missing = (body: string, authorization = 'Bearer secret') =>
      fetch(`${url}/v1/blocks/missing`, { method: 'POST', body, headers: { authorization } })
    const answer = await missing(JSON.stringify({ cids: [cid, other] }))
    assert.deepEqual(await answer.json(), { missing: [other] })
    assert.equal((await missing(JSON.stringify({ cids: [cid] }), '')).status, 401)
    for (const wrong of [
      '',
      '{',
      '[]',
      '{"cids":[1]}',
      '{"cids":["x"]}',
      JSON.stringify({ cids: Array(5000).fill(cid) }),
    ])
      assert.equal((await missing(wrong)).status, 400, wrong.slice(0, 20))
  })

  it('holds no more than allowed for readers that do not read, and ends them', async () => {
    const { files, url } = await node({ transferTimeoutMs: 500, maxInFlightBytes: 5 << 20 })
    const cids = await Promise.all(Array.from({ length: 8 }, async () => (await files.put(randomBytes(1 << 20))).cid))
    const { hostname, port } = new URL(url)
    const ask = (cid: string, how: string) =>
      `GET /ipfs/${cid}?format=raw HTTP/1.1\r\nHost: x\r\nConnection: ${how}\r\n\r\n`
    const answers = await Promise.all(
      cids.map(async (cid) => {
        const socket = connect(Number(port), hostname)
        socket.on('error', () => {})
        socket.pause()
        // pipelined, so that more is asked for than the kernel's buffers take
        socket.write(ask(cid, 'keep-alive').repeat(7) + ask(cid, 'close'))
        await new Promise((resolve) => setTimeout(resolve, 700))
        const parts: Buffer[] = []
        await (async () => {
          for await (const part of socket as AsyncIterable<Buffer>) parts.push(part)
        })().catch(() => undefined)
        return Buffer.concat(parts)
      }),
    )
    const bytes = answers.reduce((sum, answer) => sum + answer.byteLength, 0)
    assert.ok(bytes < 40 << 20, `${bytes} bytes of 64 MiB were sent`)
    assert.equal((await get(url, `/ipfs/${cids[0]}?format=raw`)).status, 200)
  })
})

describe('a fetch', () => {
  it('brings a file from several sources, only what is missing, each block checked', async () => {
    const [a, b, here] = [await node(), await node(), await openStore()]
    const bytes = randomBytes(9_300_000)
    const ref = await a.files.put(bytes)
    await b.files.put(bytes)
    const half = (await a.files.chunks(ref.cid)).slice(0, 5)
    for (const cid of half) await here.store.put(cid, await a.store.get(cid))
    const seen: number[] = []
    await fetchFile(ref, [{ url: a.url }, { url: `${b.url}/` }], here.store, {
      onProgress: ({ bytes: done, totalBytes }) => {
        assert.equal(totalBytes, ref.bytes)
        seen.push(done)
      },
    })
    assert.equal(seen.at(-1), ref.bytes)
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    assert.equal(a.asked.length + b.asked.length, 5)
    assert.ok(a.asked.length > 0 && b.asked.length > 0, 'both were asked')
    await fetchFile(ref.cid, [], here.store) // all is here
    const manifest = encode({ hello: 'world' })
    const root = cidOf(manifest, DAG_CBOR)
    await a.store.put(root, manifest)
    await fetchFile(root, [{ url: a.url }], here.store)
    assert.ok(here.store.has(root))
  })

  it('drops a source that lies, one that sends too much, one that refuses, and ends with the honest one', async () => {
    const [honest, here] = [await node(), await openStore()]
    const bytes = randomBytes(4_500_000)
    const ref = await honest.files.put(bytes)
    let lies = 0
    const liar = await serve((_, s) => {
      lies += 1
      s.writeHead(200).end(randomBytes(1 << 20))
    })
    const flood = await serve((_, s) => {
      s.writeHead(200)
      const pump = (): void => {
        while (!s.destroyed && s.write(Buffer.alloc(1 << 20)));
        s.once('drain', pump)
      }
      pump()
    })
    const closed = await serve((_, s) => void s.writeHead(401).end())
    await fetchFile(ref, [{ url: liar }, { url: flood }, { url: closed }, { url: honest.url }], here.store)
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    assert.ok(lies <= 16, `the liar was asked ${lies} times`)
  })

  it('goes on where a block broke off', async () => {
    const [there, here] = [await node(), await openStore()]
    const bytes = randomBytes(1 << 20)
    const ref = await there.files.put(bytes)
    const ranges: (string | undefined)[] = []
    const flaky = await serve((q, s) => {
      ranges.push(q.headers.range)
      const start = Number(/bytes=(\d+)-/.exec(q.headers.range ?? 'bytes=0-')![1])
      s.writeHead(start ? 206 : 200, {
        'content-length': bytes.length - start,
        ...(start ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
      })
      // 300 kB at a time, then the line is cut
      s.write(bytes.subarray(start, start + 300_000), () => setTimeout(() => s.destroy(), 20))
    })
    await fetchFile(ref, [{ url: flaky }], here.store)
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    assert.ok(ranges.length >= 4)
    assert.equal(ranges[0], undefined)
    assert.match(ranges[1]!, /^bytes=[1-9]\d*-$/)
  })

  it('puts no blame on an honest source for the piece of a liar', async () => {
    const [there, here] = [await node(), await openStore()]
    const bytes = randomBytes(1 << 20)
    const ref = await there.files.put(bytes)
    const liar = await serve((_, s) => {
      s.writeHead(200, { 'content-length': bytes.length })
      s.write(randomBytes(200_000), () => setTimeout(() => s.destroy(), 20))
    })
    await fetchFile(ref, [{ url: liar }, { url: there.url }], here.store)
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
  })

  it('repairs what the disk damaged', async () => {
    const [there, here] = [await node({ cacheBytes: 0 }), await openStore()]
    const bytes = randomBytes(3_000_000)
    const ref = await there.files.put(bytes)
    await fetchFile(ref, [{ url: there.url }], here.store)
    const victim = (await here.files.chunks(ref.cid))[2]!
    const hex = Buffer.from(cidOf(await there.store.get(victim)).multihash.digest).toString('hex')
    await writeFile(join(here.path, 'blocks', hex.slice(0, 2), hex.slice(2, 4), hex), randomBytes(1 << 20))
    await assert.rejects(here.files.readAll(ref), code('BLOCK_CORRUPT'))
    await fetchFile(ref, [{ url: there.url }], here.store)
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    await writeFile(join(here.path, 'blocks', hex.slice(0, 2), hex.slice(2, 4), hex), randomBytes(10))
    await fetchFile(ref, [{ url: there.url }], here.store) // found without anybody having read it
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    // a holder whose own copy is damaged says that it has none
    const there2 = hex
    await writeFile(join(there.path, 'blocks', there2.slice(0, 2), there2.slice(2, 4), there2), randomBytes(10))
    await here.store.delete(victim)
    await assert.rejects(fetchFile(ref, [{ url: there.url }], here.store), code('FETCH_FAILED'))
  })

  it('that cannot succeed says why, source by source, in time; what came is kept', async () => {
    const [there, here] = [await node(), await openStore()]
    const ref = await there.files.put(randomBytes(3_000_000))
    const gone = await serve(() => {})
    const [chunk] = (await there.files.chunks(ref.cid)).slice(-1)
    await there.store.delete(chunk!)
    await assert.rejects(
      fetchFile(ref, [{ url: there.url }, { url: 'http://127.0.0.1:1' }, { url: gone }], here.store, {
        timeoutMs: 100,
      }),
      (error: PinGoError) => {
        code('FETCH_FAILED')(error)
        assert.match(error.message, /does not have it/)
        assert.match(error.message, /refused/)
        assert.match(error.message, /too slow/)
        return true
      },
    )
    assert.ok(here.store.has(ref.cid))
    await assert.rejects(fetchFile(ref, [], here.store), code('FETCH_FAILED'))
    for (const url of ['ftp://x', 'nonsense', ''])
      await assert.rejects(fetchFile(ref, [{ url }], here.store), code('SOURCE_INVALID'))
    await assert.rejects(fetchFile(ref, [{ url: 'http://x', pin: 'a'.repeat(64) }], here.store), code('SOURCE_INVALID'))
    await assert.rejects(fetchFile({ ...ref, bytes: 5 }, [{ url: there.url }], here.store), code('FILE_SIZE_MISMATCH'))
    const full = await openStore({ quotaBytes: 1_500_000 })
    await assert.rejects(fetchFile(ref, [{ url: there.url }], full.store), isPinGoError)
  })

  it('ends at once when it is not wanted any more', async () => {
    const here = await openStore()
    const started = Promise.withResolvers<void>()
    const silent = await serve(() => started.resolve())
    const stop = new AbortController()
    const fetching = fetchFile(cidOf(randomBytes(5)).toString(), [{ url: silent }], here.store, { signal: stop.signal })
    await started.promise
    const why = new Error('not wanted')
    stop.abort(why)
    await assert.rejects(fetching, (error) => error === why)
    await assert.rejects(
      fetchFile(cidOf(randomBytes(5)), [], here.store, { signal: stop.signal }),
      (error) => error === why,
    )
  })
})

describe('a push', () => {
  it('sends what the target misses, and goes on after a failure', async () => {
    const [from, target] = [await openStore(), await node()]
    const bytes = randomBytes(6_200_000)
    const ref = await from.files.put(bytes)
    const [, , third] = await from.files.chunks(ref.cid)
    await target.store.put(third!, await from.store.get(third!))
    const progress: number[] = []
    await pushFile(
      ref.cid,
      from.store,
      { url: target.url, token: 'secret' },
      { onProgress: ({ blocks }) => progress.push(blocks) },
    )
    assert.ok(Buffer.from(await target.files.readAll(ref)).equals(bytes))
    assert.equal(target.asked.filter((line) => line.startsWith('PUT')).length, 6)
    assert.equal(progress.at(-1), 7)
    await pushFile(ref.cid, from.store, { url: target.url, token: 'secret' })
    assert.equal(target.asked.filter((line) => line.startsWith('PUT')).length, 6, 'nothing is sent twice')
  })

  it('says what is wrong: the token, the target’s disk, an address that is no node, a file that is not here', async () => {
    const from = await openStore()
    const ref = await from.files.put(randomBytes(2_000_000))
    const target = await node()
    await assert.rejects(pushFile(ref.cid, from.store, { url: target.url, token: 'wrong' }), code('UNAUTHORIZED'))
    await assert.rejects(pushFile(ref.cid, from.store, { url: target.url }), code('UNAUTHORIZED'))
    const small = await openStore({ quotaBytes: 1000 })
    const handle = blockHandler(small.store, { authorize: () => true })
    await assert.rejects(pushFile(ref.cid, from.store, { url: await serve(handle) }), code('QUOTA_EXCEEDED'))
    const stranger = await serve((_, s) => void s.end('<html>'))
    await assert.rejects(pushFile(ref.cid, from.store, { url: stranger }), code('PUSH_FAILED'))
    await assert.rejects(pushFile(ref.cid, from.store, { url: 'http://127.0.0.1:1' }), code('SOURCE_UNREACHABLE'))
    await assert.rejects(
      pushFile(cidOf(randomBytes(5)), from.store, { url: target.url, token: 'secret' }),
      code('BLOCK_MISSING'),
    )
  })
})

describe('between machines', () => {
  it('a source is known by its certificate’s fingerprint: the right one is served, another is refused', async () => {
    const [there, here] = [await node(), await openStore()]
    const identity = await createIdentity()
    const { key, cert, fingerprint } = await makeCertificate(identity)
    assert.match(fingerprint, /^[0-9a-f]{64}$/)
    assert.notEqual((await makeCertificate(identity)).fingerprint, fingerprint)
    const url = `https://${await listen(createTlsServer({ key, cert }, (q, s) => void there.handle(q, s)))}`
    const bytes = randomBytes(5_000_000)
    const ref = await there.files.put(bytes)
    const pool = new HttpPool()
    stops.push(() => pool.close())
    await fetchFile(ref, [{ url, pin: fingerprint.toUpperCase() }], here.store, { pool })
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    const other = await openStore()
    await assert.rejects(fetchFile(ref, [{ url, pin: 'a'.repeat(64) }], other.store), (error: PinGoError) => {
      code('FETCH_FAILED')(error)
      assert.match(error.message, /another certificate/)
      return true
    })
    await assert.rejects(fetchFile(ref, [{ url }], other.store, { timeoutMs: 2000 }), code('FETCH_FAILED'))
    await assert.rejects(request({ url, pin: 'b'.repeat(64) }, '/ipfs/x'), code('SOURCE_UNTRUSTED'))
    await assert.rejects(request({ url }, '/ipfs/x'), code('SOURCE_UNREACHABLE'))
    const answer = await request({ url, pin: fingerprint }, `/ipfs/${ref.cid}?format=raw`, {}, pool)
    assert.equal(answer.status, 200)
    await assert.rejects(
      request({ url, pin: fingerprint }, `/ipfs/${ref.cid}?format=raw`, { maxBytes: 10 }, pool),
      code('ANSWER_TOO_LARGE'),
    )
  })

  it('connections are used again, and one that was closed meanwhile is made anew', async () => {
    let sockets = 0
    const server = createServer((_, s) => void s.end('ok'))
    server.on('connection', () => (sockets += 1))
    const url = `http://${await listen(server)}`
    const pool = new HttpPool()
    stops.push(() => pool.close())
    for (let n = 0; n < 5; n++) assert.equal((await request({ url }, '/', {}, pool)).status, 200)
    assert.equal(sockets, 1)
    for (let n = 0; n < 5; n++) {
      server.closeAllConnections()
      assert.equal(Buffer.from((await request({ url }, '/', {}, pool)).body).toString(), 'ok')
    }
  })
})
