import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { FORGET_TYPE, seal } from '@pingo/wire'
import { openObject } from '../objects/get.ts'
import { putObject } from '../objects/put.ts'
import { code } from '../testing/http-node.ts'
import { ownerOf, storageNode } from '../testing/storage-nodes.ts'
import { HttpNodeMap } from './node-map.ts'

const NODES = 17
const readAll = async (bytes: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(bytes))

it('objects, private and public, on many nodes over HTTP: exact with six of sixteen gone, and forgotten by word', async () => {
  const first = await storageNode()
  const nodes = [first]
  while (nodes.length < NODES) nodes.push(await storageNode({ seeds: [first], turnMs: 500 }))
  for (let i = 0; i < 400 && nodes.some(({ membership }) => membership.book.list().length < NODES - 1); i++)
    await sleep(50)
  const owner = await ownerOf(first)
  const map = new HttpNodeMap({ seeds: [first], access: owner.access })
  await map.refresh()
  assert.equal(map.live().length, NODES)
  const data = randomBytes(12 * (1 << 20) + 12_345)
  const isPrivate = await putObject(data, { nodes: map, owner: owner.identity })
  const isPublic = await putObject(data, { nodes: map, owner: owner.identity, isPublic: true })
  const again = await putObject(data, { nodes: map, owner: owner.identity, isPublic: true })
  assert.equal(again.id, isPublic.id)
  const small = await putObject(data.subarray(0, 1000), { nodes: map, owner: owner.identity })
  assert.deepEqual(isPrivate.code, { k: 10, m: 6 })
  const gone = nodes.slice(1, 7)
  await Promise.all(gone.map((node) => node.close()))
  for (const { id, key, bytes } of [isPrivate, isPublic, small]) {
    const object = await openObject({ id, key, bytes, from: map })
    assert.ok((await readAll(object.read())).equals(data.subarray(0, bytes)), id)
  }
  for (const { id } of [isPrivate, isPublic, small]) {
    const word = await seal(owner.identity, FORGET_TYPE, { id, at: Date.now() })
    for (const node of map.live()) await node.forget(id, word).catch(code('SOURCE_UNREACHABLE'))
  }
  for (const node of nodes)
    if (!gone.includes(node)) assert.equal(node.service.care.usage(owner.identity.peerId).objects, 0)
})
