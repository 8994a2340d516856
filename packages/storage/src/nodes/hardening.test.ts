import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  CHUNK_LEASE_MS,
  cidOf,
  createIdentity,
  encode,
  FORGET_TYPE,
  NODE_RECORD_TYPE,
  OBJECT_RECORD_TYPE,
  seal,
  UPLOAD_LEASE_MS,
} from '@pingo/wire'
import { merkleRoot } from '../durability/merkle.ts'
import { nameOf, signName } from '../names/record.ts'
import { encodeLocations, encodeManifest, encodePart } from '../objects/object.ts'
import { code, rawRequest, stops } from '../testing/http-node.ts'
import { ownerOf, remote, smallObject, storageNode } from '../testing/storage-nodes.ts'
import { isPrivateHost } from '../transfer/private-host.ts'
import { Membership } from './membership.ts'
import { NodeBook } from './node-book.ts'
import { networkOf, RateLimit } from './rate.ts'

const chunk = (bytes = 1_000) => {
  const data = randomBytes(bytes)
  return { data, cid: cidOf(data) }
}
const status = async (url: string, path: string, o: RequestInit = {}) => (await fetch(url + path, o)).status

describe('garbage collection', () => {
  it('never takes what is leased, while puts, renewals and ends go on', async () => {
    let now = Date.now()
    const clock = () => now
    const node = await storageNode({ clock })
    const owner = await ownerOf(node, 2 ** 30, { clock })
    const asker = { peerId: owner.identity.peerId, allowance: { bytes: 2 ** 30, until: now + 1e12, by: node.peerId } }
    const { service, blocks } = node
    const ends = new Map<string, number>()
    const chunks = Array.from({ length: 60 }, () => chunk(50))
    let isOver = false
    const collecting = (async () => {
      while (!isOver) await service.collect({ orphansMs: 0 })
    })()
    for (let i = 0; i < 1_500; i++) {
      const { cid, data } = chunks[Math.floor(Math.random() * chunks.length)]!
      const text = cid.toString()
      const extend = (until: number) => ends.set(text, Math.max(until, ends.get(text) ?? 0))
      if (Math.random() < 0.5) {
        const until = now + UPLOAD_LEASE_MS
        await service.putChunk(asker, cid, data, 'u')
        extend(until)
      } else {
        const until = Math.floor(now + Math.random() * CHUNK_LEASE_MS)
        const missing = await service.keep(asker, { object: cidOf(data).toString(), cids: [cid], until })
        if (missing.length === 0) extend(until)
      }
      if (i % 10 === 0) now += UPLOAD_LEASE_MS / 3
      for (const each of chunks)
        if ((ends.get(each.cid.toString()) ?? 0) > now) assert.ok(blocks.has(each.cid), `${each.cid} was collected`)
    }
    isOver = true
    await collecting
    now += 2 * CHUNK_LEASE_MS
    await service.collect()
    assert.equal(blocks.stats().blocks, 0)
    assert.equal(service.usage(asker).bytes, 0)
  })
})

describe('allowances', () => {
  it('of one other fog node fill a quarter of the disk together, however many owners it vouches for', async () => {
    const by = (await createIdentity()).peerId
    const node = await storageNode({ quotaBytes: 40_000 })
    const { service } = node
    const put = async (voucher: string) => {
      const { cid, data } = chunk(1_000)
      const until = Date.now() + 1e9
      const peerId = (await createIdentity()).peerId
      await service.putChunk({ peerId, allowance: { bytes: 2 ** 30, until, by: voucher } }, cid, data, 'u')
    }
    const other = (await createIdentity()).peerId
    for (const each of [by, other]) await service.known.note(each, new Uint8Array(1))
    const puts = await Promise.allSettled(Array.from({ length: 30 }, () => put(by)))
    assert.equal(puts.filter(({ status }) => status === 'fulfilled').length, 10)
    await assert.rejects(put(by), code('VOUCHER_EXCEEDED'))
    await put(node.peerId)
    await put(other)
  })
})

describe('the scrubber', () => {
  it('finds damage of blocks at rest, tells which objects they are of, and goes on where it was', async () => {
    const damaged: string[] = []
    const node = await storageNode({ onDamage: (cid, objects) => damaged.push(`${cid} ${objects}`) })
    const { access, identity } = await ownerOf(node)
    const there = await remote(node, access)
    const { data } = chunk()
    const object = await smallObject(identity, data, [node.peerId])
    await there.putChunk(object.chunk, data, { upload: 'u' })
    await there.keep(object.id, [object.chunk], Date.now() + 1e6)
    for (let i = 0; i < 20; i++) {
      const other = chunk()
      await there.putChunk(other.cid, other.data, { upload: 'u' })
    }
    assert.equal(await node.service.scrubber.round(), 0)
    const key = Buffer.from(object.chunk.multihash.digest).toString('hex')
    const files = await readdir(join(node.folder, 'blocks'), { recursive: true })
    const file = join(node.folder, 'blocks', files.find((name) => name.endsWith(key))!)
    await writeFile(file, randomBytes(1_000))
    assert.equal(await node.service.scrubber.round(), 1)
    assert.deepEqual(damaged, [`${object.chunk} ${object.id}`])
    assert.deepEqual(await there.missing([object.chunk]), [object.chunk])
    await there.putChunk(object.chunk, data, { upload: 'u' })
    const again = (await readdir(join(node.folder, 'blocks'), { recursive: true })).find((name) => name.endsWith(key))!
    await rm(join(node.folder, 'blocks', again))
    assert.equal(await node.service.scrubber.round(), 1)
    assert.ok(node.service.scrubber.state().rounds >= 3)
  })
})

describe('a storage node among strangers', () => {
  it('refuses paths, methods, bodies and questions that are not its own', async () => {
    const node = await storageNode()
    const { access } = await ownerOf(node)
    const authorization = await access.headerFor(node.peerId)
    const { url } = node
    const { cid, data } = chunk()
    const put = (path: string, body: Uint8Array) =>
      status(url, path, { method: 'PUT', body: Buffer.from(body), headers: { authorization } })
    for (const path of [
      '/v1/storage/',
      '/v1/storage/chunks/../../etc/passwd',
      '/v1/storage/__proto__',
      '/v1/storage/objects/x/y',
    ])
      assert.ok([400, 404].includes(await status(url, path)), path)
    assert.match(
      await rawRequest(
        url,
        'GET /v1/storage/chunks/../../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      ),
      /^HTTP\/1.1 404/,
    )
    assert.equal(await status(url, '/v1/storage/missing'), 405)
    assert.equal(await put(`/v1/storage/chunks/${cid}`, data), 400)
    assert.equal(await put(`/v1/storage/chunks/${cid}?upload=${'x'.repeat(201)}`, data), 400)
    assert.equal(await put(`/v1/storage/chunks/nonsense?upload=u`, data), 400)
    assert.equal(await put(`/v1/storage/chunks/${cid}?upload=u`, randomBytes((2 << 20) + 1)), 413)
    const ask = (path: string, body: Uint8Array) =>
      status(url, path, { method: 'POST', body: Buffer.from(body), headers: { authorization } })
    assert.equal(await ask('/v1/storage/missing', randomBytes(100)), 400)
    assert.equal(await ask('/v1/storage/missing', encode({ cids: ['nonsense'] })), 400)
    assert.equal(await ask('/v1/storage/missing', encode({ cids: Array(5_000).fill(cid.toString()) })), 400)
    assert.equal(await ask('/v1/storage/missing', new Uint8Array(1 << 21)), 413)
    assert.equal(await ask('/v1/storage/missing', encode({ cids: [cid.toString()], more: 1 })), 400)
    assert.equal(node.blocks.stats().blocks, 0)
  })

  it('bounds the requests of one address block and one identity, and the memory of bodies that do not come', async () => {
    const node = await storageNode({ limits: { requestsPerSecond: 10, maxConcurrent: 8, maxBodyBytes: 4 << 20 } })
    const answers = await Promise.all(Array.from({ length: 100 }, () => status(node.url, '/v1/storage/nodes')))
    assert.ok(answers.includes(200) && answers.some((each) => each === 429 || each === 503), `${answers}`)
    const slow = await storageNode({ limits: { maxConcurrent: 1_000, maxBodyBytes: 1 << 20 } })
    const { hostname, port } = new URL(slow.url)
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.write('POST /v1/storage/missing HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n')
      return socket
    })
    stops.push(() => {
      for (const socket of sockets) socket.destroy()
    })
    const refused = await Promise.all(
      sockets.map((socket) =>
        Promise.race([
          new Promise<string>((resolve) => socket.once('data', (data) => resolve(`${data}`))),
          new Promise<string>((resolve) => setTimeout(resolve, 1_500, 'waits')),
        ]),
      ),
    )
    assert.equal(refused.filter((each) => each === 'waits').length, 5, 'as many as fit')
    assert.ok(refused.every((each) => each === 'waits' || each.startsWith('HTTP/1.1 503')))
    for (const socket of sockets) socket.destroy()
  })

  it('counts by address blocks, and refills as time goes on', () => {
    assert.equal(networkOf('::ffff:192.0.2.7'), networkOf('192.0.2.99'))
    assert.notEqual(networkOf('192.0.2.7'), networkOf('192.0.3.7'))
    assert.equal(networkOf('2001:db8:1:2ff::1'), networkOf('2001:db8:1:200:5::9'))
    assert.notEqual(networkOf('2001:db8:1:2ff::1'), networkOf('2001:db8:1:3ff::1'))
    let now = 0
    const rate = new RateLimit({ perSecond: 2, burst: 4, clock: () => now })
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => rate.take('a')),
      [true, true, true, true, false],
    )
    assert.equal(rate.take('b'), true)
    now += 500
    assert.deepEqual([rate.take('a'), rate.take('a')], [true, false])
  })

  it('knows private addresses, however they are written', () => {
    for (const host of ['localhost', 'localhost.', 'a.internal.', '127.1', '0x7f000001', '10.0.0.1', '[::1]'])
      assert.ok(isPrivateHost(`http://${host}:80/`), host)
    for (const host of ['[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[fe80::1]', '169.254.169.254'])
      assert.ok(isPrivateHost(`http://${host}/`), host)
    for (const host of ['example.org', '8.8.8.8', '[2001:db8::1]', '172.32.0.1'])
      assert.ok(!isPrivateHost(`http://${host}/`), host)
  })

  it('takes no node whose record is forged, old, or of an address where another answers', async () => {
    const node = await storageNode()
    const liar = await createIdentity()
    const record = {
      peerId: liar.peerId,
      url: node.url,
      multiaddrs: [],
      region: '',
      domain: 'd',
      capacityBytes: 1,
      freeBytes: 1,
      state: 'active',
      price: 0,
      sequence: 1,
      at: Date.now(),
    }
    const book = new NodeBook(Date.now)
    const read = async (value: object) => book.read(await seal(liar, NODE_RECORD_TYPE, value))
    assert.ok(await read(record))
    assert.equal(await read({ ...record, at: Date.now() - 2 * 3_600_000 }), undefined)
    await assert.rejects(read({ ...record, peerId: node.peerId }), code('NODE_RECORD_INVALID'))
    for (const url of ['file:///etc/passwd', 'nonsense', 'http://a:b@c/', 'http://x/#y'])
      await assert.rejects(read({ ...record, url }), code('NODE_RECORD_INVALID'))
    const sealed = await seal(liar, NODE_RECORD_TYPE, record)
    await node.membership.exchange([sealed, randomBytes(50)])
    const careful = new Membership({ peerId: 'me', record: async () => sealed, seeds: [], mayBePrivate: false })
    await careful.exchange([await node.service.record()])
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.deepEqual(node.membership.book.list(), [])
    assert.deepEqual(careful.book.list(), [], 'a node of the internet calls no private address')
  })

  it('cares for public data of several owners until the last one forgets, and for nothing that only claims to be them', async () => {
    const node = await storageNode()
    const [a, b] = [await ownerOf(node), await ownerOf(node)]
    const data = randomBytes(900)
    const id = cidOf(data).toString()
    const publicOf = async (owner: typeof a, shard: Uint8Array, copies: number) => {
      const there = await remote(node, owner.access)
      const part = encodePart({
        stripes: [
          {
            bytes: shard.byteLength,
            shardBytes: shard.byteLength,
            shards: cidOf(shard).multihash.digest,
            roots: merkleRoot(shard),
          },
        ],
        type: 'pingo/object-part',
      })
      const manifest = encodeManifest({
        type: 'pingo/object',
        version: 1,
        code: { k: 1, m: copies - 1 },
        bytes: shard.byteLength,
        stripeBytes: shard.byteLength,
        cipher: 'none',
        root: id,
        stripes: 1,
        parts: [part.cid.toString()],
      })
      for (const { cid, bytes } of [part, manifest]) await there.putChunk(cid, bytes, { upload: 'u' })
      const value = { id, manifest: manifest.cid.toString(), class: 'hot', storedBytes: 1, at: Date.now() }
      const record = await seal(owner.identity, OBJECT_RECORD_TYPE, value)
      await there.commit({ record, locations: [encodeLocations([Array(copies).fill(node.peerId)])] })
    }
    const forget = async (owner: typeof a) =>
      (await remote(node)).forget(id, await seal(owner.identity, FORGET_TYPE, { id, at: Date.now() + 1 }))
    await assert.rejects(publicOf(b, randomBytes(900), 1), code('MANIFEST_MALFORMED'))
    await publicOf(a, data, 1)
    await publicOf(b, data, 1)
    assert.equal((await node.service.care.get(id))!.others?.length, 1)
    await node.service.care.setChecked(id, { checkedAt: Date.now(), stripesByShards: { 1: 1 } }, Date.now() + 1e9)
    await assert.rejects(publicOf(b, data, 2), code('OBJECT_DIFFERS'))
    await forget(a)
    assert.ok(await node.service.care.get(id))
    assert.equal(await node.service.care.forgotten(id), undefined)
    await publicOf(b, data, 2) // nobody else's by now
    await forget(b)
    assert.equal(await node.service.care.get(id), undefined)
    assert.ok(await node.service.care.forgotten(id))
    await node.service.collect()
    await node.service.care.remove(id)
  })

  it('keeps the newest record of a name, by its owner only, and its versions', async () => {
    const node = await storageNode()
    const there = await remote(node)
    const owner = await createIdentity()
    const name = nameOf(owner)
    const { cid } = chunk()
    const records = await Promise.all([1, 2, 3].map((sequence) => signName(owner, cid.toString(), { sequence })))
    assert.equal(await there.getName(name), undefined)
    await there.putName(name, records[0]!)
    await there.putName(name, records[2]!)
    await there.putName(name, records[2]!)
    await assert.rejects(there.putName(name, records[1]!), code('NAME_OUTDATED'))
    const foreign = await signName(await createIdentity(), cid.toString(), { sequence: 9 })
    await assert.rejects(there.putName(name, foreign), code('NAME_RECORD_INVALID'))
    assert.deepEqual(Buffer.from((await there.getName(name))!), Buffer.from(records[2]!))
    assert.equal((await there.nameVersions(name)).length, 2)
    const over = await signName(owner, cid.toString(), { sequence: 10, lifetimeMs: -1_000 })
    await assert.rejects(there.putName(name, over), code('NAME_RECORD_EXPIRED'))
    await node.service.names.prune(Date.now())
    assert.equal((await there.nameVersions(name)).length, 2)
    await node.service.names.prune(Date.now() + 3 * 365 * 86_400_000)
    assert.equal(await there.getName(name), undefined)
  })
})
