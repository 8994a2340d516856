import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openDataset, openPagedDataset, type ReadableDataset, sampleOrder } from '@pingo/data'
import { BlockStore, blockHandler, FileStore, newObjectKey, sealFile } from '@pingo/storage'
import { type DatasetManifest, type FileRef, isPinGoError, type SealedDataset, writeSafetensors } from '@pingo/wire'
import { partsOf } from './data-parts.ts'
import { ContributorDisk } from './disk.ts'
import { Files } from './files.ts'
import { LEAST_DISK_BYTES } from './owner/limits.ts'

const stops: (() => unknown)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})
const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), 'pingo-parts-'))
  stops.push(() => rm(path, { recursive: true, force: true }))
  return path
}

const SHARDS = 4
const SAMPLES = 700
const WIDTH = 3_000
/** Of the data, 8.4 MB, little is in memory. */
const CACHE_BYTES = 1 << 20
const BATCH = 64
const key = newObjectKey()

/** A fog node with a dataset, public and sealed, and a contributor that has nothing of it. */
async function stage(diskBytes = LEAST_DISK_BYTES) {
  const blocks = await BlockStore.open(await folder())
  stops.push(() => blocks.close())
  const handle = blockHandler(blocks, { authorize: () => false })
  const server = createServer((request, response) => handle(request, response) || response.writeHead(404).end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stops.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const files = new FileStore(blocks)
  const shards: DatasetManifest['shards'] = []
  const sealed = new Map<string, FileRef>()
  for (let s = 0; s < SHARDS; s++) {
    const first = s * SAMPLES
    const x = Uint8Array.from({ length: SAMPLES * WIDTH }, (_, i) => 31 * (first + Math.floor(i / WIDTH)) + (i % WIDTH))
    const y = Int32Array.from({ length: SAMPLES }, (_, i) => first + i)
    const bytes = writeSafetensors([
      ['x', { dtype: 'uint8', shape: [SAMPLES, WIDTH], data: x }],
      ['y', { dtype: 'int32', shape: [SAMPLES], data: y }],
    ])
    const file = await files.put(bytes)
    shards.push({ file, samples: SAMPLES })
    sealed.set(file.cid, await files.put(sealFile(key, bytes)))
  }
  const manifest: DatasetManifest = {
    type: 'pingo/dataset',
    version: 1,
    name: 'made',
    kind: 'tensor',
    samples: SHARDS * SAMPLES,
    columns: [
      { name: 'x', role: 'input', dtype: 'uint8', shape: [WIDTH] },
      { name: 'y', role: 'target', dtype: 'int32', shape: [] },
    ],
    shards,
    shuffleSeed: 0,
  }
  const disk = await ContributorDisk.open(await folder(), { quotaBytes: diskBytes, keepFreeBytes: 0 })
  stops.push(() => disk.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const from = new Files(disk, () => [{ url }])
  stops.push(() => from.close())
  const readPart = (file: FileRef, start: number, into: Uint8Array) =>
    from.readPart(file, start, into, AbortSignal.timeout(120_000))
  const isPublic: Pick<ReadableDataset, 'sealed' | 'stored'> = { stored: (file) => file }
  const isPrivate = { sealed: {} as SealedDataset, stored: (file: FileRef) => sealed.get(file.cid)! }
  return { manifest, files, disk, from, readPart, isPublic, isPrivate }
}

const inputs = [
  { name: 'x', column: 'x', dtype: 'uint8' as const, shape: [WIDTH] },
  { name: 'y', column: 'y', dtype: 'int32' as const, shape: [] },
]

/** The batches of an epoch and a half, the last one short. @param before is called before each */
async function* batches(
  { manifest }: { manifest: DatasetManifest },
  data: ReturnType<typeof openDataset>,
  before = async (_: number) => {},
) {
  const order = sampleOrder({ samples: manifest.samples, seed: 7 })
  const total = 1.5 * manifest.samples
  for (let at = 0; at < total; at += BATCH) {
    await before(at / BATCH)
    yield await data.batch(order.indices(at, Math.min(at + BATCH, total)), inputs)
  }
}

for (const kind of ['isPublic', 'isPrivate'] as const)
  test(`data that are larger than the memory for them are read in their order, also when blocks are gone (${kind})`, async () => {
    const net = await stage()
    const { manifest, files, disk, from, readPart } = net
    const whole = openDataset(manifest, (file) => files.readAll(file))
    const paged = openPagedDataset(
      manifest,
      partsOf(net[kind], readPart, () => key),
      { cacheBytes: CACHE_BYTES },
    )
    const gone = async (batch: number) => {
      if (batch % 10 !== 5) return
      if (batch === 25) await from.endLease(0)
      const before = disk.blocks.stats().blocks
      for (const { file } of manifest.shards.slice(0, 2))
        for (const cid of await files.chunks(net[kind].stored(file).cid)) await disk.blocks.delete(cid)
      assert.ok(disk.blocks.stats().blocks < before, 'blocks were there')
    }
    const expected = batches(net, whole)
    let count = 0
    for await (const batch of batches(net, paged, gone)) {
      assert.deepEqual(batch, (await expected.next()).value)
      count++
    }
    assert.equal(count, Math.ceil((1.5 * manifest.samples) / BATCH))
    paged.close()
  })

test('on a disk that does not hold the data, what was evicted is fetched again', async () => {
  const net = await stage()
  const { manifest, disk, readPart, isPublic } = net
  await disk.limit({ quotaBytes: (16 << 20) + 5_000_000, keepFreeBytes: 0 })
  const paged = openPagedDataset(
    manifest,
    partsOf(isPublic, readPart, () => key),
    { cacheBytes: CACHE_BYTES },
  )
  const order = sampleOrder({ samples: manifest.samples, seed: 7 })
  for (let at = 0; at < 4 * BATCH; at += BATCH) {
    const indices = order.indices(at, at + BATCH)
    const { x, y } = await paged.batch(indices, inputs)
    assert.deepEqual(y, Int32Array.from(indices))
    assert.deepEqual(
      Array.from({ length: BATCH }, (_, i) => x![i * WIDTH]),
      Array.from(indices, (index) => (31 * index) % 256),
    )
  }
  assert.ok(disk.status().usedBytes <= disk.status().quotaBytes)
  paged.close()
})

test('a key that is taken back opens nothing more', async () => {
  const { manifest, readPart, isPrivate } = await stage()
  let granted = true
  const paged = openPagedDataset(
    manifest,
    partsOf(isPrivate, readPart, () => {
      if (!granted) throw new Error('taken back')
      return key
    }),
    { cacheBytes: CACHE_BYTES },
  )
  await paged.batch([0], inputs)
  granted = false
  await assert.rejects(paged.batch([SAMPLES - 1], inputs), /taken back/)
  await assert.rejects(
    openPagedDataset(manifest, partsOf(isPrivate, readPart, newObjectKey)).batch([0], inputs),
    (error) => isPinGoError(error, 'DATA_TAMPERED'),
  )
})
