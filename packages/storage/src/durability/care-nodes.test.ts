import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { cidOfKey } from '../blocks/key.ts'
import { openObject } from '../objects/get.ts'
import { type PutResult, putObject } from '../objects/put.ts'
import { bytesOf, digestOf, gathered } from '../testing/bytes.ts'
import { CaringNetwork } from '../testing/caring-network.ts'
import { type ObjectStats, statsOf } from '../testing/stats.ts'
import type { TestNode } from '../testing/storage-nodes.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MIB = 1 << 20
/** Few nodes, so that it is quick. */
const code = { k: 4, m: 2 }

/** What a caretaker knows of an object. */
async function knownBy(node: TestNode, id: string): Promise<ObjectStats> {
  return (await statsOf(node, node.folder)).objects[id]!
}

/** Checks that every shard is on a node of its own that lives and has it, by the word of the first caretaker. */
async function assertWhole(network: CaringNetwork, { id, code: { k, m } }: PutResult): Promise<ObjectStats> {
  const stats = await knownBy(network.caretakers(id)[0]!, id)
  for (const shards of stats.stripes) {
    assert.equal(new Set(shards.map(([, holder]) => holder)).size, shards.length)
    for (const [key, holder] of shards) {
      const node = network.byId(holder!)
      assert.ok(node && key in (await statsOf(node, node.folder)).blocks, `${holder} does not have its shard`)
    }
  }
  assert.deepEqual(Object.keys(stats.stripesByShards), [String(k + m)])
  return stats
}

async function assertReads(network: CaringNetwork, put: PutResult, bytes: Uint8Array): Promise<void> {
  const object = await openObject({ ...put, from: await network.map(), clock: network.clock })
  assert.equal(digestOf(await gathered(object.read())), digestOf(bytes))
}

/** Whether the first caretaker knows of all shards, at nodes that live. */
const isWhole = (network: CaringNetwork, { id, code: { k, m } }: PutResult): boolean => {
  const { service } = network.caretakers(id)[0]!
  const stripes = service.object(id)?.health.stripesByShards ?? {}
  return Object.keys(stripes).join() === String(k + m) && service.locations(id, 0).nodes.every((id) => network.byId(id))
}

const of = (network: CaringNetwork, type: string) => network.events.filter((event) => event.type === type)

describe('caretakers over HTTP and on disk', () => {
  it('keep what was just put, bring back the shards of holders that died, and tell each other', async () => {
    await using network = await CaringNetwork.of(10)
    const data = bytesOf(5 * MIB)
    const { owner, clock } = network
    const put = await putObject(data, { nodes: await network.map(), owner, clock, code })
    assert.deepEqual(put.code, code)
    await network.tick()
    const before = await assertWhole(network, put)
    assert.equal(of(network, 'checked').length, 1, 'one of the seven checks')

    const [first] = network.caretakers(put.id)
    const holders = before.stripes[0]!.map(([, holder]) => network.byId(holder!)!).filter((node) => node !== first)
    await network.stop(holders[0]!)
    await assertReads(network, put, data)
    await network.advance(DAY_MS)
    await network.tick() // silent for now
    assert.equal(of(network, 'rebuilt').length, 0)
    await network.tickUntil(() => of(network, 'rebuilt').length > 0 && isWhole(network, put))
    const after = await assertWhole(network, put)
    for (const node of network.caretakers(put.id))
      assert.deepEqual((await knownBy(node, put.id)).stripes, after.stripes, 'all caretakers know where the shards are')
    await assertReads(network, put, data)
  })

  it('bring back chunks that the disk damaged or lost, also where no other node could take them', async () => {
    await using network = await CaringNetwork.of(6)
    const data = bytesOf(3 * MIB)
    const { owner, clock } = network
    const put = await putObject(data, { nodes: await network.map(), owner, clock, code })
    await network.tick()
    const { stripes } = await assertWhole(network, put)
    for (const [n, [key, holder]] of stripes[0]!.slice(0, 2).entries()) {
      const node = network.byId(holder!)!
      const file = join(node.folder, 'blocks', 'blocks', key.slice(0, 2), key)
      await (n === 0 ? rm(file) : writeFile(file, bytesOf(node.blocks.size(cidOfKey(key))!, n)))
    }
    await network.advance(DAY_MS)
    await network.tickUntil(() => of(network, 'rebuilt').length > 0 && isWhole(network, put))
    await assertWhole(network, put)
    await assertReads(network, put, data)
  })

  it('blame a holder once for a chunk that it lost, though nobody brings it back while enough others are left', async () => {
    const code = { k: 2, m: 4 } // five of six shards are enough
    await using network = await CaringNetwork.of(6)
    const { owner, clock } = network
    const put = await putObject(bytesOf(MIB), { nodes: await network.map(), owner, clock, code })
    await network.tick()
    const first = network.caretakers(put.id)[0]!
    const { stripes } = await knownBy(first, put.id)
    const [key, holder] = stripes[0]!.find(([, holder]) => holder !== first.peerId)!
    await network.byId(holder!)!.blocks.delete(cidOfKey(key))
    for (let day = 0; day < 4; day++) {
      await network.advance(DAY_MS)
      await network.tick()
    }
    assert.equal(of(network, 'rebuilt').length, 0)
    const { beta } = first.reputation.standing(holder!)
    assert.ok(beta > 1 && beta < 2, `half a failure to begin with, and one: ${beta}`)
    const after = await knownBy(first, put.id)
    assert.deepEqual(
      after.stripes[0]!.filter(([, holder]) => holder === undefined).map(([lost]) => lost),
      [key],
    )
  })

  it('fetch again what their own disk lost of a manifest', async () => {
    await using network = await CaringNetwork.of(7)
    const { owner, clock } = network
    const put = await putObject(bytesOf(100), { nodes: await network.map(), owner, clock })
    await network.tick()
    const node = network.caretakers(put.id)[2]!
    const { manifest } = await knownBy(node, put.id)
    for (const key of manifest) await rm(join(node.folder, 'blocks', 'blocks', key.slice(0, 2), key))
    await assert.rejects(knownBy(node, put.id))
    await network.advance(DAY_MS)
    await network.tick()
    assert.deepEqual((await knownBy(node, put.id)).manifest, manifest)
  })

  it('move what a node has that leaves, and it hands over what it cares for', async () => {
    await using network = await CaringNetwork.of(7)
    const data = bytesOf(2 * MIB)
    const { owner, clock } = network
    const put = await putObject(data, { nodes: await network.map(), owner, clock, code })
    await network.tick()
    const { stripes } = await assertWhole(network, put)
    const leaving = network.caretakers(put.id).find((node) => stripes[0]!.some(([, holder]) => holder === node.peerId))!
    await network.leave(leaving)
    const isGone = () => leaving.service.object(put.id) === undefined && of(network, 'moved').length > 0
    await network.tickUntil(() => isGone() && isWhole(network, put))
    const after = await assertWhole(network, put)
    assert.ok(after.stripes[0]!.every(([, holder]) => holder !== leaving.peerId))
    assert.equal(leaving.service.object(put.id), undefined)
    for (const node of network.caretakers(put.id)) assert.ok(node.service.object(put.id), 'a caretaker lacks it')
    await network.stop(leaving)
    await assertReads(network, put, data)
  })

  it('that strangers displace go on to look after it until one of those is vetted', async () => {
    await using network = await CaringNetwork.of(7)
    const { owner, clock } = network
    const put = await putObject(bytesOf(5_000), { nodes: await network.map(), owner, clock, code })
    await network.tick()
    const before = network.caretakers(put.id)
    for (let n = 0; n < 7; n++) await network.join()
    const displaced = () => before.filter((node) => !network.caretakers(put.id).includes(node))
    const known = () => network.caretakers(put.id).every((node) => node.service.object(put.id))
    await network.advance(DAY_MS)
    await network.tickUntil(known)
    const since = clock()
    for (let turn = 0; turn < 3; turn++) {
      await network.advance(3 * DAY_MS)
      await network.tick()
    }
    for (const node of displaced()) {
      const checkedAt = node.service.object(put.id)?.health.checkedAt ?? 0
      assert.ok(checkedAt > since, 'a caretaker that strangers displaced left, or looks no more')
    }
  })

  it('are replaced when they die, and all is whole again', async () => {
    await using network = await CaringNetwork.of(9)
    const data = bytesOf(5_000)
    const { owner, clock } = network
    const put = await putObject(data, { nodes: await network.map(), owner, clock, code })
    assert.deepEqual(put.code, { k: 1, m: 6 })
    await network.tick()
    await assertWhole(network, put)
    for (const node of network.caretakers(put.id).slice(0, 2)) await network.stop(node)
    await network.advance(DAY_MS)
    const isCared = () => network.caretakers(put.id).every((node) => node.service.object(put.id))
    await network.tickUntil(() => isWhole(network, put) && isCared())
    await assertWhole(network, put)
    for (const node of network.caretakers(put.id)) assert.ok(node.service.object(put.id), 'a caretaker lacks it')
    await assertReads(network, put, data)
  })
})
