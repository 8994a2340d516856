import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { PinGoError } from '@pingo/wire'
import type { ObjectReader } from './port.ts'
import { MemoryBackend, uploadOf } from './testing/memory-backend.ts'
import { serveS3, type TestEndpoint } from './testing/serve.ts'
import { sign, type ToSign } from './testing/sign.ts'
import { parseXml, text, xml } from './xml.ts'

/** Signs by the header what may be as wrong as it likes. */
async function send(endpoint: TestEndpoint, path: string, o: ToSign = {}): Promise<Response> {
  const headers = sign(endpoint.url + path, o)
  return await fetch(endpoint.url + path, { method: o.method ?? 'GET', headers, body: o.body as string | undefined })
}

async function refusal(answer: Response | Promise<Response>): Promise<string> {
  const { status, headers } = await answer
  const body = parseXml(await (await answer).text(), 'Error')
  assert.equal(text(body, 'RequestId'), headers.get('x-amz-request-id'))
  return `${status} ${text(body, 'Code')}`
}

/** An HTTP request by hand; what comes back until the connection ends. */
async function byHand(url: string, use: (socket: Socket) => void | Promise<void>): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (part) => (answer += part)).on('error', () => {})
  await once(socket, 'connect')
  await use(socket)
  if (!socket.destroyed) await once(socket, 'close')
  return answer
}

describe('the S3 endpoint', () => {
  const backend = new MemoryBackend()
  let endpoint: TestEndpoint
  before(async () => {
    endpoint = await serveS3(backend)
    await backend.createBucket('bucket')
  })
  after(async () => {
    await endpoint[Symbol.asyncDispose]()
    assert.deepEqual(endpoint.faults, [])
  })
  const put = (o: ToSign, path = '/bucket/key') => refusal(send(endpoint, path, { method: 'PUT', ...o }))
  const post = (path: string, body: string) => refusal(send(endpoint, path, { method: 'POST', body }))

  it('keeps nothing whose checksum, signature or length is wrong', async () => {
    assert.equal(await put({ body: 'a', payload: '0'.repeat(64) }), '400 XAmzContentSHA256Mismatch')
    assert.equal(await put({ body: 'a', payload: 'nonsense' }), '400 InvalidRequest')
    assert.equal(await put({ body: 'a', headers: { 'content-md5': 'AAAAAAAAAAAAAAAAAAAAAA==' } }), '400 BadDigest')
    assert.equal(await put({ body: 'a', headers: { 'content-md5': 'AAAA' } }), '400 InvalidDigest')
    assert.equal(await put({ body: 'a', headers: { 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' } }), '400 BadDigest')
    const chunked = {
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: { 'x-amz-trailer': 'x-amz-checksum-crc32' },
    }
    const sized = { ...chunked, headers: { ...chunked.headers, 'x-amz-decoded-content-length': '1' } }
    assert.equal(await put({ ...chunked, body: '1\r\na\r\n0\r\n\r\n' }), '411 MissingContentLength')
    assert.equal(await put({ ...sized, body: '1\r\na\r\n0\r\n\r\n' }), '400 InvalidRequest')
    assert.equal(await put({ ...sized, body: '1\r\na\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n' }), '400 BadDigest')
    assert.equal(await put({ ...sized, body: '2\r\nab\r\n0\r\n\r\n' }), '400 IncompleteBody')
    assert.equal(await put({ ...sized, body: 'x'.repeat(100_000) }), '400 IncompleteBody')
    const right = await send(endpoint, '/bucket/right', {
      ...sized,
      method: 'PUT',
      body: '1\r\na\r\n0\r\nx-amz-checksum-crc32:6Le+Qw==\r\n\r\n',
    })
    assert.equal(right.status, 200)
    assert.deepEqual((await backend.list('bucket', { prefix: 'key', delimiter: '', after: '', limit: 1 })).entries, [])
  })

  it('keeps nothing when the connection breaks off', async () => {
    const headers = sign(`${endpoint.url}/bucket/key`, { method: 'PUT', payload: 'UNSIGNED-PAYLOAD' })
    const lines = Object.entries({ ...headers, 'content-length': '10' }).map(([name, value]) => `${name}: ${value}\r\n`)
    await byHand(endpoint.url, (socket) => void socket.end(`PUT /bucket/key HTTP/1.1\r\n${lines.join('')}\r\nabc`))
    assert.equal(await backend.head('bucket', 'key'), undefined)
  })

  it('answers a refused upload before it has come whole, and reads on so that the answer arrives', async () => {
    const answer = await fetch(`${endpoint.url}/bucket/key`, { method: 'PUT', body: new Uint8Array(8 << 20) })
    assert.equal(await refusal(answer), '403 AccessDenied')
  })

  it('refuses names, headers and numbers beyond their limits', async () => {
    assert.equal(await put({ body: '' }, '/Bad_Bucket/key'), '400 InvalidBucketName')
    assert.equal(await put({ body: '' }, '/127.0.0.1/key'), '400 InvalidBucketName')
    assert.equal(await put({ body: '' }, `/bucket/${'é'.repeat(513)}`), '400 KeyTooLongError')
    assert.equal(await put({ body: '', headers: { 'x-amz-meta-a': 'x'.repeat(2048) } }), '400 MetadataTooLarge')
    const huge = {
      payload: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      headers: { 'x-amz-decoded-content-length': '5368709121' },
    }
    assert.equal(await put({ ...huge, body: 'x' }), '400 EntityTooLarge')
    for (const query of ['max-keys=-1', 'max-keys=1e3', 'list-type=2&continuation-token=*', 'encoding-type=none'])
      assert.equal(await refusal(send(endpoint, `/bucket?${query}`)), '400 InvalidArgument')
    const raw = (line: string, header = '') =>
      byHand(
        endpoint.url,
        (socket) => void socket.end(`${line} HTTP/1.1\r\nhost: x\r\n${header}connection: close\r\n\r\n`),
      )
    assert.match(await raw('GET /bucket/%FF'), /400 Bad Request[\s\S]*<Code>InvalidURI</)
    assert.match(await raw('GET *'), /<Code>InvalidURI</)
    assert.match(await raw('GET http://elsewhere/a%FF'), /<Code>InvalidURI</)
    assert.match(await raw('GET http://elsewhere/bucket'), /<Code>AccessDenied</)
    assert.match(await raw('GET /', `x-amz-meta-a: ${'x'.repeat(20_000)}\r\n`), /^HTTP\/1.1 431/)
  })

  it('takes no XML that is too large, malformed, or tries to grow or to fetch', async () => {
    const bomb =
      '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>'
    const fetching = '<!DOCTYPE x SYSTEM "file:///etc/passwd"><Delete><Object><Key>a</Key></Object></Delete>'
    const deep = `${'<a>'.repeat(50_000)}${'</a>'.repeat(50_000)}`
    for (const body of [
      '',
      'nonsense',
      '<Delete>',
      '<Delete/>',
      '<Other/>',
      bomb,
      fetching,
      deep,
      `<Delete>${deep}</Delete>`,
      '<Delete><Object><Key>&unknown;</Key></Object></Delete>',
      '<Delete><Object><Key>&#xD800;</Key></Object></Delete>',
      '<Delete><Object><Key><b/></Key></Object></Delete>',
      `<Delete>${'<Object><Key>a</Key></Object>'.repeat(1001)}</Delete>`,
      '<Delete><__proto__><Object><Key>a</Key></Object></__proto__></Delete>',
    ])
      assert.equal(await post('/bucket?delete', body), '400 MalformedXML', body.slice(0, 100))
    assert.equal(
      await post('/bucket?delete', `<Delete>${' '.repeat(1 << 20)}</Delete>`),
      '400 MaxMessageLengthExceeded',
    )
  })

  it('reads and writes every character of a key in XML', () => {
    const key = '&<>"\' \r\n\t é🙂&amp;]]>'
    assert.equal(text(parseXml(xml('Delete', { Key: key }), 'Delete'), 'Key'), key)
    assert.equal(text(parseXml('<a><b>&#38;lt;&#x1F642;&apos;</b></a>', 'a'), 'b'), "&lt;🙂'")
  })

  it('deletes what it can and tells what it could not', async () => {
    await backend.put('bucket', 'a&b', uploadOf(Buffer.from('x')), { headers: {}, metadata: {} })
    const body = `<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>${'x'.repeat(1025)}</Key></Object></Delete>`
    const answer = await (await send(endpoint, '/bucket?delete', { method: 'POST', body })).text()
    assert.match(answer, /<Error><Key>x{1025}<\/Key><Code>KeyTooLongError</)
    assert.ok(!answer.includes('<Deleted>'))
    assert.equal(await backend.head('bucket', 'a&b'), undefined)
  })

  it('knows no other methods', async () => {
    assert.equal(await refusal(send(endpoint, '/bucket/key', { method: 'PATCH' })), '405 MethodNotAllowed')
    assert.equal(await refusal(send(endpoint, '/bucket/key', { method: 'POST' })), '405 MethodNotAllowed')
    assert.equal(await refusal(send(endpoint, '/bucket?analytics&id=1')), '501 NotImplemented')
    assert.equal(await refusal(send(endpoint, '/none?uploads')), '404 NoSuchBucket')
  })
})

describe('a public S3 endpoint', () => {
  it('lets anybody read and nobody write', async () => {
    const backend = new MemoryBackend()
    await backend.createBucket('public')
    await backend.put('public', 'a/b.html', uploadOf(Buffer.from('<p>')), {
      headers: { 'content-type': 'text/html' },
      metadata: {},
    })
    const reader: ObjectReader = backend
    for (const isReadOnly of [true, false]) {
      await using endpoint = await serveS3(reader, { anonymous: true, isReadOnly, credentials: () => undefined })
      const ask = (path: string, method = 'GET', headers = {}) => fetch(endpoint.url + path, { method, headers })
      assert.match(await (await ask('/')).text(), /<Name>public</)
      assert.match(await (await ask('/public?list-type=2&delimiter=/')).text(), /<Prefix>a\/</)
      const page = await ask('/public/a/b.html')
      assert.equal(await page.text(), '<p>')
      assert.equal(page.headers.get('content-security-policy'), 'sandbox')
      assert.equal(page.headers.get('access-control-allow-origin'), '*')
      assert.equal((await ask('/public/a/b.html', 'HEAD')).headers.get('content-length'), '3')
      assert.equal((await ask('/public/a/b.html', 'GET', { range: 'bytes=1-1' })).status, 206)
      const tag = page.headers.get('etag')!
      const unmodified = await ask('/public/a/b.html', 'GET', { 'if-none-match': tag })
      assert.deepEqual([unmodified.status, unmodified.headers.get('etag'), await unmodified.text()], [304, tag, ''])
      const ranged = { range: 'bytes=0-0', 'if-range': '"other"' }
      assert.equal((await ask('/public/a/b.html', 'GET', ranged)).status, 200)
      assert.equal((await ask('/public/a/b.html', 'GET', { range: 'bytes=0-0,2-2' })).status, 200)
      assert.equal(await refusal(ask('/public/none')), '404 NoSuchKey')
      assert.equal(await refusal(ask('/private')), '404 NoSuchBucket')
      assert.equal((await ask('/private', 'HEAD')).status, 404)
      assert.equal(await refusal(ask('/public/a/b.html?response-content-type=text/css')), '400 InvalidRequest')
      for (const [method, path] of [
        ['PUT', '/public/x'],
        ['PUT', '/new-bucket'],
        ['DELETE', '/public/a/b.html'],
        ['DELETE', '/public'],
        ['POST', '/public?delete'],
        ['POST', '/public/x?uploads'],
      ] as const)
        assert.equal(await refusal(ask(path, method)), '403 AccessDenied')
      assert.equal(await refusal(ask('/public?uploads')), '403 AccessDenied')
      assert.equal(await refusal(send(endpoint, '/public/a/b.html')), '403 InvalidAccessKeyId')
      assert.equal((await backend.list('public', { prefix: '', delimiter: '', after: '', limit: 9 })).entries.length, 1)
      assert.deepEqual(endpoint.faults, [])
    }
  })
})

describe('an S3 endpoint under stress', () => {
  const store = async () => {
    const backend = new MemoryBackend()
    await backend.createBucket('bucket')
    return backend
  }

  it('ends uploads that do not keep the pace', async () => {
    const backend = await store()
    await using endpoint = await serveS3(backend, { paceMs: 100 })
    const headers = sign(`${endpoint.url}/bucket/slow`, { method: 'PUT', payload: 'UNSIGNED-PAYLOAD' })
    const lines = Object.entries({ ...headers, 'content-length': '100000' }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    )
    const answer = await byHand(endpoint.url, (socket) => {
      socket.write(`PUT /bucket/slow HTTP/1.1\r\n${lines.join('')}\r\n`)
      const trickle = setInterval(() => socket.write('0123456789'), 20)
      const stop = () => clearInterval(trickle)
      socket.once('close', stop).once('data', () => {
        stop()
        socket.end()
      })
    })
    assert.match(answer, /400 Bad Request[\s\S]*<Code>RequestTimeout</)
    assert.equal(await backend.head('bucket', 'slow'), undefined)
  })

  it('ends downloads that nobody reads', async () => {
    const backend = await store()
    const content = new Uint8Array(64 << 20)
    await backend.put('bucket', 'big', uploadOf(content), { headers: { 'content-type': 'a/b' }, metadata: {} })
    await using endpoint = await serveS3(backend, { paceMs: 100, anonymous: true })
    const answer = await byHand(endpoint.url, async (socket) => {
      socket.pause()
      socket.write('GET /bucket/big HTTP/1.1\r\nhost: x\r\n\r\n')
      await new Promise((resolve) => setTimeout(resolve, 500))
      socket.resume()
    })
    assert.ok(answer.length < content.byteLength)
  })

  it('sends some away while it serves as many as it may', async () => {
    const backend = await store()
    const wait = Promise.withResolvers<void>()
    backend.headBucket = async () => {
      await wait.promise
      return undefined
    }
    await using endpoint = await serveS3(backend, { anonymous: true, maxRequests: 2 })
    const waiting = [1, 2].map(() => fetch(`${endpoint.url}/bucket`, { method: 'HEAD' }))
    let answer: Response
    do answer = await fetch(`${endpoint.url}/bucket?location`, { signal: AbortSignal.timeout(30_000) })
    while (answer.status !== 503)
    assert.equal(answer.headers.get('retry-after'), '1')
    assert.equal(await refusal(answer), '503 SlowDown')
    wait.resolve()
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ status }) => status),
      [404, 404],
    )
  })

  it('says what the store says, and nothing of its own faults', async () => {
    const backend = await store()
    await using endpoint = await serveS3(backend, { anonymous: true })
    const fails = async (error: Error) => {
      backend.get = () => Promise.reject(error)
      const answer = await fetch(`${endpoint.url}/bucket/key`)
      return `${answer.status} ${await answer.text()}`
    }
    const offline = new PinGoError('NODES_TOO_FEW', 'Only 3 nodes answer.', { hint: 'Wait.' })
    assert.match(
      await fails(offline),
      /^503 .*\n?.*<Code>ServiceUnavailable<\/Code><Message>Only 3 nodes answer. Wait.</,
    )
    assert.match(await fails(new PinGoError('QUOTA_EXCEEDED', 'Full.')), /^403 [\s\S]*<Code>QuotaExceeded</)
    const fault = new Error('secret path')
    const told = await fails(fault)
    assert.match(told, /^500 [\s\S]*<Code>InternalError</)
    assert.ok(!told.includes('secret path'))
    assert.deepEqual(endpoint.faults, [fault])
  })

  it('breaks a body off when the store does, so that nobody takes it for whole', async () => {
    const backend = await store()
    await backend.put('bucket', 'key', uploadOf(new Uint8Array(100_000)), { headers: {}, metadata: {} })
    const { info } = (await backend.get('bucket', 'key'))!
    await using endpoint = await serveS3(backend, { anonymous: true })
    for (const bytes of [50_000, 150_000]) {
      backend.get = async () => ({
        info,
        async *read() {
          yield new Uint8Array(bytes)
        },
      })
      await assert.rejects(async () => (await fetch(`${endpoint.url}/bucket/key`)).arrayBuffer())
    }
  })
})
