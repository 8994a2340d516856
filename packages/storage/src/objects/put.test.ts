import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createIdentity, PinGoError } from '@pingo/wire'
import { bytesOf, digestOf, gathered, streamed } from '../testing/bytes.ts'
import { MemoryNetwork } from '../testing/memory-network.ts'
import { openObject } from './get.ts'
import { type JournalStripe, MemoryJournal } from './journal.ts'
import { type PutOptions, type PutProgress, putObject } from './put.ts'

const MIB = 1 << 20
const owner = await createIdentity()

const stored = (network: MemoryNetwork) => network.nodes.reduce((sum, node) => sum + (node.calls.putChunk ?? 0), 0)

async function read(network: MemoryNetwork, put: { id: string; key?: Uint8Array; bytes: number }): Promise<string> {
  const object = await openObject({ id: put.id, key: put.key, bytes: put.bytes, from: network.map() })
  return digestOf(await gathered(object.read()))
}

test('nodes that fail, are full or dead without anybody having noticed are replaced by the next in rank', async () => {
  const network = await MemoryNetwork.create(24)
  network.kill(network.nodes.slice(0, 3), { isNoticed: false })
  for (const { faults } of network.nodes.slice(3, 8)) faults.isFull = true
  const bytes = bytesOf(33 * MIB)
  let last: PutProgress | undefined
  const put = await putObject(streamed(bytes, 777_777), {
    nodes: network.map(),
    owner,
    bytes: bytes.byteLength,
    onProgress: (progress) => {
      last = progress
    },
  })
  assert.ok(last!.replaced > 0)
  assert.equal(last!.bytes, bytes.byteLength)
  assert.equal(last!.shards, 4 * 16 - dataShortOf(put.manifest.bytes))
  for (const node of network.nodes.slice(0, 8)) assert.equal(node.chunks.size, 0)
  assert.equal(await read(network, put), digestOf(bytes))
})

/** Data shards that a last stripe does not need. */
function dataShortOf(bytes: number): number {
  const last = bytes % (10 * MIB)
  const shardBytes = 65_536 * Math.ceil(last / 10 / 65_536)
  return 10 - Math.ceil(last / shardBytes)
}

test('with fewer nodes than the code wants a put is refused, or waits until they are back', async () => {
  const network = await MemoryNetwork.create(16)
  const bytes = bytesOf(MIB)
  const dead = network.nodes.slice(0, 5)
  network.kill(dead)
  const o: PutOptions = { nodes: network.map(), owner, minNodes: 16, waitMs: 0 }
  await assert.rejects(putObject(bytes, o), { code: 'STORAGE_NODES_FEW' })
  assert.ok(network.nodes.every(({ objects }) => objects.size === 0))

  const waits: string[] = []
  const map = { ...network.map(), refresh: async () => network.heal() }
  const put = await putObject(bytes, {
    ...o,
    nodes: map,
    waitMs: 60_000,
    onProgress: ({ waitingFor }) => waitingFor && waits.push(waitingFor),
  })
  assert.ok(waits.length > 0)
  assert.deepEqual(put.code, { k: 10, m: 6 })
  assert.equal(await read(network, put), digestOf(bytes))
})

test('dead nodes that are believed to live end a put after its wait', async () => {
  const network = await MemoryNetwork.create(16)
  network.kill(network.nodes.slice(0, 1), { isNoticed: false })
  await assert.rejects(putObject(bytesOf(10 * MIB), { nodes: network.map(), owner, waitMs: 1_500 }), {
    code: 'STORAGE_NODES_FEW',
  })
})

test('stripes wider than what may be on its way at once go one by one', async () => {
  const network = await MemoryNetwork.create(30)
  const bytes = bytesOf(50 * MIB)
  const put = await putObject(bytes, { nodes: network.map(), owner, code: { k: 24, m: 6 } })
  assert.equal(put.manifest.stripes, 3)
  assert.equal(await read(network, put), digestOf(bytes))
})

test('when all nodes say no, that is the answer', async () => {
  const network = await MemoryNetwork.create(4)
  for (const { faults } of network.nodes) faults.isFull = true
  await assert.rejects(putObject(bytesOf(MIB), { nodes: network.map(), owner }), { code: 'QUOTA_EXCEEDED' })
})

test('a caretaker that fails is replaced before the put is acknowledged', async () => {
  const network = await MemoryNetwork.create(12)
  for (const node of network.nodes.slice(0, 4))
    node.commit = async () => {
      throw new PinGoError('SOURCE_UNREACHABLE', 'It broke off.')
    }
  const put = await putObject(bytesOf(100), { nodes: network.map(), owner })
  assert.equal(network.nodes.filter(({ objects }) => objects.has(put.id)).length, 7)
})

test('a stream of another length than was said is refused', async () => {
  const network = await MemoryNetwork.create(3)
  for (const bytes of [99, 101])
    await assert.rejects(putObject(bytesOf(100), { nodes: network.map(), owner, bytes }), {
      code: 'SOURCE_SIZE_MISMATCH',
    })
  assert.ok(network.nodes.every(({ objects }) => objects.size === 0))
})

test('a put that is aborted ends with the reason', async () => {
  const network = await MemoryNetwork.create(16)
  const stop = new AbortController()
  for (const { faults } of network.nodes) faults.isHanging = true
  const put = putObject(bytesOf(30 * MIB), { nodes: network.map(), owner, signal: stop.signal })
  setTimeout(() => stop.abort(new Error('enough')), 50)
  await assert.rejects(put, /enough/)
})

/** A stream that breaks after so many bytes. */
async function* broken(bytes: Uint8Array, after: number): AsyncGenerator<Uint8Array> {
  yield* streamed(bytes.subarray(0, after), 500_000)
  await new Promise((resolve) => setTimeout(resolve, 100)) // what was read is on its way meanwhile
  throw new Error('broken')
}

for (const isPublic of [false, true])
  test(`a ${isPublic ? 'public' : 'private'} put goes on where it broke off: what is stored is not sent again`, async () => {
    const network = await MemoryNetwork.create(16)
    const bytes = bytesOf(42 * MIB)
    const journal = new MemoryJournal()
    const o: PutOptions = { nodes: network.map(), owner, isPublic, journal }
    await assert.rejects(putObject(broken(bytes, 31 * MIB), o), /broken/)
    const begun = await journal.read()
    const before = stored(network)
    assert.ok(before >= 2 * 16)

    let last: PutProgress | undefined
    const put = await putObject(streamed(bytes, 1_000_000), {
      ...o,
      onProgress: (progress) => {
        last = progress
      },
    })
    assert.deepEqual(put.key, begun?.key)
    assert.ok(last!.resumedShards >= 2 * 16)
    assert.equal(last!.bytes, bytes.byteLength)
    assert.equal(await read(network, put), digestOf(bytes))

    // the same put again, as when the process died before it told anybody: the same object, and only the manifest travels
    const sent = stored(network)
    const again = await putObject(bytes, o)
    assert.equal(again.id, put.id)
    assert.ok(stored(network) - sent <= 7 * 3)
  })

test('shards that were lost since are sent again, and only they', async () => {
  const network = await MemoryNetwork.create(17)
  const bytes = bytesOf(20 * MIB)
  const journal = new MemoryJournal()
  const o: PutOptions = { nodes: network.map(), owner, journal }
  await putObject(bytes, o)
  const lost = network.nodes.find(({ chunks }) => chunks.size > 0)!
  network.kill([lost])
  let last: PutProgress | undefined
  const put = await putObject(bytes, {
    ...o,
    onProgress: (progress) => {
      last = progress
    },
  })
  assert.ok(last!.shards > 0 && last!.shards <= 2)
  assert.equal(await read(network, put), digestOf(bytes))
})

test('a put that lasts for days keeps the leases of what it has stored', async () => {
  let now = Date.parse('2026-01-01')
  const hours = 3_600_000
  const network = await MemoryNetwork.create(16, { clock: () => now })
  const bytes = bytesOf(42 * MIB)
  async function* slow(): AsyncGenerator<Uint8Array> {
    for await (const piece of streamed(bytes, MIB)) {
      await new Promise((resolve) => setImmediate(resolve))
      now += hours
      for (const node of network.nodes) node.collect()
      yield piece
    }
  }
  const put = await putObject(slow(), { nodes: network.map(), owner, clock: () => now })
  now += hours
  for (const node of network.nodes) assert.equal(node.collect(), 0)
  assert.equal(await read(network, put), digestOf(bytes))
})

/** Counts under which key each stripe was begun with what. */
class SuspiciousJournal extends MemoryJournal {
  readonly seen = new Map<string, string>()

  override async write(index: number, stripe: JournalStripe): Promise<void> {
    const name = `${Buffer.from((await this.read())!.key!).toString('hex')}.${index}`
    const content = Buffer.from(stripe.content).toString('hex')
    assert.equal(this.seen.get(name) ?? content, content, 'one key and nonce, two texts')
    this.seen.set(name, content)
    await super.write(index, stripe)
  }
}

test('data that changed since the put began go under a fresh key, in one go where the source can be opened again', async () => {
  const network = await MemoryNetwork.create(16)
  const first = bytesOf(12 * MIB)
  const flipped = Uint8Array.from(first)
  flipped[11 * MIB]! ^= 1
  const changes: [string, Uint8Array][] = [
    ['another byte', flipped],
    ['shorter', first.subarray(0, 10 * MIB)],
    ['longer', Buffer.concat([first, bytesOf(5 * MIB, 2)])],
  ]
  for (const [what, changed] of changes) {
    const journal = new SuspiciousJournal()
    const o: PutOptions = { nodes: network.map(), owner, journal }
    const put = await putObject(first, o)
    await assert.rejects(putObject(streamed(changed, MIB), o), { code: 'SOURCE_CHANGED' }, what)
    const again = await putObject(streamed(changed, MIB), o)
    assert.notDeepEqual(again.key, put.key)
    assert.equal(await read(network, again), digestOf(changed), what)
    const opened = await putObject(() => streamed(first, MIB), o)
    assert.notDeepEqual(opened.key, again.key)
    assert.equal(await read(network, opened), digestOf(first))
  }
})

test('what a stripe holds is in the journal before any of its shards is sent', async () => {
  const network = await MemoryNetwork.create(16)
  const journal = new MemoryJournal()
  const written = new Set<number>()
  const write = journal.write.bind(journal)
  journal.write = async (index, stripe) => {
    assert.ok(stored(network) <= 16 * written.size)
    await write(index, stripe)
    written.add(index)
  }
  await putObject(bytesOf(30 * MIB), { nodes: network.map(), owner, journal })
  assert.equal(written.size, 3)
})

test('nodes learn the padded length only; an empty object is like no other', async () => {
  const network = await MemoryNetwork.create(16)
  const o = { nodes: network.map(), owner }
  const a = await putObject(bytesOf(1_000_001), o)
  const b = await putObject(bytesOf(1_000_002), o)
  assert.equal(a.manifest.bytes, b.manifest.bytes)
  assert.equal(a.bytes, 1_000_001)
  const empty = await Promise.all([putObject(new Uint8Array(0), o), putObject(new Uint8Array(0), o)])
  assert.notEqual(empty[0].id, empty[1].id)
})
