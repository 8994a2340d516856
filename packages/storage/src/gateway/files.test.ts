import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { CID, cidOf, DAG_CBOR, encode, PinGoError } from '@pingo/wire'
import { exporter } from 'ipfs-unixfs-exporter'
import { blockHandler, DiskCache } from '../index.ts'
import { putDirectory } from '../testing/directory.ts'
import { get, node, openStore, rawRequest, serve, stops } from '../testing/http-node.ts'

const text = async (answer: Response) => await answer.text()
const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')

describe('a file at the gateway', () => {
  it('comes as its bytes, from memory and not, with length, type and tag; known ones not again', async () => {
    const { files, url } = await node()
    const bytes = randomBytes(3_000_000)
    const { cid } = await files.put(bytes)
    for (let times = 0; times < 2; times++) {
      const answer = await get(url, `/ipfs/${cid}`)
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get('content-length'), '3000000')
      assert.equal(answer.headers.get('content-type'), 'application/octet-stream')
      assert.match(answer.headers.get('content-disposition')!, /^attachment/)
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
      assert.match(answer.headers.get('content-security-policy')!, /^sandbox;/)
      assert.match(answer.headers.get('cache-control')!, /immutable/)
      assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes))
      const again = await get(url, `/ipfs/${cid}`, { 'if-none-match': answer.headers.get('etag')! })
      assert.equal(again.status, 304)
    }
    const head = await get(url, `/ipfs/${cid}`, {}, 'HEAD')
    assert.equal(head.headers.get('content-length'), '3000000')
    const small = await files.put(Buffer.from('Grüße'))
    for (let times = 0; times < 3; times++) {
      const answer = await get(url, `/ipfs/${small.cid}`)
      assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.equal(await text(answer), 'Grüße')
      assert.notEqual(answer.headers.get('etag'), (await get(url, `/ipfs/${small.cid}?format=raw`)).headers.get('etag'))
    }
    const empty = await files.put(new Uint8Array(0))
    for (let times = 0; times < 2; times++) {
      const answer = await get(url, `/ipfs/${empty.cid}`)
      assert.equal(answer.headers.get('content-length'), '0')
      assert.equal((await answer.arrayBuffer()).byteLength, 0)
    }
    assert.equal((await get(url, `/ipfs/${cid}`, {}, 'POST')).status, 405)
  })

  it('comes in parts, across its blocks', async () => {
    const { files, url } = await node()
    const bytes = randomBytes(3_500_000)
    const { cid } = await files.put(bytes)
    const tag = (await get(url, `/ipfs/${cid}`, {}, 'HEAD')).headers.get('etag')!
    for (const [range, start, end] of [
      ['bytes=0-0', 0, 1],
      ['bytes=1000000-1100000', 1_000_000, 1_100_001],
      ['bytes=1048576-2097151', 1 << 20, 2 << 20],
      ['bytes=500000-3400000', 500_000, 3_400_001],
      ['bytes=-7', 3_499_993, 3_500_000],
      ['bytes=3499999-999999999999', 3_499_999, 3_500_000],
    ] as const)
      for (const condition of [{}, { 'if-range': tag }] as Record<string, string>[]) {
        const part = await get(url, `/ipfs/${cid}`, { range, ...condition })
        assert.equal(part.status, 206, range)
        assert.equal(part.headers.get('content-range'), `bytes ${start}-${end - 1}/3500000`)
        assert.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(start, end)), range)
      }
    const changed = await get(url, `/ipfs/${cid}`, { range: 'bytes=0-1', 'if-range': '"other"' })
    assert.equal(changed.status, 200)
    assert.equal((await changed.arrayBuffer()).byteLength, 3_500_000)
    const none = await get(url, `/ipfs/${cid}`, { range: 'bytes=3500000-' })
    assert.equal(none.status, 416)
    assert.equal(none.headers.get('content-range'), 'bytes */3500000')
    await none.arrayBuffer()
  })

  it('is shown only when nothing in it could run', async () => {
    const { files, url } = await node()
    for (const [content, type] of [
      [PNG, 'image/png'],
      [Buffer.from('GIF89a......'), 'image/gif'],
      [Buffer.from('\0\0\0\x20ftypisom....', 'latin1'), 'video/mp4'],
      [Buffer.from('<html><script>alert(1)</script>'), 'text/plain; charset=utf-8'],
      [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>'), 'text/plain; charset=utf-8'],
      [Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3', 'latin1'), 'application/octet-stream'],
      [Buffer.from('text\x1b[31m'), 'application/octet-stream'],
      [Buffer.concat([Buffer.alloc(511, 'a'), Buffer.from('ä')]), 'text/plain; charset=utf-8'],
    ] as const) {
      const { cid } = await files.put(content)
      const answer = await get(url, `/ipfs/${cid}`)
      assert.equal(answer.headers.get('content-type'), type)
      assert.match(
        answer.headers.get('content-disposition')!,
        type === 'application/octet-stream' ? /^attachment/ : /^inline/,
      )
      await answer.arrayBuffer()
    }
    const { cid } = await files.put(randomBytes(100))
    const named = await get(url, `/ipfs/${cid}?filename=${encodeURIComponent('a"\r\nx: y\ud83d\ude00.bin')}`)
    assert.equal(
      named.headers.get('content-disposition'),
      "attachment; filename*=UTF-8''a%22%0D%0Ax%3A%20y%F0%9F%98%80.bin",
    )
  })

  it('is found by its path, in plain and in sharded directories, as ipfs-unixfs-exporter finds it', async () => {
    const { store, url } = await node()
    const names = Array.from({ length: 300 }, (_, n) => `file ${n} ü&#?%.txt`)
    const many = Object.fromEntries(names.map((name) => [name, Buffer.from(`I am ${name}`)]))
    for (const shardSplitThresholdBytes of [1 << 20, 100]) {
      const root = await putDirectory(
        store,
        { ...many, 'deep/er/still.bin': randomBytes(1000), 'big.bin': Buffer.alloc(2_500_000, 7) },
        { shardSplitThresholdBytes },
      )
      for (const name of names.filter((_, n) => n % 10 === 0)) {
        const answer = await get(url, `/ipfs/${root}/${encodeURIComponent(name)}`)
        assert.equal(answer.status, 200, name)
        assert.equal(await text(answer), `I am ${name}`)
        const known = await exporter(`${root}/${name}`, {
          get: async function* (cid: never) {
            yield await store.get(cid)
          },
        } as never)
        assert.match(answer.headers.get('etag')!, new RegExp(known.cid.toString()))
      }
      assert.equal((await get(url, `/ipfs/${root}/deep/er/still.bin`)).status, 200)
      const big = await get(url, `/ipfs/${root}/big.bin`, { range: 'bytes=-5' })
      assert.deepEqual(Buffer.from(await big.arrayBuffer()), Buffer.alloc(5, 7))
      for (const missing of ['nothing', 'deep/nothing', 'big.bin/x', 'file 0', '00', 'A1'])
        assert.equal((await get(url, `/ipfs/${root}/${missing}`)).status, 404, missing)
      const block = await get(url, `/ipfs/${root}/deep?format=raw`)
      const deep = cidOf(Buffer.from(await block.arrayBuffer()), 0x70)
      assert.equal(block.headers.get('etag'), `"${deep}"`)
      assert.match(block.headers.get('x-ipfs-roots')!, new RegExp(deep.toString()))

      const listed = await get(url, `/ipfs/${root}/`, { accept: 'application/json' })
      const { entries, isWhole } = (await listed.json()) as {
        entries: { name: string; cid: string }[]
        isWhole: boolean
      }
      assert.ok(isWhole)
      assert.deepEqual(entries.map(({ name }) => name).sort(), [...names, 'deep', 'big.bin'].sort())
      const page = await get(url, `/ipfs/${root}`, { accept: 'text/html' })
      assert.match(page.headers.get('content-type')!, /^text\/html/)
      assert.match(page.headers.get('content-security-policy')!, /^default-src 'none'/)
      assert.match(await text(page), /href="\/ipfs\/[^"]+\/file%200%20%C3%BC%26%23%3F%25\.txt"/)
      const tag = page.headers.get('etag')!
      assert.equal((await get(url, `/ipfs/${root}`, { 'if-none-match': tag })).status, 304)
      assert.equal((await (await get(url, `/ipfs/${root}`, {}, 'HEAD')).arrayBuffer()).byteLength, 0)
    }
  })

  it('a directory shows its list, never a page of its own, and names run nothing', async () => {
    const { store, url } = await node()
    const root = await putDirectory(store, {
      'index.html': Buffer.from('<h1>mine</h1>'),
      '"><script>alert(1)<': Buffer.from('x'),
    })
    const page = await text(await get(url, `/ipfs/${root}`))
    assert.doesNotMatch(page, /mine|<script/)
    assert.match(page, /&lt;script&gt;/)
  })

  it('answers other codecs and broken blocks with an error', async () => {
    const { store, url } = await node()
    const manifest = encode({ hello: 'world' })
    await store.put(cidOf(manifest, DAG_CBOR), manifest)
    assert.equal((await get(url, `/ipfs/${cidOf(manifest, DAG_CBOR)}`)).status, 406)
    assert.equal((await get(url, `/ipfs/${cidOf(manifest, DAG_CBOR)}?format=raw`)).status, 200)
    const noise = randomBytes(50)
    await store.put(cidOf(noise, 0x70), noise)
    assert.equal((await get(url, `/ipfs/${cidOf(noise, 0x70)}`)).status, 422)
    assert.equal((await get(url, `/ipfs/${cidOf(randomBytes(5))}`)).status, 404)
  })
})

describe('what is not here', () => {
  it('is read through a source: streamed, with its root told, kept in memory, asked for no longer when nobody waits', async () => {
    const there = await openStore()
    const bytes = randomBytes(4_000_000)
    const ref = await there.files.put(bytes)
    const asked: { cid: string; root: string | undefined }[] = []
    const waiting = new Set<string>()
    const gates = new Map<string, Promise<void>>()
    const { store, url } = await node({
      source: {
        get: async (cid, { signal, root } = {}) => {
          asked.push({ cid: cid.toString(), root: root?.toString() })
          waiting.add(cid.toString())
          signal?.addEventListener('abort', () => waiting.delete(cid.toString()))
          await gates.get(cid.toString())
          return await there.store.get(cid)
        },
      },
    })
    const chunks = await there.files.chunks(ref.cid)
    const gate = Promise.withResolvers<void>()
    gates.set(chunks.at(-1)!, gate.promise)
    const answer = await get(url, `/ipfs/${ref.cid}`)
    const reader = answer.body!.getReader()
    const first = await reader.read() // the last block has not come yet
    assert.ok(Buffer.from(first.value!).equals(bytes.subarray(0, first.value!.byteLength)))
    gate.resolve()
    const parts = [first.value!]
    for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value)
    assert.ok(Buffer.concat(parts).equals(bytes))
    assert.ok(asked.every(({ root }) => root === ref.cid))
    assert.equal(asked.length, chunks.length)
    assert.ok(Buffer.from(await (await get(url, `/ipfs/${ref.cid}`)).arrayBuffer()).equals(bytes))
    assert.equal(asked.length, chunks.length, 'the second read came from memory')
    assert.equal(store.stats().blocks, 0)

    const other = await there.files.put(randomBytes(100))
    gates.set(other.cid, new Promise(() => {}))
    const stop = new AbortController()
    const hanging = fetch(`${url}/ipfs/${other.cid}`, { signal: stop.signal })
    while (!waiting.has(other.cid)) await new Promise((resolve) => setTimeout(resolve, 5))
    stop.abort()
    await assert.rejects(hanging)
    while (waiting.has(other.cid)) await new Promise((resolve) => setTimeout(resolve, 5))
  })

  it('is told as the source tells it, and a file that breaks off is no whole one', async () => {
    const there = await openStore()
    const ref = await there.files.put(randomBytes(3_000_000))
    const [, , hole] = await there.files.chunks(ref.cid)
    const { url } = await node({
      source: {
        get: async (cid) => {
          if (cid.toString() === hole) throw new PinGoError('SOURCE_UNREACHABLE', 'Nobody answers.')
          return await there.store.get(cid)
        },
      },
    })
    await assert.rejects(get(url, `/ipfs/${ref.cid}`).then((answer) => answer.arrayBuffer()))
    assert.equal((await get(url, `/ipfs/${hole}`)).status, 502)
    assert.equal((await get(url, `/ipfs/${cidOf(randomBytes(4))}`)).status, 404)
  })

  it('stays on disk when it is read again, and outlives the memory', async () => {
    const [there, here] = [await openStore(), await openStore()]
    const disk = DiskCache.open(here.path, here.store, { maxBytes: 64 << 20 })
    stops.push(() => disk.close())
    const bytes = randomBytes(2_500_000)
    const ref = await there.files.put(bytes)
    let asked = 0
    const source = {
      get: async (cid: CID) => {
        asked += 1
        return await there.store.get(cid)
      },
    }
    const start = () => {
      const handle = blockHandler(here.store, { authorize: () => false, source, disk })
      return serve(handle)
    }
    const url = await start()
    for (let times = 0; times < 4; times++) {
      const answer = await get(url, `/ipfs/${ref.cid}`)
      assert.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes))
      if (times === 0)
        for (const cid of await there.files.chunks(ref.cid)) disk.offer(CID.parse(cid), await there.store.get(cid)) // as a source does
    }
    while (here.store.stats().blocks < asked) await new Promise((resolve) => setTimeout(resolve, 5))
    await here.store.gc()
    const before = asked
    const again = await get(await start(), `/ipfs/${ref.cid}`)
    assert.ok(Buffer.from(await again.arrayBuffer()).equals(bytes))
    assert.equal(asked, before)
  })

  it('a block that was removed is served no longer', async () => {
    const { store, files, url } = await node()
    const { cid } = await files.put(randomBytes(50))
    for (let times = 0; times < 3; times++) assert.equal((await get(url, `/ipfs/${cid}`)).status, 200)
    await store.delete(cid)
    assert.equal((await get(url, `/ipfs/${cid}`)).status, 404)
  })
})

const hasCurl = spawnSync('curl', ['--version']).status === 0
const curl = async (...args: string[]) =>
  (await promisify(execFile)('curl', ['-sS', ...args], { encoding: 'buffer', maxBuffer: 1e8 })).stdout

it('curl continues, takes parts, asks conditionally and reads heads', { skip: !hasCurl }, async () => {
  const { files, url } = await node()
  const bytes = randomBytes(2_000_000)
  const { cid } = await files.put(bytes)
  const target = `${url}/ipfs/${cid}`
  assert.ok((await curl(target)).equals(bytes))
  assert.ok((await curl('-C', '1500000', target)).equals(bytes.subarray(1_500_000)))
  assert.ok((await curl('-r', '10-19', target)).equals(bytes.subarray(10, 20)))
  const head = (await curl('-I', target)).toString()
  assert.match(head, /^HTTP\/1\.1 200 /)
  assert.match(head, /content-length: 2000000/i)
  const tag = /etag: (\S+)/i.exec(head)![1]!
  const status = await curl('-o', '/dev/null', '-w', '%{http_code}', '-H', `If-None-Match: ${tag}`, target)
  assert.equal(status.toString(), '304')
})

it('keeps a connection for requests one after the other, and for those sent at once', async () => {
  const { files, url } = await node()
  const { cid } = await files.put(Buffer.from('twice'))
  const ask = (how: string) => `GET /ipfs/${cid} HTTP/1.1\r\nHost: x\r\nConnection: ${how}\r\n\r\n`
  const answers = await rawRequest(url, ask('keep-alive').repeat(5) + ask('close'))
  assert.equal(answers.split('HTTP/1.1 200 OK').length - 1, 6)
  assert.equal(answers.split('twice').length - 1, 6)
})
