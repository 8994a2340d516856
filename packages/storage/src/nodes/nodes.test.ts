import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CHUNK_LEASE_MS,
  cidOf,
  createIdentity,
  LEAF_BYTES,
  proofBytes,
  UPLOAD_LEASE_MS,
  verifySignature,
} from '@pingo/wire'
import { merkleRoot, verifyProof } from '../durability/merkle.ts'
import { code } from '../testing/http-node.ts'
import { ownerOf, remote, smallObject, storageNode } from '../testing/storage-nodes.ts'
import { AccessTokens } from './access.ts'
import { askAllowance } from './ask-allowance.ts'
import { LocalStorageNode } from './local-node.ts'
import { HttpNodeMap } from './node-map.ts'

const chunk = (bytes = 1_000) => {
  const data = randomBytes(bytes)
  return { data, cid: cidOf(data) }
}
const until = async (what: string, isSo: () => boolean) => {
  for (let i = 0; i < 400; i++) {
    if (isSo()) return
    await sleep(25)
  }
  assert.fail(`never: ${what}`)
}

describe('a storage node', () => {
  it('takes chunks for an upload, gives them back, proves that it has them', async () => {
    const node = await storageNode()
    const { access } = await ownerOf(node)
    const there = await remote(node, access)
    const { data, cid } = chunk(3 * LEAF_BYTES + 17)
    const other = chunk()
    await there.putChunk(cid, data, { upload: 'one' })
    await there.putChunk(cid, data, { upload: 'one' })
    assert.deepEqual(Buffer.from(await there.getChunk(cid)), data)
    assert.deepEqual((await there.missing([cid, other.cid])).map(String), [other.cid.toString()])
    assert.equal((await there.usage()).bytes, data.byteLength)
    const nonce = randomBytes(16)
    for (const leaf of [0, 3]) {
      const proof = await there.challenge(cid, leaf, nonce)
      assert.ok(verifyProof({ root: merkleRoot(data), leafIndex: leaf, ...proof }))
      assert.ok(await verifySignature(node.peerId, proofBytes(nonce, cid.toString(), leaf), proof.signature))
    }
    await assert.rejects(there.challenge(cid, 4, nonce), code('LEAF_UNKNOWN'))
    await assert.rejects(there.challenge(other.cid, 0, nonce), code('BLOCK_MISSING'))
    await assert.rejects(there.putChunk(other.cid, data, { upload: 'one' }), code('BLOCK_MISMATCH'))
    await assert.rejects(there.getChunk(other.cid), code('BLOCK_MISSING'))
  })

  it('keeps what is leased, and nothing longer: uploads that are not committed vanish', async () => {
    let now = Date.now()
    const clock = () => now
    const node = await storageNode({ clock })
    const { access } = await ownerOf(node, 2 ** 30, { clock })
    const there = await remote(node, access)
    const kept = chunk()
    const lost = chunk()
    for (const { cid, data } of [kept, lost]) await there.putChunk(cid, data, { upload: 'one' })
    const object = cidOf(Buffer.from('object')).toString()
    const gone = chunk()
    assert.deepEqual(await there.keep(object, [kept.cid, gone.cid], now + 10 * CHUNK_LEASE_MS), [gone.cid])
    assert.deepEqual(await node.service.collect({ orphansMs: 0 }), { blocks: 0, bytes: 0 })
    now += UPLOAD_LEASE_MS + 1
    assert.deepEqual(await node.service.collect(), { blocks: 1, bytes: 1_000 })
    assert.ok(node.blocks.has(kept.cid))
    assert.equal((await there.usage()).bytes, 1_000)
    now += CHUNK_LEASE_MS - UPLOAD_LEASE_MS - 10
    assert.deepEqual(await there.keep(object, [kept.cid], now + CHUNK_LEASE_MS), [])
    now += CHUNK_LEASE_MS - 10
    assert.equal((await node.service.collect({ orphansMs: 0 })).blocks, 0)
    now += 20
    assert.equal((await node.service.collect()).blocks, 1)
    assert.deepEqual(node.blocks.stats(), { blocks: 0, bytes: 0 })
  })

  it('cares for an object until its owner, and nobody else, forgets it', async () => {
    const node = await storageNode()
    const { access, identity } = await ownerOf(node)
    const stranger = await ownerOf(node)
    const there = await remote(node, access)
    const foreign = await remote(node, stranger.access)
    const data = randomBytes(500)
    const object = await smallObject(identity, data, [node.peerId])
    await there.putChunk(object.chunk, data, { upload: 'one' })
    await assert.rejects(there.commit(object.commit), code('BLOCK_MISSING'))
    for (const { cid, bytes } of object.blocks) await there.putChunk(cid, bytes, { upload: 'one' })
    await assert.rejects(foreign.commit(object.commit), code('FORBIDDEN'))
    await assert.rejects(there.commit({ ...object.commit, locations: [] }), code('MANIFEST_MALFORMED'))
    await there.commit(object.commit)
    await there.commit(object.commit)
    const state = await there.object(object.id)
    assert.deepEqual(state?.health, { checkedAt: undefined, stripesByShards: {} })
    assert.deepEqual(Buffer.from(state!.record), Buffer.from(object.commit.record))
    assert.deepEqual((await there.locations(object.id, 0)).nodes, [node.peerId])
    assert.equal((await there.usage()).objects, 1)
    assert.deepEqual(await node.service.care.due(Date.now(), 10), [object.id])
    await assert.rejects(foreign.relocate(object.id, 0, object.commit.locations[0]!), code('FORBIDDEN'))
    await there.drop(object.id)
    const foreignWord = (await smallObject(stranger.identity, data, [node.peerId])).word(Date.now())
    await assert.rejects(foreign.forget(object.id, randomBytes(40)), code('MESSAGE_MALFORMED'))
    await foreign.forget(object.id, await foreignWord)
    assert.ok((await there.object(object.id)) && !(await there.object(object.id))!.forgotten)
    await there.forget(object.id, await object.word(Date.now()))
    assert.ok((await there.object(object.id))?.forgotten)
    await assert.rejects(there.commit(object.commit), code('OBJECT_FORGOTTEN'))
    assert.equal((await there.usage()).objects, 0)
  })

  it('knows where shards are by the newest word: of the owner who stored them again, of a caretaker that moved them', async () => {
    const [node, fog] = [await storageNode(), await storageNode()]
    await node.membership.exchange([await fog.service.record()])
    await until('it knows the other', () => node.membership.has(fog.peerId))
    const { access, identity } = await ownerOf(node)
    const there = await remote(node, access)
    const asFog = await remote(node, new AccessTokens(fog.identity))
    const data = randomBytes(500)
    const object = await smallObject(identity, data, [node.peerId, fog.peerId])
    for (const { cid, bytes } of object.blocks) await there.putChunk(cid, bytes, { upload: 'one' })
    const [first] = object.commit.locations
    const at = (version?: number, peers = first!.nodes) => ({ ...first!, nodes: peers, version })
    const moved = [fog.peerId, node.peerId]
    await there.commit(object.commit)
    await asFog.relocate(object.id, 0, at(1, moved))
    await asFog.relocate(object.id, 0, at(1))
    assert.deepEqual(await there.locations(object.id, 0), at(1, moved))
    await there.commit({ ...object.commit, locations: [at(undefined, moved)] })
    assert.deepEqual(await there.locations(object.id, 0), at(1, moved), 'nothing new')
    await there.commit(object.commit)
    assert.deepEqual(await there.locations(object.id, 0), at(2))
    await asFog.commit({ ...object.commit, locations: [at(1, moved)] })
    assert.deepEqual(await there.locations(object.id, 0), at(2))
    await assert.rejects(asFog.relocate(object.id, 0, { ...at(9), at: new Uint8Array(2) }), code('MANIFEST_MALFORMED'))
    await assert.rejects(asFog.relocate(object.chunk.toString(), 0, at(9)), code('OBJECT_MISSING'))
  })

  it('admits nobody by tokens that are forged, over, for another node, or with an allowance of nobody it knows', async () => {
    let now = Date.now()
    const clock = () => now
    const node = await storageNode({ clock })
    const other = await storageNode({ clock })
    const owner = await ownerOf(node, 2 ** 20, { clock, allowedMs: 86_400_000 })
    const { cid, data } = chunk()
    const put = async (access: AccessTokens | undefined) =>
      (await remote(node, access)).putChunk(cid, data, { upload: 'one' })
    await assert.rejects(put(undefined), code('UNAUTHORIZED'))
    await assert.rejects(put(new AccessTokens(await createIdentity())), code('ALLOWANCE_MISSING'))
    await assert.rejects(put((await ownerOf(other, 2 ** 20, { clock })).access), code('ALLOWANCE_MISSING'))
    const question = { owner: owner.identity.peerId, bytes: 5, until: now + 1e6 }
    await assert.rejects(askAllowance({ url: node.url, token: 'guessed' }, question), code('UNAUTHORIZED'))
    const asked = await askAllowance({ url: node.url, token: node.token }, question)
    await assert.rejects(put(new AccessTokens(owner.identity, () => asked, clock)), code('ALLOWANCE_EXCEEDED'))
    const foreignAllowance = await node.service.allowance(owner.identity.peerId, 1e9, now + 1e6)
    await assert.rejects(put(new AccessTokens(await createIdentity(), () => foreignAllowance)), code('UNAUTHORIZED'))
    const header = await owner.access.headerFor(node.peerId)
    const send = (authorization: string) =>
      fetch(`${node.url}/v1/storage/usage`, { headers: { authorization } }).then(({ status }) => status)
    assert.equal(await send(header), 200)
    assert.equal(await send(await owner.access.headerFor(other.peerId)), 401)
    const bytes = Buffer.from(header.slice(6), 'base64url')
    for (let i = 0; i < bytes.length; i += 7) {
      const forged = Buffer.from(bytes)
      forged[i]! ^= 1
      assert.equal(await send(`PinGo ${forged.toString('base64url')}`), 401, `byte ${i}`)
    }
    now += 2 * 3_600_000
    assert.equal(await send(header), 401)
    const refused = await fetch(`${node.url}/v1/storage/usage`, { headers: { authorization: header } })
    assert.match(refused.headers.get('www-authenticate') ?? '', /^PinGo, Bearer/)
    assert.equal(refused.headers.get('cache-control'), 'no-store')
    assert.equal(await send(await owner.access.headerFor(node.peerId)), 200)
    now += 86_400_000
    await assert.rejects(put(owner.access), code('ALLOWANCE_MISSING'))
  })

  it('never stores more than an allowance or the quota, also when all comes at once', async () => {
    const node = await storageNode({ quotaBytes: 20_000 })
    const small = await ownerOf(node, 5_500)
    const large = await ownerOf(node, 1e9)
    const puts = async (access: AccessTokens, n: number) => {
      const there = await remote(node, access)
      const results = await Promise.allSettled(
        Array.from({ length: n }, () => chunk()).map(({ cid, data }) => there.putChunk(cid, data, { upload: 'u' })),
      )
      return results.filter(({ status }) => status === 'fulfilled').length
    }
    const [ofSmall, ofLarge] = await Promise.all([puts(small.access, 30), puts(large.access, 40)])
    assert.ok(ofSmall <= 5, `${ofSmall}`)
    assert.equal(ofSmall + ofLarge, 20)
    assert.equal(node.blocks.stats().bytes, 20_000)
    assert.equal((await remote(node, small.access)).record.freeBytes, 0)
  })

  it('a chunk that two owners have counts to both, and stays until both let it go', async () => {
    let now = Date.now()
    const clock = () => now
    const node = await storageNode({ clock })
    const [a, b] = await Promise.all([ownerOf(node, 1e6, { clock }), ownerOf(node, 1e6, { clock })])
    const [asA, asB] = await Promise.all([remote(node, a!.access), remote(node, b!.access)])
    const { cid, data } = chunk()
    const object = cidOf(Buffer.from('object')).toString()
    await asA!.putChunk(cid, data, { upload: 'u' })
    await asB!.putChunk(cid, data, { upload: 'u' })
    for (const each of [asA!, asB!]) {
      await each.keep(object, [cid], now + CHUNK_LEASE_MS)
      assert.equal((await each.usage()).bytes, 1_000)
    }
    now += UPLOAD_LEASE_MS + 1
    await node.service.collect()
    await asA!.drop(object)
    await node.service.collect()
    assert.equal((await asA!.usage()).bytes, 0)
    assert.ok(node.blocks.has(cid))
    await asB!.drop(object)
    await node.service.collect()
    assert.ok(!node.blocks.has(cid))
  })
})

describe('nodes that know each other', () => {
  it('find each other from one, tell clients, take the allowances and the word of each other', async () => {
    const first = await storageNode()
    const others = [await storageNode({ seeds: [first] }), await storageNode({ seeds: [first] })]
    const all = [first, ...others]
    await until('all know all', () => all.every(({ membership }) => membership.book.list().length === 2))
    const owner = await ownerOf(first)
    const map = new HttpNodeMap({ seeds: [{ url: others[0]!.url }], access: owner.access })
    await map.refresh()
    assert.equal(map.live().length, 3)
    for (const { record } of map.live()) assert.ok(map.rtt(record.peerId)! > 0)
    const { cid, data } = chunk()
    for (const node of map.live()) await node.putChunk(cid, data, { upload: 'u' })
    // a fog node renews for the owner
    const object = await smallObject(owner.identity, data, [first.peerId])
    const fog = await remote(others[0]!, new AccessTokens(first.identity))
    assert.deepEqual(await fog.keep(object.id, [cid], Date.now() + 1e9, { record: object.commit.record }), [])
    assert.equal((await fog.usage()).bytes, 0)
    await others[1]!.close()
    const dead = map.get(others[1]!.peerId)!
    await assert.rejects(dead.getChunk(cid), code('SOURCE_UNREACHABLE'))
    assert.equal(map.live().length, 2)
  })

  it('a fog node is in its own map, asks itself without a request, and repairs within a share of the quota of others', async () => {
    const node = await storageNode({ quotaBytes: 1_000_000 })
    const other = await storageNode({ seeds: [node] })
    await until('both know both', () => node.membership.has(other.peerId) && other.membership.has(node.peerId))
    const self = await LocalStorageNode.of(node.service)
    const access = new AccessTokens(node.identity)
    const map = new HttpNodeMap({ seeds: [], book: node.membership.book, self, access })
    await map.refresh()
    assert.deepEqual(
      map.live().map(({ record }) => record.peerId),
      [node.peerId, other.peerId],
    )
    const owner = await createIdentity()
    const data = randomBytes(300_000)
    const object = await smallObject(owner, data, [node.peerId, other.peerId])
    for (const each of map.live()) {
      for (const { cid, bytes } of [{ cid: object.chunk, bytes: data }, ...object.blocks])
        await each.putChunk(cid, bytes, { upload: 'repair' })
      await each.commit(object.commit)
      const keep = { record: object.commit.record }
      assert.deepEqual(await each.keep(object.id, [object.chunk], Date.now() + 1e9, keep), [])
      assert.deepEqual(Buffer.from(await each.getChunk(object.chunk)), data)
      assert.ok((await each.object(object.id)) && (await each.locations(object.id, 0)))
      await each.challenge(object.chunk, 0, randomBytes(8))
      await each.forget(object.id, await object.word(Date.now() + 1))
    }
    const asOther = await remote(node, new AccessTokens(other.identity))
    await assert.rejects(asOther.putChunk(object.chunk, data, { upload: 'u' }), code('ALLOWANCE_EXCEEDED'))
  })

  it('remember each other over a restart, and the allowances of one that is away', async () => {
    const node = await storageNode()
    const other = await storageNode({ seeds: [node] })
    await until('both know both', () => node.membership.has(other.peerId) && other.membership.has(node.peerId))
    const { access } = await ownerOf(other)
    await node.close()
    await other.close()
    const again = await storageNode({ folder: node.folder, port: Number(new URL(node.url).port) })
    const { cid, data } = chunk()
    await (await remote(again, access)).putChunk(cid, data, { upload: 'u' })
    // with no seed, by what it remembers
    const back = await storageNode({ folder: other.folder })
    await until('they meet again', () => again.membership.book.get(back.peerId)?.record.url === back.url)
  })

  it('a map of one node is a map', async () => {
    const node = await storageNode()
    const map = new HttpNodeMap({ seeds: [node, { url: 'http://127.0.0.1:1' }] })
    const { signal } = new AbortController()
    await map.refresh({ signal })
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
    assert.deepEqual(
      map.live().map(({ record }) => record.peerId),
      [node.peerId],
    )
    await assert.rejects(
      new HttpNodeMap({ seeds: [{ url: 'http://127.0.0.1:1' }] }).refresh(),
      code('SOURCE_UNREACHABLE'),
    )
  })
})
