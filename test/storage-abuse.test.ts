import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { test } from 'node:test'
import { AccessTokens, askAllowance, HttpStorageNode, hello } from '@pingo/storage'
import { cidOf, createIdentity, encode, type Identity, isPinGoError } from '@pingo/wire'
import { StorageNetwork, type StorageProcess } from '../bench/support/storage-network.ts'

const MIB = 1 << 20
const DAY_MS = 86_400_000
const MAX_GROWTH_MB = 160

const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error), `not a PinGoError: ${error}`)
  assert.equal(error.code, expected, error.message)
  assert.ok(error.message.length > 10)
  return true
}

async function ownerAt(node: StorageProcess, bytes: number, owner?: Identity) {
  const identity = owner ?? (await createIdentity())
  const allowance = await askAllowance(node, { owner: identity.peerId, bytes, until: Date.now() + DAY_MS })
  const access = new AccessTokens(identity, () => allowance)
  return { identity, access, node: new HttpStorageNode((await hello({ url: node.url })).record, { access }) }
}

/** MB of a process; undefined where there is no /proc. */
async function rssOf({ child }: StorageProcess): Promise<number | undefined> {
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
  const [, kib] = /VmHWM:\s+(\d+)/.exec(status) ?? []
  return kib === undefined ? undefined : Number(kib) / 1_024
}

const answered = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: string; message: string } }
  assert.ok(error.message.length > 10)
  return `${response.status} ${error.code}`
}

/** The answer to a request that is not sent whole. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(text)
  return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>)).toString('latin1')
}

test('storage: a node refuses what is made to harm it, in bounded memory, and others are served meanwhile', {
  timeout: 300_000,
}, async () => {
  await using network = await StorageNetwork.start(2, ['--turn', '100', '--quota', String(64 * MIB)])
  const [node, other] = network.nodes as [StorageProcess, StorageProcess]
  const good = await ownerAt(node, 2 ** 30)
  const known = randomBytes(50_000)
  await good.node.putChunk(cidOf(known), known, { upload: 'good' })
  const idle = await rssOf(node)
  const isServed = async () => assert.deepEqual(Buffer.from(await good.node.getChunk(cidOf(known))), known)

  // other bytes than their name says; more than a block may have
  const wrong = randomBytes(1_000)
  await assert.rejects(good.node.putChunk(cidOf(known), wrong, { upload: 'a' }), code('BLOCK_MISMATCH'))
  const large = randomBytes(5 * MIB)
  const tooLarge = await Promise.allSettled(
    Array.from({ length: 16 }, () => good.node.putChunk(cidOf(large), large, { upload: 'a' })),
  )
  for (const each of tooLarge) assert.ok(each.status === 'rejected')
  await isServed()

  // an allowance, asked for more than it has by many at once
  const poor = await ownerAt(node, 4 * MIB)
  const chunks = Array.from({ length: 24 }, () => randomBytes(MIB / 2))
  const put = await Promise.allSettled(
    chunks.map((chunk) => poor.node.putChunk(cidOf(chunk), chunk, { upload: 'race' })),
  )
  assert.ok(put.filter(({ status }) => status === 'fulfilled').length <= 8)
  for (const each of put) if (each.status === 'rejected') code('ALLOWANCE_EXCEEDED')(each.reason)
  assert.ok((await poor.node.usage()).bytes <= 4 * MIB)
  await isServed()

  // the node's quota, by several owners who have room enough
  const rich = await Promise.all([1, 2, 3].map(() => ownerAt(node, 2 ** 30)))
  const flood = await Promise.allSettled(
    rich.flatMap((owner) =>
      Array.from({ length: 30 }, async () => {
        const chunk = randomBytes(MIB)
        await owner.node.putChunk(cidOf(chunk), chunk, { upload: 'flood' })
      }),
    ),
  )
  assert.ok(flood.filter(({ status }) => status === 'fulfilled').length <= 64)
  for (const each of flood)
    if (each.status === 'rejected') assert.match((each.reason as { code: string }).code, /QUOTA_EXCEEDED|OVERLOADED/)
  const held = Object.values((await node.stats()).blocks).reduce((sum, bytes) => sum + bytes, 0)
  assert.ok(held <= 64 * MIB, `${held} bytes are held`)
  await isServed()

  // a token of another node, one of nobody, one that was altered
  const put1 = (authorization: string) =>
    fetch(`${node.url}/v1/storage/chunks/${cidOf(wrong)}?upload=a`, {
      method: 'PUT',
      body: wrong,
      headers: { authorization },
    })
  const token = await good.access.headerFor(node.peerId)
  assert.match(await answered(await put1(await good.access.headerFor(other.peerId))), /^401 /)
  assert.match(await answered(await put1(`${token.slice(0, -9)}AAAAAAAAA`)), /^401 /)
  assert.match(await answered(await put1('PinGo nonsense')), /^401 /)
  const stranger = new AccessTokens(await createIdentity(), () => undefined)
  assert.equal(await answered(await put1(await stranger.headerFor(node.peerId))), '403 ALLOWANCE_MISSING')
  assert.match(
    await answered(await fetch(`${node.url}/v1/storage/allowances`, { method: 'POST', body: Buffer.from(encode({})) })),
    /^401 UNAUTHORIZED$/,
  )

  // dag-cbor that nests without end, is larger than a question may be, or claims what does not come
  const ask = (body: Uint8Array) => fetch(`${node.url}/v1/storage/missing`, { method: 'POST', body: Buffer.from(body) })
  for (const body of [
    new Uint8Array(200_000).fill(0x81),
    Uint8Array.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0x5b, 0, 0, 0, 1, 0, 0, 0, 0),
    encode({ cids: 'x' }),
  ])
    assert.match(await answered(await ask(body)), /^400 MESSAGE_/)
  assert.match(
    await raw(node.url, `POST /v1/storage/missing HTTP/1.1\r\nhost: x\r\ncontent-length: ${8 * MIB}\r\n\r\n`),
    /^HTTP\/1.1 413 [\s\S]*MESSAGE_TOO_LARGE/,
  )
  await isServed()

  // paths that lead elsewhere
  for (const path of [
    '/v1/storage/chunks/..%2f..%2fidentity.key',
    '/v1/storage/objects/../../etc/passwd',
    '/ipfs/../identity.key',
  ])
    assert.ok((await fetch(node.url + path)).status >= 400)

  // many heads and bodies that do not come, while others are served
  const { hostname, port } = new URL(node.url)
  const sockets = Array.from({ length: 200 }, (_, n) => {
    const socket = connect(Number(port), hostname).on('error', () => undefined)
    const head = `PUT /v1/storage/chunks/${cidOf(wrong)}?upload=slow HTTP/1.1\r\nhost: x\r\n`
    socket.write(n % 2 === 0 ? head : `${head}authorization: ${token}\r\ncontent-length: 1000000\r\n\r\nslow`)
    return socket
  })
  await new Promise((resolve) => setTimeout(resolve, 500))
  for (let n = 0; n < 20; n++) await isServed()
  for (const socket of sockets) socket.destroy()

  const peak = await rssOf(node)
  if (idle !== undefined && peak !== undefined)
    assert.ok(peak - idle < MAX_GROWTH_MB, `the node grew by ${(peak - idle).toFixed(0)} MB`)
})
