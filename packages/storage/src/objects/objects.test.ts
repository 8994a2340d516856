import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createIdentity,
  FORGET_TYPE,
  ForgetSchema,
  type ObjectManifest,
  type PinGoError,
  parseCid,
  unseal,
} from '@pingo/wire'
import fc from 'fast-check'
import { keyOf } from '../blocks/key.ts'
import { bytesOf, digestOf, gathered, streamed } from '../testing/bytes.ts'
import { MemoryNetwork, type MemoryNode } from '../testing/memory-network.ts'
import { openObject } from './get.ts'
import { decodePart, shardCid } from './object.ts'
import { forgetObject, statObject } from './owner.ts'
import { proveObject } from './prove.ts'
import { type PutResult, putObject } from './put.ts'

const KIB = 1 << 10
const MIB = 1 << 20
const owner = await createIdentity()

const BOUNDARIES = [
  0,
  1,
  64 * KIB - 1,
  64 * KIB,
  64 * KIB + 1,
  MIB - 1,
  MIB,
  MIB + 1,
  10 * MIB - 1,
  10 * MIB,
  10 * MIB + 1,
  23 * MIB + 4_711,
]

for (const isPublic of [false, true])
  test(`${isPublic ? 'public' : 'private'} objects of all lengths around the boundaries come back, whole and in ranges`, async () => {
    const network = await MemoryNetwork.create(20)
    const nodes = network.map()
    for (const length of BOUNDARIES) {
      const bytes = bytesOf(length)
      const put = await putObject(streamed(bytes, 300_001), { nodes, owner, isPublic })
      assert.equal(put.bytes, length)
      const object = await openObject({ id: put.id, key: put.key, bytes: length, from: nodes })
      assert.equal(digestOf(await gathered(object.read())), digestOf(bytes), `${length} bytes`)
      for (const start of [0, 1, 64 * KIB, MIB - 1, MIB, length - 1])
        for (const end of [start + 1, start + 70_000, start + 2 * MIB]) {
          const part = await gathered(object.read({ start, end }))
          const wanted = bytes.subarray(Math.max(0, start), Math.max(0, end))
          assert.equal(Buffer.compare(part, wanted), 0, `${length}: ${start}-${end}`)
        }
    }
  })

test('every shard of a stripe is on a node of its own when a put is acknowledged', async () => {
  const network = await MemoryNetwork.create(20)
  const put = await putObject(bytesOf(21 * MIB), { nodes: network.map(), owner })
  assert.deepEqual(put.code, { k: 10, m: 6 })
  for (const holders of holdersOf(network, put)) assert.equal(new Set(holders).size, holders.length)
  assert.equal(put.caretakers.length, 7)
  assert.equal(network.nodes.filter(({ objects }) => objects.has(put.id)).length, 7)
})

test('a range read fetches the chunks it needs and no others', async () => {
  const network = await MemoryNetwork.create(16)
  const put = await putObject(bytesOf(21 * MIB), { nodes: network.map(), owner })
  const object = await openObject({ id: put.id, key: put.key, from: network.map() })
  await gathered(object.read({ start: 0, end: 1 })) // brings the manifest's part
  const before = calls(network, 'getChunk')
  await gathered(object.read({ start: 3 * MIB - 10, end: 4 * MIB }))
  assert.equal(calls(network, 'getChunk') - before, 2)
})

test('with any 6 of 16 nodes dead, noticed or not, and a survivor whose disk lies about a lost stripe less, the bytes are exact', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray(
        Array.from({ length: 16 }, (_, n) => n),
        { minLength: 6, maxLength: 6 },
      ),
      fc.integer({ min: 0, max: 6 }),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 64 * KIB + 1, max: 12 * MIB }),
      async (bad, corrupt, isNoticed, isPublic, length) => {
        const network = await MemoryNetwork.create(16)
        const bytes = bytesOf(length, length)
        const put = await putObject(bytes, { nodes: network.map(), owner, isPublic })
        const nodes = bad.map((n) => network.nodes[n]!)
        for (const node of nodes.slice(0, corrupt)) node.faults.isCorrupt = true
        network.kill(nodes.slice(corrupt), { isNoticed })
        const object = await openObject({ id: put.id, key: put.key, bytes: length, from: network.map() })
        assert.equal(digestOf(await gathered(object.read())), digestOf(bytes))
        const start = Math.floor(length / 3)
        assert.deepEqual(
          Buffer.compare(await gathered(object.read({ start, end: start + MIB })), bytes.subarray(start, start + MIB)),
          0,
        )
      },
    ),
    { numRuns: 15 },
  )
})

test('with 7 of 16 shards lost it says which stripe lacks how many', async () => {
  const network = await MemoryNetwork.create(20)
  const put = await putObject(bytesOf(21 * MIB), { nodes: network.map(), owner })
  const lost = holdersOf(network, put)[1]!.slice(0, 7)
  network.kill(network.nodes.filter((node) => lost.includes(node) && !put.caretakers.includes(node.record.peerId)))
  for (const node of lost) for (const cid of chunkCids(network, put)[1]!) node.chunks.delete(keyOf(cid))
  const object = await openObject({ id: put.id, key: put.key, bytes: 21 * MIB, from: network.map() })
  await assert.rejects(gathered(object.read({ start: 10 * MIB })), (error: PinGoError) => {
    assert.equal(error.code, 'OBJECT_UNREADABLE')
    assert.deepEqual(error.details, { stripe: 1, have: 9, need: 10, lacking: 1 })
    return true
  })
})

test('shards that were moved without a word are found by asking', async () => {
  const network = await MemoryNetwork.create(20)
  const bytes = bytesOf(5 * MIB)
  for (const isSmall of [false, true]) {
    const some = isSmall ? bytes.subarray(0, 1_000) : bytes
    const put = await putObject(some, { nodes: network.map(), owner })
    for (const cids of chunkCids(network, put))
      for (const cid of new Set(cids)) {
        const holders = network.holders(cid)
        const others = network.nodes.filter((node) => !holders.includes(node))
        for (const [n, holder] of holders.entries()) {
          others[n % others.length]!.chunks.set(keyOf(cid), holder.chunks.get(keyOf(cid))!)
          holder.chunks.delete(keyOf(cid))
        }
      }
    const object = await openObject({ id: put.id, key: put.key, bytes: some.byteLength, from: network.map() })
    assert.equal(digestOf(await gathered(object.read())), digestOf(some))
  }
})

test('a holder that never answers does not hold up a read', async () => {
  const network = await MemoryNetwork.create(16)
  const bytes = bytesOf(12 * MIB)
  const put = await putObject(bytes, { nodes: network.map(), owner })
  for (const node of network.nodes.slice(0, 3)) node.faults.isHanging = true
  const object = await openObject({ id: put.id, key: put.key, bytes: bytes.byteLength, from: network.map() })
  assert.equal(digestOf(await gathered(object.read())), digestOf(bytes))
})

test('six of seven caretakers may be gone', async () => {
  const network = await MemoryNetwork.create(30)
  const bytes = bytesOf(700 * KIB)
  for (const isPublic of [true, false]) {
    network.heal()
    const put = await putObject(bytes, { nodes: network.map(), owner, isPublic })
    network.kill(network.nodes.filter(({ record }) => put.caretakers.slice(0, 6).includes(record.peerId)))
    const object = await openObject({ id: put.id, key: put.key, bytes: bytes.byteLength, from: network.map() })
    assert.equal(digestOf(await gathered(object.read())), digestOf(bytes))
  }
})

test('small networks keep copies; the last node that lives brings the object back', async () => {
  const bytes = bytesOf(3 * MIB + 5)
  for (const [n, copies] of [
    [1, 1],
    [2, 2],
    [5, 3],
  ] as const) {
    const network = await MemoryNetwork.create(n)
    const put = await putObject(streamed(bytes, MIB), { nodes: network.map(), owner })
    assert.deepEqual(put.code, { k: 1, m: copies - 1 })
    assert.equal(put.warnings.length, n === 1 ? 1 : 0)
    for (const holders of holdersOf(network, put)) assert.equal(holders.length, copies)
    const dead = holdersOf(network, put)[0]!.slice(0, copies - 1)
    network.kill(dead, { isNoticed: false })
    const object = await openObject({ id: put.id, key: put.key, bytes: bytes.byteLength, from: network.map() })
    assert.equal(digestOf(await gathered(object.read({ end: MIB }))), digestOf(bytes.subarray(0, MIB)))
  }
})

test('equal leaves of public data are stored once, and the file is whole', async () => {
  const network = await MemoryNetwork.create(16)
  const leaves = [1, 2, 1, 1, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11, 1, 12].map((seed) => bytesOf(MIB, seed))
  const bytes = Buffer.concat([...leaves, bytesOf(999, 77)])
  const put = await putObject(bytes, { nodes: network.map(), owner, isPublic: true })
  assert.equal(put.manifest.bytes, 12 * MIB + 999)
  const object = await openObject({ id: put.id, from: network.map() })
  assert.equal(object.bytes, bytes.byteLength)
  assert.equal(digestOf(await gathered(object.read())), digestOf(bytes))
  const range = { start: 13 * MIB - 3, end: 15 * MIB + 3 }
  assert.equal(digestOf(await gathered(object.read(range))), digestOf(bytes.subarray(range.start, range.end)))
})

test('a key that is not its own opens nothing; a private object wants one', async () => {
  const network = await MemoryNetwork.create(16)
  const put = await putObject(bytesOf(100), { nodes: network.map(), owner })
  const another = { id: put.id, key: new Uint8Array(32), bytes: 100, from: network.map() }
  await assert.rejects(openObject(another), { code: 'KEY_MISMATCH' })
  await assert.rejects(openObject({ id: put.id, from: network.map() }), { code: 'KEY_MISSING' })
  await assert.rejects(openObject({ id: put.id, key: put.key, bytes: 10_000, from: network.map() }), {
    code: 'OBJECT_SIZE_MISMATCH',
  })
  const unknown = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  await assert.rejects(openObject({ id: unknown, from: network.map() }), { code: 'OBJECT_MISSING' })
})

test('one source of chunks is enough to read, and need not be trusted', async () => {
  const network = await MemoryNetwork.create(16)
  const bytes = bytesOf(11 * MIB)
  const put = await putObject(bytes, { nodes: network.map(), owner })
  let isLying = false
  const from = {
    get: async (cid: ReturnType<typeof parseCid>) => {
      const chunk = network.holders(cid)[0]!.chunks.get(keyOf(cid))!
      return isLying ? new Uint8Array(chunk.byteLength) : chunk
    },
  }
  const object = await openObject({ id: put.id, key: put.key, bytes: bytes.byteLength, from })
  assert.equal(digestOf(await gathered(object.read())), digestOf(bytes))
  isLying = true
  await assert.rejects(gathered(object.read()), { code: 'OBJECT_UNREADABLE' })
})

test('a read that is aborted ends with the reason', async () => {
  const network = await MemoryNetwork.create(16)
  const put = await putObject(bytesOf(30 * MIB), { nodes: network.map(), owner })
  const object = await openObject({ id: put.id, key: put.key, from: network.map() })
  const stop = new AbortController()
  const reading = object.read({}, { signal: stop.signal })
  await reading.next()
  for (const { faults } of network.nodes) faults.isHanging = true
  const ended = gathered(reading)
  stop.abort(new Error('enough'))
  await assert.rejects(ended, /enough/)
})

test('stat tells who cares; proofs fail where chunks are damaged; forgetting takes the word of the owner alone', async () => {
  const network = await MemoryNetwork.create(20)
  const nodes = network.map()
  const put = await putObject(bytesOf(21 * MIB), { nodes, owner, class: 'cold' })
  const status = await statObject({ id: put.id, nodes })
  assert.equal(status.owner, owner.peerId)
  assert.equal(status.class, 'cold')
  assert.equal(status.storedBytes, put.storedBytes)
  assert.deepEqual(status.risks, [])
  assert.ok(status.caretakers.every(({ cares }) => cares))

  const fine = await proveObject({ id: put.id, nodes, challenges: 40 })
  assert.deepEqual([fine.holds, fine.fails], [40, 0])
  for (const { faults } of network.nodes) faults.isCorrupt = true
  for (const { record, faults } of network.nodes) if (put.caretakers.includes(record.peerId)) delete faults.isCorrupt
  const damaged = await proveObject({ id: put.id, nodes, challenges: 200 })
  assert.ok(damaged.fails > 0)
  for (const { holds, peerId } of damaged.proofs) if (!holds) assert.ok(!put.caretakers.includes(peerId!))

  await assert.rejects(forgetObject({ id: put.id, owner: await createIdentity(), nodes }), { code: 'FORBIDDEN' })
  network.heal()
  const { told, failed } = await forgetObject({ id: put.id, owner, nodes })
  assert.deepEqual([told.length, failed], [7, []])
  await assert.rejects(statObject({ id: put.id, nodes }), { code: 'OBJECT_MISSING' })
})

const calls = (network: MemoryNetwork, method: string) =>
  network.nodes.reduce((sum, node) => sum + (node.calls[method] ?? 0), 0)

/** Of each stripe, shard by shard. */
function chunkCids(network: MemoryNetwork, { manifest }: PutResult) {
  const block = (text: string) => network.holders(parseCid(text))[0]!.chunks.get(keyOf(text))!
  return manifest.parts.flatMap((text: ObjectManifest['parts'][number], n: number) =>
    decodePart(block(text), manifest, n).stripes.map((stripe) =>
      Array.from({ length: manifest.code.k + manifest.code.m }, (_, shard) => shardCid(stripe, manifest.code, shard)),
    ),
  )
}

/** Of each stripe, the nodes that hold its shards (each distinct chunk once). */
function holdersOf(network: MemoryNetwork, put: PutResult): MemoryNode[][] {
  return chunkCids(network, put).map((cids) => {
    const distinct = new Map(cids.map((cid) => [cid.toString(), cid]))
    return [...distinct.values()].flatMap((cid) => network.holders(cid))
  })
}

test('an owner whose clock is behind that of the machine that put an object has the later word', async () => {
  const network = await MemoryNetwork.create(7)
  const nodes = network.map()
  const now = Date.now()
  const put = await putObject(bytesOf(1_000), { nodes, owner, clock: () => now + 60_000 })
  await forgetObject({ id: put.id, owner, nodes, clock: () => now })
  for (const { forgotten } of network.nodes) {
    const { value } = await unseal(ForgetSchema, FORGET_TYPE, forgotten.get(put.id)!, 1 << 10)
    assert.ok(value.at >= now + 60_000)
  }
})
