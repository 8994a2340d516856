import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CID, createIdentity, LEAF_BYTES, type ObjectManifest, parseCid } from '@pingo/wire'
import { keyOf } from '../blocks/key.ts'
import { leafHashes, merkleRoot } from '../durability/merkle.ts'
import { bytesOf, gathered } from '../testing/bytes.ts'
import { MemoryNetwork } from '../testing/memory-network.ts'
import type { ChunkQuestion, ChunkSource } from './chunk-source.ts'
import { openObject } from './get.ts'
import { decodePart, encodeManifest, encodePart, shardCid } from './object.ts'
import { type PutResult, putObject } from './put.ts'

const MIB = 1 << 20
const owner = await createIdentity()
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
const hashesOf = (chunk: Uint8Array) => Buffer.concat(leafHashes(chunk))

/** An object's chunks, each answered when the test says so. */
async function stored(bytes: Uint8Array, nodes = 16, isPublic = false) {
  const network = await MemoryNetwork.create(nodes)
  const put = await putObject(bytes, { nodes: network.map(), owner, isPublic })
  const chunks = new Map(network.nodes.flatMap(({ chunks }) => [...chunks]))
  return { put, chunks, of: (cid: CID) => chunks.get(keyOf(cid))! }
}

/** Tells the first leaf of what is awaited as `tell` says, and the chunk itself when `release` resolves. */
function source(
  of: (cid: CID) => Uint8Array,
  tell: (chunk: Uint8Array, told: NonNullable<ChunkQuestion['onFirstLeaf']>) => void,
  release: Promise<unknown> = Promise.resolve(),
) {
  let asked = 0
  const from: ChunkSource = {
    async get(cid, { hint, onFirstLeaf }) {
      const chunk = of(cid)
      if (!hint) return chunk
      if (onFirstLeaf) {
        asked += 1
        tell(chunk, onFirstLeaf)
      }
      await release
      return chunk
    },
    patienceMs: () => 60_000,
  }
  return { from, asked: () => asked }
}

const truly = (chunk: Uint8Array, told: NonNullable<ChunkQuestion['onFirstLeaf']>) =>
  told(chunk.subarray(0, LEAF_BYTES), hashesOf(chunk))

const opened = ({ id, key }: PutResult, bytes: number, from: ChunkSource) => openObject({ id, key, bytes, from })

test('a private object begins with its first leaf, before the shard is there, and goes on', async () => {
  for (const [bytes, nodes] of [
    [3 * MIB, 16],
    [300_000, 3], // copies
  ] as const) {
    const text = bytesOf(bytes)
    const { put, of } = await stored(text, nodes)
    const release = Promise.withResolvers<void>()
    const object = await opened(put, bytes, source(of, truly, release.promise).from)
    const parts = object.read()
    const { value: first } = await parts.next()
    assert.ok(same(first!, text.subarray(0, LEAF_BYTES)))
    release.resolve()
    assert.ok(same(Buffer.concat([first!, await gathered(parts)]), text))
  }
})

test('ranges that begin, end or lie in the first leaf; one that begins behind it does not ask for it', async () => {
  const text = bytesOf(2 * MIB)
  const { put, of } = await stored(text)
  for (const [start, end, asks] of [
    [0, 1, 1],
    [LEAF_BYTES - 1, LEAF_BYTES, 1],
    [LEAF_BYTES - 1, LEAF_BYTES + 1, 1],
    [100, 2 * MIB, 1],
    [LEAF_BYTES, LEAF_BYTES + 1, 0],
  ] as const) {
    const { from, asked } = source(of, truly)
    const object = await opened(put, text.byteLength, from)
    assert.ok(same(await gathered(object.read({ start, end })), text.subarray(start, end)), `${start}-${end}`)
    assert.equal(asked(), asks)
  }
  const never = source(of, truly, new Promise(() => undefined))
  const part = await gathered((await opened(put, text.byteLength, never.from)).read({ start: 5, end: 500 }))
  assert.ok(same(part, text.subarray(5, 500)), 'the rest is not waited for')
})

test('an object that is one leaf, and public data, come whole', async () => {
  const small = await stored(bytesOf(1000))
  const one = source(small.of, truly)
  assert.ok(same(await gathered((await opened(small.put, 1000, one.from)).read()), bytesOf(1000)))
  assert.equal(one.asked(), 0)
  const open = await stored(bytesOf(3 * MIB), 16, true)
  const other = source(open.of, truly)
  const { id, manifestCid } = { id: open.put.id, manifestCid: encodeManifest(open.put.manifest).cid.toString() }
  assert.ok(same(await gathered((await openObject({ id, manifestCid, from: other.from })).read()), bytesOf(3 * MIB)))
  assert.equal(other.asked(), 0)
})

test('a leaf or hashes that are not the manifest’s are not shown', async () => {
  const text = bytesOf(3 * MIB)
  const { put, of } = await stored(text)
  const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, n) => (n === at ? byte ^ 1 : byte))
  const lies: Record<string, typeof truly> = {
    'another byte': (chunk, told) => told(flipped(chunk.subarray(0, LEAF_BYTES), 77), hashesOf(chunk)),
    'another byte, and its hash': (chunk, told) => {
      const wrong = flipped(chunk, 77)
      told(wrong.subarray(0, LEAF_BYTES), hashesOf(wrong))
    },
    'the second leaf': (chunk, told) => told(chunk.subarray(LEAF_BYTES, 2 * LEAF_BYTES), hashesOf(chunk)),
    'a short leaf': (chunk, told) => told(chunk.subarray(0, LEAF_BYTES - 1), hashesOf(chunk)),
    'a long leaf': (chunk, told) => told(chunk.subarray(0, LEAF_BYTES + 1), hashesOf(chunk)),
    'a hash less': (chunk, told) => told(chunk.subarray(0, LEAF_BYTES), hashesOf(chunk).subarray(32)),
    'a hash more': (chunk, told) =>
      told(chunk.subarray(0, LEAF_BYTES), Buffer.concat([hashesOf(chunk), Buffer.alloc(32)])),
    'no hashes': (chunk, told) => told(chunk.subarray(0, LEAF_BYTES), new Uint8Array(0)),
  }
  for (const [what, tell] of Object.entries(lies)) {
    const release = Promise.withResolvers<void>()
    const { from, asked } = source(of, tell, release.promise)
    const parts = (await opened(put, text.byteLength, from)).read()
    const first = parts.next()
    const early = await Promise.race([first.then(() => what), new Promise((resolve) => setTimeout(resolve, 20))])
    assert.equal(early, undefined)
    assert.equal(asked(), 1)
    release.resolve()
    assert.ok(same(Buffer.concat([(await first).value!, await gathered(parts)]), text), what)
  }
})

test('a manifest whose roots are not those of its shards: what its owner sealed under them ends with an error', async () => {
  const text = bytesOf(MIB)
  const { put, chunks, of } = await stored(text)
  const part = decodePart(of(parseCid(put.manifest.parts[0]!)), put.manifest, 0)
  const [stripe] = part.stripes
  const wrong = of(shardCid(stripe!, put.manifest.code, 0)).map((byte) => byte ^ 1)
  stripe!.roots.set(merkleRoot(wrong), 0)
  const forged = forge(chunks, put.manifest, encodePart(part))
  const tell: typeof truly = (_, told) => told(wrong.subarray(0, LEAF_BYTES), hashesOf(wrong))
  const object = await openObject({ id: forged, key: put.key!, bytes: MIB, from: source(of, tell).from })
  await assert.rejects(gathered(object.read()), { code: 'DATA_TAMPERED' })
})

test('without word of its key in the manifest nothing is shown early, and another key opens nothing', async () => {
  const text = bytesOf(MIB)
  const { put, chunks, of } = await stored(text)
  const { keyCheck: _, ...old } = put.manifest
  const id = forge(chunks, old)
  const { from, asked } = source(of, truly)
  const object = await openObject({ id, key: put.key!, bytes: MIB, from })
  assert.ok(same(await gathered(object.read()), text))
  const stranger = await openObject({ id, key: new Uint8Array(32), bytes: MIB, from })
  await assert.rejects(stranger.read().next(), { code: 'DATA_TAMPERED' })
  assert.equal(asked(), 0)
})

/** Stores a manifest that nobody put. @returns its id */
function forge(
  chunks: Map<string, Uint8Array>,
  manifest: ObjectManifest,
  part?: { cid: CID; bytes: Uint8Array },
): string {
  if (part) chunks.set(keyOf(part.cid), part.bytes)
  const { cid, bytes } = encodeManifest({ ...manifest, ...(part ? { parts: [part.cid.toString()] } : {}) })
  chunks.set(keyOf(cid), bytes)
  return cid.toString()
}
