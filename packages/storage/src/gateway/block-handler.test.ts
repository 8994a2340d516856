import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CarReader } from '@ipld/car'
import { cidOf } from '@pingo/wire'
import { get, node, rawRequest } from '../testing/http-node.ts'

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
    for (const range of ['bytes=1000-', 'bytes=-0', 'bytes=99999999999999999999-']) {
      const none = await get(url, `/ipfs/${cid}?format=raw`, { range })
      assert.equal(none.status, 416, range)
      assert.equal(none.headers.get('content-range'), 'bytes */1000')
      await none.arrayBuffer()
    }
    for (const range of ['bytes=5-1', 'lines=1-2', 'bytes=a-b', 'bytes=-', 'bytes=0-1,5-6'])
      assert.equal((await get(url, `/ipfs/${cid}?format=raw`, { range })).status, 200, range)

    const head = await get(url, `/ipfs/${cid}?format=raw`, {}, 'HEAD')
    assert.equal(head.status, 200)
    assert.equal(head.headers.get('content-length'), '1000')
    assert.equal((await head.arrayBuffer()).byteLength, 0)
    for (const tag of [`"${cid}"`, `W/"${cid}"`, `"other", "${cid}"`, '*'])
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
