import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdentity, type NodeRecord, PinGoError } from '@pingo/wire'
import fc from 'fast-check'
import type { NodeMap, StorageNode } from '../nodes/port.ts'
import { caretakersOf } from '../placement/caretakers.ts'
import { Names } from './names.ts'
import { checkName, MAX_NAME_RECORD_BYTES, nameOf, parseName, signName } from './record.ts'

const ONE = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const TWO = 'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const AT = Date.UTC(2026, 0, 1)
const clock = () => AT

test('a name is the key as IPFS writes it, and is read from all its forms', async () => {
  const identity = await createIdentity()
  const name = nameOf(identity)
  assert.match(name, /^k51[a-z0-9]{59}$/)
  for (const form of [name, `/ipns/${name}`, `ipns://${name}`, identity.peerId]) assert.equal(parseName(form), name)
  for (const form of ['', 'k51', 'k51../../etc', 'example.org', ONE, name.slice(0, -1)])
    assert.throws(() => parseName(form), { code: 'NAME_MALFORMED' })
})

test('a record is taken from its key alone, whole and before its end', async () => {
  const [owner, other] = [await createIdentity(), await createIdentity()]
  const record = await signName(owner, ONE, { sequence: 7, clock, lifetimeMs: 60_000 })
  const version = await checkName(nameOf(owner), record, clock)
  assert.deepEqual(version, { value: `/ipfs/${ONE}`, cid: ONE, sequence: 7, validUntil: AT + 60_000 })
  await assert.rejects(checkName(nameOf(other), record, clock), { code: 'NAME_RECORD_INVALID' })
  await assert.rejects(
    checkName(nameOf(owner), record, () => AT + 60_000),
    { code: 'NAME_RECORD_EXPIRED' },
  )
  const large = new Uint8Array(MAX_NAME_RECORD_BYTES + 1)
  await assert.rejects(checkName(nameOf(owner), large, clock), { code: 'NAME_RECORD_INVALID' })
})

test('a changed byte never makes another version', async () => {
  const owner = await createIdentity()
  const record = await signName(owner, ONE, { sequence: 1, clock })
  const genuine = await checkName(nameOf(owner), record, clock)
  await fc.assert(
    fc.asyncProperty(fc.nat(record.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const changed = record.slice()
      changed[at]! ^= flip
      const version = await checkName(nameOf(owner), changed, clock).catch((error: unknown) => {
        assert.ok(error instanceof PinGoError)
        return genuine // refused
      })
      assert.deepEqual(version, genuine)
    }),
  )
})

test('the newest version wins, whatever single keepers show', async () => {
  const owner = await createIdentity()
  const nodes = keepers(7)
  const names = new Names({ nodes: mapOf(nodes), clock })
  assert.equal(await names.resolve(nameOf(owner)), undefined)
  assert.equal((await names.publish(owner, ONE)).sequence, 0)
  for (const node of nodes.slice(0, 3)) node.fails = true
  assert.equal((await names.publish(owner, TWO)).sequence, 1) // four of seven
  for (const node of nodes.slice(0, 3)) node.fails = false
  nodes[4]!.records = [new TextEncoder().encode('forged')]
  assert.equal((await names.resolve(nameOf(owner)))?.cid, TWO)
  assert.deepEqual(
    (await names.versions(nameOf(owner))).map(({ cid }) => cid),
    [TWO, ONE],
  )
})

test('a name is found also when the network has grown so that others are its keepers now', async () => {
  const owner = await createIdentity()
  const nodes = keepers(60)
  const now = caretakersOf(
    nameOf(owner),
    nodes.map(({ node }) => node),
  )
  const before = nodes.filter(({ node }) => !now.includes(node)).slice(0, 8)
  await new Names({ nodes: mapOf(before), clock }).publish(owner, ONE)
  const names = new Names({ nodes: mapOf(nodes), clock })
  assert.equal((await names.resolve(nameOf(owner)))?.cid, ONE)
  assert.equal((await names.publish(owner, TWO)).sequence, 1)
  assert.equal((await names.resolve(nameOf(owner)))?.cid, TWO)
})

test('a renewed version stays the version that it is, and lasts longer; keepers that lacked it have it', async () => {
  const owner = await createIdentity()
  const nodes = keepers(7)
  let now = AT
  const names = new Names({ nodes: mapOf(nodes), clock: () => now })
  assert.equal(await names.renew(owner), undefined)
  for (const node of nodes.slice(0, 3)) node.fails = true
  const first = await names.publish(owner, ONE)
  for (const node of nodes.slice(0, 3)) node.fails = false
  now += 1_000_000
  const renewed = await names.renew(owner)
  assert.deepEqual({ ...renewed, validUntil: first.validUntil }, first)
  assert.equal(renewed!.validUntil, first.validUntil + 1_000_000)
  assert.deepEqual(await names.versions(nameOf(owner)), [renewed])
  assert.ok(nodes.every(({ records }) => records.length > 0))
})

test('a record that most keepers did not take is not published', async () => {
  const owner = await createIdentity()
  const nodes = keepers(7)
  for (const node of nodes.slice(0, 4)) node.fails = true
  const names = new Names({ nodes: mapOf(nodes), clock })
  await assert.rejects(names.publish(owner, ONE), { code: 'NAME_NOT_PUBLISHED' })
  for (const node of nodes) node.fails = true
  await assert.rejects(names.resolve(nameOf(owner)), { code: 'NAME_UNRESOLVED' })
})

interface Keeper {
  fails: boolean
  records: Uint8Array[]
  node: StorageNode
}

/** Nodes that keep whatever they are given. */
function keepers(n: number): Keeper[] {
  return Array.from({ length: n }, (_, i) => {
    const keeper: Keeper = { fails: false, records: [], node: undefined as never }
    const answer = <T>(value: () => T) => {
      if (keeper.fails) return Promise.reject(new PinGoError('SOURCE_UNREACHABLE', 'It is gone.'))
      return Promise.resolve(value())
    }
    keeper.node = {
      record: { peerId: `node-${i}`, domain: `domain-${i}` } as NodeRecord,
      getName: () => answer(() => keeper.records[0]),
      nameVersions: () => answer(() => keeper.records),
      putName: (_: string, record: Uint8Array) =>
        answer(() => {
          keeper.records.unshift(record)
        }),
    } as unknown as StorageNode
    return keeper
  })
}

const mapOf = (nodes: Keeper[]): NodeMap => ({ live: () => nodes.map(({ node }) => node) }) as unknown as NodeMap
