import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { cidOf, PinGoError } from '@pingo/wire'
import { putDirectory } from '../testing/directory.ts'
import { get, node, rawRequest } from '../testing/http-node.ts'
import { formOf, prefersJson } from './accept.ts'
import { originForm } from './read-request.ts'

const [RAW, CAR] = ['application/vnd.ipld.raw', 'application/vnd.ipld.car']

describe('what Accept chooses', () => {
  it('is told to caches, in every form, status and from every way to it', async () => {
    const { store, files, url } = await node()
    const small = await files.put(Buffer.from('small'))
    const large = await files.put(randomBytes(2_500_000))
    const root = await putDirectory(store, { a: Buffer.from('x') })
    for (const path of [`/ipfs/${small.cid}`, `/ipfs/${large.cid}`, `/ipfs/${root}`, `/ipfs/${root}/a`])
      for (const accept of ['*/*', RAW, CAR, 'application/json'])
        for (const method of ['GET', 'HEAD', 'GET']) {
          const answer = await get(url, path, { accept }, method)
          await answer.arrayBuffer()
          assert.match(answer.headers.get('vary') ?? '', /\baccept\b/i, `${method} ${path} ${accept}`)
          const tag = answer.headers.get('etag')!
          const known = await get(url, path, { accept, 'if-none-match': tag }, method)
          assert.equal(known.status, 304)
          assert.match(known.headers.get('vary') ?? '', /\baccept\b/i)
          assert.equal(known.headers.get('content-type'), null)
        }
  })

  it('goes by weights', () => {
    for (const [accept, form] of [
      ['', 'file'],
      ['*/*', 'file'],
      [RAW, 'raw'],
      [CAR, 'car'],
      [`${CAR}; version=1; order=dfs; dups=n`, 'car'],
      [`${RAW};q=0`, 'file'],
      [`${RAW};q=0, ${CAR}`, 'car'],
      [`${RAW};q=0.3,${CAR};q=0.8`, 'car'],
      [`${CAR};q=0.3 , ${RAW};q=0.8`, 'raw'],
      [`${RAW}, */*;q=0.8`, 'raw'],
      [`${RAW}, */*`, 'raw'],
      [`text/html, ${RAW};q=0.5, */*;q=0.1`, 'file'],
      [`application/VND.ipld.RAW`, 'raw'],
      ['application/vnd.ipld.raw+x', 'file'],
      [`${RAW};q=nonsense`, 'raw'],
      ['image/avif,image/webp,*/*;q=0.8', 'file'],
      ['__proto__, constructor', 'file'],
    ] as const)
      assert.equal(formOf(accept), form, accept)
    for (const [accept, isJson] of [
      ['application/json', true],
      ['application/json, text/plain, */*', true],
      ['text/html, application/json;q=0.9', false],
      ['text/html;q=0.5, application/json;q=0.9', true],
      ['text/html, application/json;q=0', false],
      ['application/json;q=0', false],
      ['text/html,application/xhtml+xml,*/*;q=0.8', false],
      ['*/*', false],
    ] as const)
      assert.equal(prefersJson(accept), isJson, accept)
  })
})

describe('a condition', () => {
  it('holds for the very form that its tag names', async () => {
    const { files, url } = await node()
    const { cid } = await files.put(Buffer.from('one block, three forms'))
    const tags = { [RAW]: `"${cid}"`, '*/*': `"${cid}.file"`, [CAR]: `W/"${cid}.car"` }
    for (const [accept, own] of Object.entries(tags)) {
      assert.equal((await get(url, `/ipfs/${cid}`, { accept })).headers.get('etag'), own)
      for (const tag of [...Object.values(tags), `"${cid}.car"`, `"${cid}.raw"`, `W/"${cid}"`, 'W/"a,b"', `${cid}`]) {
        const known = await get(url, `/ipfs/${cid}`, { accept, 'if-none-match': `"other", ${tag}` })
        const isOwn = tag.replace('W/', '') === own.replace('W/', '')
        assert.equal(known.status, isOwn ? 304 : 200, `${accept} has ${own}, asker ${tag}`)
        // If-Match compares strongly: a weak tag never matches
        const wanted = await get(url, `/ipfs/${cid}`, { accept, 'if-match': `"other", ${tag}` })
        assert.equal(wanted.status, tag === own && accept !== CAR ? 200 : 412, `${accept} has ${own}, asker ${tag}`)
        assert.equal(wanted.headers.get('cache-control')?.includes('immutable'), wanted.status === 200)
      }
      assert.equal((await get(url, `/ipfs/${cid}`, { accept, 'if-match': '*' })).status, 200)
      assert.equal((await get(url, `/ipfs/${cid}`, { accept, 'if-none-match': '*' })).status, 304)
    }
  })

  it('is none for what is not here', async () => {
    const { url } = await node()
    const cid = cidOf(randomBytes(5))
    for (const accept of [RAW, CAR, '*/*'])
      assert.equal((await get(url, `/ipfs/${cid}`, { accept, 'if-none-match': '*' })).status, 404, accept)
  })

  it('lets a range count only with a strong tag, and dates not at all', async () => {
    const { files, url } = await node()
    const { cid } = await files.put(Buffer.from('0123456789'))
    for (const [condition, status] of [
      [`"${cid}.file"`, 206],
      [`W/"${cid}.file"`, 200],
      [`"${cid}"`, 200],
      ['Wed, 21 Oct 2015 07:28:00 GMT', 200],
    ] as const)
      assert.equal((await get(url, `/ipfs/${cid}`, { range: 'bytes=1-2', 'if-range': condition })).status, status)
    const date = 'Wed, 21 Oct 2015 07:28:00 GMT'
    for (const name of ['if-modified-since', 'if-unmodified-since'])
      assert.equal((await get(url, `/ipfs/${cid}`, { [name]: date })).status, 200)
  })
})

describe('a range', () => {
  it('is for GET alone', async () => {
    const { files, url } = await node()
    const { cid } = await files.put(randomBytes(2_500_000))
    for (const path of [`/ipfs/${cid}`, `/ipfs/${cid}?format=raw`])
      for (const range of ['bytes=0-9', 'bytes=99999999-']) {
        const head = await get(url, path, { range }, 'HEAD')
        assert.equal(head.status, 200)
        assert.equal(head.headers.get('content-range'), null)
        assert.equal(head.headers.get('content-length'), (await get(url, path)).headers.get('content-length'))
      }
  })

  it('that cannot be had is told as what it is, and not kept', async () => {
    const { files, url } = await node()
    const { cid } = await files.put(Buffer.from('0123456789'))
    for (const path of [`/ipfs/${cid}`, `/ipfs/${cid}?format=raw`]) {
      const none = await get(url, path, { range: 'bytes=10-' })
      assert.equal(none.status, 416)
      assert.equal(none.headers.get('content-range'), 'bytes */10')
      assert.equal(none.headers.get('cache-control'), 'no-store')
      assert.equal(none.headers.get('etag'), null)
      assert.equal(none.headers.get('content-type'), 'application/json')
      assert.equal(((await none.json()) as { error: { code: string } }).error.code, 'RANGE_UNSATISFIABLE')
    }
    const empty = await files.put(new Uint8Array(0))
    assert.equal((await get(url, `/ipfs/${empty.cid}`, { range: 'bytes=-5' })).status, 200)
    assert.equal((await get(url, `/ipfs/${empty.cid}`, { range: 'bytes=0-' })).status, 416)
  })
})

describe('a page from elsewhere', () => {
  it('may ask what it may ask, and see what it is told', async () => {
    const { files, url, store } = await node()
    const { cid } = await files.put(Buffer.from('0123456789'))
    const root = await putDirectory(store, { a: Buffer.from('x') })
    const asks = {
      origin: 'https://elsewhere.example',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'range, if-none-match',
    }
    const may = await get(url, `/ipfs/${cid}`, asks, 'OPTIONS')
    assert.equal(may.status, 204)
    assert.equal(may.headers.get('access-control-allow-origin'), '*')
    assert.match(may.headers.get('access-control-allow-methods')!, /GET, HEAD/)
    const allowed = may.headers.get('access-control-allow-headers')!.split(', ')
    for (const name of ['range', 'if-none-match', 'accept']) assert.ok(allowed.includes(name), name)
    assert.ok(Number(may.headers.get('access-control-max-age')) > 0)
    assert.match(may.headers.get('allow')!, /OPTIONS/)
    for (const [path, headers, status] of [
      [`/ipfs/${cid}`, {}, 200],
      [`/ipfs/${cid}`, { range: 'bytes=1-2' }, 206],
      [`/ipfs/${cid}`, { range: 'bytes=99-' }, 416],
      [`/ipfs/${cid}?format=raw`, {}, 200],
      [`/ipfs/${cid}?format=car`, {}, 200],
      [`/ipfs/${root}`, {}, 200],
      [`/ipfs/${root}/nothing`, {}, 404],
      ['/ipfs/nonsense', {}, 400],
    ] as const) {
      const answer = await get(url, path, headers as Record<string, string>)
      await answer.arrayBuffer()
      assert.equal(answer.status, status, path)
      assert.equal(answer.headers.get('access-control-allow-origin'), '*', path)
      const exposed = answer.headers.get('access-control-expose-headers')!
      for (const name of ['content-range', 'etag', 'x-ipfs-path', 'x-ipfs-roots']) assert.match(exposed, RegExp(name))
    }
    const other = await get(url, `/ipfs/${cid}`, {}, 'DELETE')
    assert.equal(other.status, 405)
    assert.equal(other.headers.get('allow'), 'GET, HEAD, OPTIONS')
  })
})

describe('an error', () => {
  it('is kept by no cache', async () => {
    const { files, url } = await node({
      source: {
        get: async (cid) => {
          if (cid.code === 0x70) throw new PinGoError('SOURCE_UNREACHABLE', 'Nobody answers.')
          throw new PinGoError('BLOCK_MISSING', 'Nobody has it.')
        },
      },
    })
    const { cid } = await files.put(Buffer.from('here'))
    for (const [path, method, status] of [
      ['/ipfs/nonsense', 'GET', 400],
      [`/ipfs/${cidOf(randomBytes(5))}`, 'GET', 404],
      [`/ipfs/${cidOf(randomBytes(5))}?format=raw`, 'HEAD', 404],
      [`/ipfs/${cidOf(randomBytes(5), 0x70)}`, 'GET', 502],
      [`/ipfs/${cid}`, 'POST', 405],
      [`/ipfs/${cid}?format=tar`, 'GET', 406],
      [`/v1/blocks/${cid}`, 'GET', 405],
      [`/v1/blocks/${cid}`, 'PUT', 401],
    ] as const) {
      const answer = await get(url, path, {}, method)
      assert.equal(answer.status, status, path)
      assert.equal(answer.headers.get('cache-control'), 'no-store', path)
      assert.equal(answer.headers.get('www-authenticate'), status === 401 ? 'Bearer realm="PinGo"' : null)
    }
  })

  it('that a body comes too slowly is told before the connection ends', async () => {
    const { url } = await node({ transferTimeoutMs: 200 })
    const answer = await rawRequest(
      url,
      `PUT /v1/blocks/${cidOf(Buffer.from('x'))} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 1000\r\n\r\nx`,
    )
    assert.match(answer, /^HTTP\/1\.1 408 /)
    assert.match(answer, /connection: close/i)
    assert.match(answer, /TRANSFER_TIMEOUT/)
  })
})

describe('a list of a directory', () => {
  it('is made anew by every version of the program: kept for a while; not at all when it is not whole', async () => {
    const { store, url } = await node()
    const few = await putDirectory(store, { a: Buffer.from('x') })
    const names = Array.from({ length: 1_001 }, (_, n) => [`${n}`, Buffer.from('x')])
    const many = await putDirectory(store, Object.fromEntries(names))
    for (const accept of ['text/html', 'application/json']) {
      const whole = await get(url, `/ipfs/${few}`, { accept })
      assert.match(whole.headers.get('cache-control')!, /^public, max-age=\d{2,4}$/)
      assert.match(whole.headers.get('etag')!, /^W\//)
      const part = await get(url, `/ipfs/${many}`, { accept })
      assert.equal(part.status, 200)
      assert.equal(part.headers.get('cache-control'), 'no-store')
      assert.equal(part.headers.get('etag'), null)
    }
  })
})

describe('a target with its authority', () => {
  it('is answered as the path in it', async () => {
    const { files, url } = await node()
    const { cid } = await files.put(Buffer.from('by any name'))
    const ask = (target: string) => rawRequest(url, `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    for (const origin of [url, 'http://elsewhere.example', 'HTTPS://elsewhere.example:1'])
      for (let times = 0; times < 2; times++)
        assert.match(await ask(`${origin}/ipfs/${cid}`), /^HTTP\/1\.1 200 .*by any name$/s)
    assert.match(await ask(`${url}/ipfs/${cid}?format=raw`), /vnd\.ipld\.raw/)
    assert.match(await ask('http://x/ipfs/nonsense'), /^HTTP\/1\.1 400 /)
    assert.equal(originForm('http://x'), '/')
    assert.equal(originForm('http://x?q'), '/?q')
    assert.equal(originForm('*'), '*')
    assert.equal(originForm('/http://x/ipfs/y'), '/http://x/ipfs/y')
  })
})
