import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { makeCertificate } from '@pingo/storage'
import { createIdentity, type PinGoError } from '@pingo/wire'
import { z } from 'zod'
import { Gateway } from './gateway.ts'
import { serve } from './testing/gateway.ts'

const to = (url: string, more: { token?: string; pin?: string } = {}) => new Gateway(async () => ({ url, ...more }))
const Anything = z.unknown()

test('nobody there: one sentence with the fix', async () => {
  const gone = await serve(() => undefined)
  await gone[Symbol.asyncDispose]()
  await assert.rejects(to(gone.url).json('/v1/jobs', Anything), {
    code: 'FOG_UNREACHABLE',
    message: `No fog node answers at ${gone.url} (connection refused).`,
    hint: 'Start one with `npx pingo up`, or name another by --fog URL or PINGO_FOG.',
  })
})

test('errors of the fog node arrive with code, sentence and hint', async () => {
  await using server = await serve((_, response) => {
    response
      .writeHead(409, { 'content-type': 'application/json' })
      .end(JSON.stringify({ error: { code: 'JOB_ENDED', message: 'The job has ended.', hint: 'Submit another.' } }))
  })
  await assert.rejects(to(server.url).json('/v1/jobs', Anything), {
    code: 'JOB_ENDED',
    message: 'The job has ended.',
    hint: 'Submit another.',
  })
})

test('the token is sent, and its lack is explained', async () => {
  const seen: (string | undefined)[] = []
  await using server = await serve((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(401).end('no')
  })
  await assert.rejects(to(server.url, { token: 'wrong' }).json('/x', Anything), {
    code: 'UNAUTHORIZED',
    hint: /printed at its start/,
  })
  await assert.rejects(to(server.url).json('/x', Anything), { code: 'UNAUTHORIZED', hint: /need the token/ })
  assert.deepEqual(seen, ['Bearer wrong', undefined])
})

test('what is not a fog node, or one of another version, is named', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/html') response.end('<html>')
    else if (request.url === '/404') response.writeHead(404).end('<html>')
    else if (request.url === '/500') response.writeHead(500).end()
    else response.end('{"jobs":7}')
  })
  const gateway = to(server.url)
  await assert.rejects(gateway.json('/html', Anything), {
    code: 'FOG_ANSWER_INVALID',
    message: /is not a PinGo fog node/,
  })
  await assert.rejects(gateway.json('/404', Anything), { code: 'FOG_ANSWER_INVALID' })
  await assert.rejects(gateway.json('/500', Anything), { code: 'FOG_ERROR' })
  await assert.rejects(gateway.json('/other', z.object({ jobs: z.array(z.string()) })), {
    code: 'FOG_ANSWER_INVALID',
    hint: /different versions/,
  })
})

test('a silent fog node and one that breaks off are given up; an abort ends at once', async () => {
  await using server = await serve((request, response) => {
    if (request.url !== '/cut') return
    response.writeHead(200, { 'content-length': '100' }).write('{"a"')
    setImmediate(() => response.destroy())
  })
  const gateway = to(server.url)
  await assert.rejects(gateway.json('/silent', Anything, { timeoutMs: 50 }), { code: 'TIMEOUT' })
  await assert.rejects(gateway.json('/cut', Anything), { code: 'FOG_UNREACHABLE' })
  const abort = new AbortController()
  const waiting = gateway.json('/silent', Anything, { signal: abort.signal })
  abort.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  await assert.rejects(gateway.json('/silent', Anything, { signal: abort.signal }), { name: 'AbortError' })
})

test('HTTPS holds to the pinned certificate, and sends nothing to another', async () => {
  const { key, cert, fingerprint } = await makeCertificate(await createIdentity())
  const seen: (string | undefined)[] = []
  const server = createServer({ key, cert }, (request, response) => {
    seen.push(request.headers.authorization)
    response.end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const pinned = to(url, { token: 'secret', pin: fingerprint })
    assert.deepEqual(await pinned.json('/x', Anything), {})
    pinned.close()
    const other = to(url, { token: 'secret', pin: 'ab'.repeat(32) })
    await assert.rejects(other.json('/x', Anything), { code: 'FOG_PIN_MISMATCH' })
    other.close()
    await assert.rejects(to(url, { token: 'secret' }).json('/x', Anything), (error: PinGoError) => {
      assert.equal(error.code, 'FOG_UNREACHABLE')
      assert.match(error.message, /#PIN/)
      return true
    })
    assert.deepEqual(seen, ['Bearer secret'])
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
