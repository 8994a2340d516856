import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode, type ManifestPart, NOWHERE, type ObjectManifest, type Stripe } from '@pingo/wire'
import fc from 'fast-check'
import {
  decodeLocations,
  decodeManifest,
  decodePart,
  encodeLocations,
  encodeManifest,
  encodePart,
  shardBytesFor,
  stripesInPart,
  stripesPerPart,
} from './object.ts'

const MIB = 1 << 20
const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const code = { k: 10, m: 6 }

const manifest: ObjectManifest = {
  type: 'pingo/object',
  version: 1,
  code,
  bytes: 25 * MIB,
  stripeBytes: 10 * MIB,
  cipher: 'aes-256-gcm',
  stripes: 3,
  parts: [CID],
}

function stripe(bytes: number, o: Partial<Stripe> = {}): Stripe {
  const shardBytes = shardBytesFor(bytes, code)
  return {
    bytes,
    shardBytes,
    shards: new Uint8Array(32 * 16),
    roots: new Uint8Array(32 * 16),
    tags: new Uint8Array(16 * Math.ceil(bytes / shardBytes)),
    ...o,
  }
}

const part = (stripes: Stripe[], o: Partial<ManifestPart> = {}): ManifestPart => ({
  type: 'pingo/object-part',
  stripes,
  ...o,
})
const good = [stripe(10 * MIB), stripe(10 * MIB), stripe(5 * MIB)]
const malformed = { code: 'MANIFEST_MALFORMED' }

test('a manifest and its parts come back as they were', () => {
  assert.deepEqual(decodeManifest(encodeManifest(manifest).bytes), manifest)
  assert.equal(decodePart(encodePart(part(good)).bytes, manifest, 0).stripes.length, 3)
})

test('manifests whose numbers do not fit each other are refused', () => {
  const wrong: Record<string, Partial<ObjectManifest> | Record<string, unknown>> = {
    'more stripes than bytes': { stripes: 4 },
    'fewer stripes than bytes': { stripes: 2 },
    'bytes beyond any file': {
      bytes: 2 ** 42,
      stripes: Math.ceil(2 ** 42 / (10 * MIB)),
      parts: new Array(500).fill(CID),
    },
    'bytes that overflow': { bytes: Number.MAX_SAFE_INTEGER, stripes: Math.ceil(Number.MAX_SAFE_INTEGER / (10 * MIB)) },
    'stripes wider than their shards may be': { stripeBytes: 20 * MIB, stripes: 2 },
    'stripes that are no whole shards': { stripeBytes: 10 * MIB - 1 },
    'shards that are no whole rows': { stripeBytes: 10 * (MIB - 64), stripes: 3 },
    'no data shards': { code: { k: 0, m: 6 } },
    'more parity than the code has': { code: { k: 10, m: 7 } },
    'parts lacking': { parts: [] },
    'private, with a root': { root: CID },
    'public, without': { cipher: 'none' },
    'public, with a key': { cipher: 'none', root: CID, keyCheck: new Uint8Array(32) },
    'a key check of another length': { keyCheck: new Uint8Array(31) },
    'a part that is no CID': { parts: ['../../etc/passwd'] },
    'negative bytes': { bytes: -1, stripes: 0 },
    'an unknown member': { more: 1 },
    'another version': { version: 2 },
  }
  for (const [what, change] of Object.entries(wrong))
    assert.throws(() => decodeManifest(encode({ ...manifest, ...change })), malformed, what)
  assert.throws(() => decodeManifest(new Uint8Array(3 << 20)), malformed)
  assert.throws(() => decodeManifest(Uint8Array.of(1, 2, 3)), malformed)
})

test('parts that do not fit their manifest are refused', () => {
  const wrong: Record<string, ManifestPart> = {
    'too few stripes': part(good.slice(1)),
    'too many': part([...good, good[2]!]),
    'a first stripe that is short': part([stripe(9 * MIB), good[1]!, good[2]!]),
    'a last stripe that is long': part([good[0]!, good[1]!, stripe(6 * MIB)]),
    'digests lacking': part([good[0]!, good[1]!, stripe(5 * MIB, { shards: new Uint8Array(32 * 15) })]),
    'roots lacking': part([good[0]!, good[1]!, stripe(5 * MIB, { roots: new Uint8Array(0) })]),
    'tags lacking': part([good[0]!, good[1]!, stripe(5 * MIB, { tags: undefined })]),
    'tags too many': part([good[0]!, good[1]!, stripe(5 * MIB, { tags: new Uint8Array(16 * 11) })]),
    'shards too short for their bytes': part([good[0]!, good[1]!, stripe(5 * MIB, { shardBytes: 65_536 })]),
    'shards that are no rows': part([good[0]!, good[1]!, stripe(5 * MIB, { shardBytes: 900_001 })]),
    'shards of no bytes': part([good[0]!, good[1]!, stripe(5 * MIB, { shardBytes: 0 })]),
    'a tree under private data': part(good, { tree: [CID] }),
  }
  for (const [what, each] of Object.entries(wrong))
    assert.throws(() => decodePart(encode(each), manifest, 0), malformed, what)
})

test('parts hold a fixed number of stripes by code, and fit a block', () => {
  for (const code of [
    { k: 10, m: 6 },
    { k: 24, m: 6 },
    { k: 1, m: 6 },
  ]) {
    const perPart = stripesPerPart(code)
    const many = { ...manifest, code, stripes: perPart * 2 + 1 }
    assert.deepEqual(
      [0, 1, 2, 3].map((n) => stripesInPart(many, n)),
      [perPart, perPart, 1, 0],
    )
    const digests = 32 * (code.k === 1 ? 1 : code.k + code.m)
    const full = { shards: new Uint8Array(digests), roots: new Uint8Array(digests), tags: new Uint8Array(16 * code.k) }
    const tree = new Array(4_096).fill(CID)
    const bytes = encodePart(part(new Array(perPart).fill(stripe(10 * MIB, full)), { tree })).bytes
    assert.ok(bytes.byteLength <= 2 * MIB, `${bytes.byteLength}`)
  }
})

test('locations come back as they were; those that name no node, or are too few, are refused', () => {
  const peer = (n: number) => (n % 5 === 0 ? undefined : `12D3KooW${'x'.repeat(10)}${n}`)
  const holders = Array.from({ length: 3 }, (_, s) => Array.from({ length: 16 }, (_, n) => peer(s * 16 + n)))
  const locations = encodeLocations(holders)
  assert.deepEqual(decodeLocations(locations, manifest, 0), holders)
  assert.throws(() => decodeLocations({ ...locations, at: locations.at.subarray(2) }, manifest, 0), malformed)
  assert.throws(() => decodeLocations({ ...locations, nodes: locations.nodes.slice(1) }, manifest, 0), malformed)
  assert.equal(new DataView(locations.at.buffer).getUint16(0, true), NOWHERE)
})

test('shards hold their stripe in whole rows of the code', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 * MIB }), (bytes) => {
      const shardBytes = shardBytesFor(bytes, code)
      assert.ok(shardBytes % 65_536 === 0 && shardBytes <= MIB && shardBytes * 10 >= bytes)
      assert.ok(shardBytes === 65_536 || (shardBytes - 65_536) * 10 < bytes)
    }),
  )
})
