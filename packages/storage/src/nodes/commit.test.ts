import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { createIdentity, type Identity } from '@pingo/wire'
import { type PutSource, putObject } from '../objects/put.ts'
import { code } from '../testing/http-node.ts'
import { ownerOf, remote, smallObject, storageNode, type TestNode } from '../testing/storage-nodes.ts'
import { AccessTokens } from './access.ts'
import type { NodeMap, StorageNode } from './port.ts'

type SmallObject = Awaited<ReturnType<typeof smallObject>>

/** Puts the manifest's blocks of an object under its owner's allowance, and the object into the node's care. */
async function commit(node: TestNode, identity: Identity, object: SmallObject) {
  const { access } = await ownerOf(node, 2 ** 30, { identity })
  const there = await remote(node, access)
  for (const { cid, bytes } of object.blocks) await there.putChunk(cid, bytes, { upload: 'one' })
  await there.commit(object.commit)
  return there
}

/** A map of some nodes, all of them live. */
const mapOf = (nodes: StorageNode[]): NodeMap => ({
  live: () => nodes,
  get: (peerId) => nodes.find(({ record }) => record.peerId === peerId),
  rtt: () => 1,
  reputation: () => 0.5,
  isVetted: () => false,
  refresh: async () => undefined,
})

describe('who puts an object into the care of a node', () => {
  it('needs an allowance, also for what is here already: nobody stores at the cost of others', async () => {
    const node = await storageNode()
    const data = randomBytes(500)
    const [a, b] = [await createIdentity(), await createIdentity()]
    await commit(node, a, await smallObject(a, data, [node.peerId], { isPublic: true }))
    const same = await smallObject(b, data, [node.peerId], { isPublic: true })
    const without = await remote(node, new AccessTokens(b))
    await assert.rejects(without.commit(same.commit), code('ALLOWANCE_MISSING'))
    const ended = await ownerOf(node, 2 ** 30, { identity: b, allowedMs: -1_000 })
    await assert.rejects((await remote(node, ended.access)).commit(same.commit), code('ALLOWANCE_MISSING'))
    assert.equal((await node.service.care.get(same.id))?.others?.length, 0)
    await commit(node, b, same)
    assert.equal((await node.service.care.get(same.id))?.others?.length, 1)
  })

  it('takes public data from nobody who stored them before, by cutting them otherwise, before they were checked', async () => {
    const node = await storageNode()
    const data = randomBytes(500)
    const [a, b] = [await createIdentity(), await createIdentity()]
    const first = await smallObject(a, data, [node.peerId], { isPublic: true })
    const other = await smallObject(b, data, [node.peerId, node.peerId], { isPublic: true })
    await commit(node, a, first)
    await assert.rejects(commit(node, b, other), code('OBJECT_DIFFERS'))
    await (await remote(node)).forget(first.id, await other.word(Date.now()))
    assert.equal(String((await node.service.care.get(first.id))?.manifestCid), String(first.blocks[1]!.cid))
    // lost, as a check found: whoever has the data may bring them back
    await node.service.care.setChecked(first.id, { checkedAt: Date.now(), stripesByShards: { 0: 1 } }, 0)
    await commit(node, b, other)
  })

  it('has the same public data of two owners as one object, though the network has grown between', async () => {
    const nodes = await Promise.all([1, 2, 3, 4, 5].map(() => storageNode()))
    const put = async (n: number, source: PutSource) => {
      const { access, identity } = await ownerOf(nodes[0]!)
      for (const node of nodes) await node.service.known.note(nodes[0]!.peerId, new Uint8Array(1))
      const seeds = nodes.slice(0, n)
      const map = mapOf(await Promise.all(seeds.map((node) => remote(node, access))))
      return await putObject(source, { nodes: map, owner: identity, isPublic: true })
    }
    const data = randomBytes(100_000)
    const first = await put(2, data)
    const second = await put(5, data)
    assert.deepEqual(
      [first.code, second.code],
      [
        { k: 1, m: 1 },
        { k: 1, m: 1 },
      ],
    )
    assert.equal(second.manifestCid, first.manifestCid)
    await assert.rejects(
      put(
        5,
        (async function* () {
          yield data
        })(),
      ),
      code('OBJECT_DIFFERS'),
    )
  })

  it('believes fog nodes that do not see to it nothing of where its shards are, and none words of the future', async () => {
    const fog = await createIdentity()
    let mayCare = false
    const node = await storageNode({ rules: { isFogNode: () => true, mayRelocate: () => mayCare } })
    const owner = await createIdentity()
    const object = await smallObject(owner, randomBytes(500), [node.peerId])
    const there = await commit(node, owner, object)
    const asFog = await remote(node, new AccessTokens(fog))
    const [told] = object.commit.locations
    const at = (version: number) => ({ ...told!, nodes: [fog.peerId], version })
    await assert.rejects(asFog.relocate(object.id, 0, at(1)), code('FORBIDDEN'))
    await asFog.commit({ ...object.commit, locations: [at(1)] })
    assert.deepEqual((await there.locations(object.id, 0)).nodes, [node.peerId])
    mayCare = true
    const forever = at(Number.MAX_SAFE_INTEGER)
    await assert.rejects(asFog.relocate(object.id, 0, forever), code('MESSAGE_INVALID'))
    await assert.rejects(asFog.commit({ ...object.commit, locations: [forever] }), code('MESSAGE_INVALID'))
    assert.deepEqual((await there.locations(object.id, 0)).nodes, [node.peerId])
    await asFog.relocate(object.id, 0, at(Date.now()))
    assert.deepEqual((await there.locations(object.id, 0)).nodes, [fog.peerId])
  })
})
