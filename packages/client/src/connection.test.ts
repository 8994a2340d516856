import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { findEndpoint, isConnectionLive } from './connection.ts'
import { temporaryFolder } from './testing/gateway.ts'

const PIN = 'ab'.repeat(32)
const written = {
  url: 'http://127.0.0.1:7070',
  token: 'written',
  multiaddrs: ['/ip4/127.0.0.1/tcp/1'],
  pid: process.pid,
}

async function homeWith(connection?: object | string) {
  const folder = await temporaryFolder()
  await mkdir(folder.path, { recursive: true })
  if (connection)
    await writeFile(
      join(folder.path, 'connection.json'),
      typeof connection === 'string' ? connection : JSON.stringify(connection),
    )
  return folder
}

test('options go before the environment, and that before the connection file', async () => {
  await using home = await homeWith(written)
  const environment = { PINGO_HOME: home.path, PINGO_FOG: 'http://env:1', PINGO_TOKEN: 'env' }
  const pick = async (o: Parameters<typeof findEndpoint>[0]) => {
    const { url, token } = await findEndpoint(o)
    return [url, token]
  }
  assert.deepEqual(await pick({ url: 'http://option:2', token: 'option', environment }), ['http://option:2', 'option'])
  assert.deepEqual(await pick({ environment }), ['http://env:1', 'env'])
  assert.deepEqual(await pick({ environment: { PINGO_HOME: home.path } }), [written.url, 'written'])
  assert.deepEqual(await pick({ url: '127.0.0.1:7070', environment: { PINGO_HOME: home.path } }), [
    written.url,
    'written',
  ])
  assert.deepEqual(await pick({ url: 'http://other:1', environment: { PINGO_HOME: home.path } }), [
    'http://other:1',
    undefined,
  ])
  assert.equal(await isConnectionLive(home.path), true)
})

test('an address may carry the fingerprint of the certificate', async () => {
  const environment = { PINGO_HOME: '/nowhere' }
  const endpoint = await findEndpoint({ url: `https://192.0.2.1:7070#${PIN}`, environment })
  assert.deepEqual([endpoint.url, endpoint.pin], ['https://192.0.2.1:7070', PIN])
  const colons = PIN.toUpperCase().replace(/(..)(?=.)/g, '$1:')
  assert.equal((await findEndpoint({ url: `https://h:1/#pin=${colons}`, environment })).pin, PIN)
  await assert.rejects(findEndpoint({ url: 'https://h:1#abc', environment }), { code: 'FOG_ADDRESS_INVALID' })
})

test('what is no address is refused with the fix', async () => {
  const environment = { PINGO_HOME: '/nowhere' }
  await assert.rejects(findEndpoint({ url: '/ip4/127.0.0.1/tcp/4001', environment }), {
    code: 'FOG_ADDRESS_INVALID',
    hint: /multiaddr is what contributors dial/,
  })
  await assert.rejects(findEndpoint({ url: 'ftp://x', environment }), { code: 'FOG_ADDRESS_INVALID' })
  await assert.rejects(findEndpoint({ url: 'http://', environment }), { code: 'FOG_ADDRESS_INVALID' })
})

test('no connection file, a damaged one and one of a fog node that is gone', async () => {
  for (const text of [undefined, '', '{"url":', '{"url":"http://x"}']) {
    await using home = await homeWith(text)
    await assert.rejects(findEndpoint({ environment: { PINGO_HOME: home.path } }), {
      code: 'FOG_UNKNOWN',
      hint: /npx pingo up/,
    })
    assert.equal(await isConnectionLive(home.path), false)
  }
  await using home = await homeWith({ ...written, pid: 2 ** 22 + 1 })
  assert.equal(await isConnectionLive(home.path), false)
})
