import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { cidOf, createIdentity, DAG_CBOR, encode, isPinGoError, type PinGoError } from '@pingo/wire'
import { blockHandler, fetchFile, HttpPool, makeCertificate, pushFile, request } from '../index.ts'
import { code, listen, node, openStore, serve, stops } from '../testing/http-node.ts'

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
    await writeFile(join(here.path, 'blocks', hex.slice(0, 2), hex), randomBytes(1 << 20))
    await assert.rejects(here.files.readAll(ref), code('BLOCK_CORRUPT'))
    await fetchFile(ref, [{ url: there.url }], here.store)
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    await writeFile(join(here.path, 'blocks', hex.slice(0, 2), hex), randomBytes(10))
    await fetchFile(ref, [{ url: there.url }], here.store) // found without anybody having read it
    assert.ok(Buffer.from(await here.files.readAll(ref)).equals(bytes))
    // a holder whose own copy is damaged says that it has none
    const there2 = hex
    await writeFile(join(there.path, 'blocks', there2.slice(0, 2), there2), randomBytes(10))
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
