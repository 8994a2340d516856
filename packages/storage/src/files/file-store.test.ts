import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { CarReader, CarWriter } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { type CID, cidOf, DAG_PB, isPinGoError, RAW } from '@pingo/wire'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { exporter } from 'ipfs-unixfs-exporter'
import { importFile } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { BlockStore, CHUNK_BYTES, FileStore } from '../index.ts'

let path: string
let store: BlockStore
let files: FileStore
before(async () => {
  path = await mkdtemp(join(tmpdir(), 'pingo-files-'))
  store = await BlockStore.open(path)
  files = new FileStore(store)
})
after(async () => {
  await store.close()
  await rm(path, { recursive: true, force: true })
})

/** Bytes that look random and are the same for the same seed. */
const bytesOf = (length: number, seed: number) =>
  createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length))
async function* pieces(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}
const code = (expected: string) => (error: unknown) => {
  assert.ok(isPinGoError(error), `not a PinGoError: ${error}`)
  assert.equal(error.code, expected, error.message)
  return true
}
/** Sizes that lie around the borders of chunks. */
const sizes = fc.oneof(
  fc.integer({ min: 0, max: 4000 }),
  fc
    .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -2, max: 2 }))
    .map(([chunks, delta]) => chunks * CHUNK_BYTES + delta),
  fc.integer({ min: 0, max: 5 * CHUNK_BYTES }),
)

describe('a file', () => {
  it('comes back as it was, whole and in parts, whatever its size and the pieces it came in', async () => {
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.integer({ min: 0, max: 255 }),
        fc.integer({ min: 1000, max: 3_000_000 }),
        fc.boolean(),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
          maxLength: 3,
        }),
        async (size, seed, piece, isStream, ranges) => {
          const bytes = bytesOf(size, seed)
          const ref = await files.put(isStream ? pieces(bytes, piece) : bytes)
          assert.equal(ref.bytes, size)
          assert.ok(Buffer.from(await files.readAll(ref)).equals(bytes))
          assert.equal(await files.size(ref.cid), size)
          for (const [a, b] of ranges) {
            const [start, end] = [Math.floor(a * (size + 10)), Math.floor(b * (size + 10))]
            const part = Buffer.concat(await Array.fromAsync(files.read(ref.cid, { start, end })))
            assert.ok(part.equals(bytes.subarray(start, Math.max(start, end))), `bytes ${start} to ${end}`)
          }
        },
      ),
      { numRuns: 40 },
    )
  })

  it('has the CID that ipfs-unixfs-importer gives it, which is Kubo’s, and its exporter reads it', async () => {
    const nowhere = { put: async (cid: CID) => cid }
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 0, max: 255 }), async (size, seed) => {
        const bytes = bytesOf(size, seed)
        const ref = await files.put(bytes)
        const plain = await importFile({ content: bytes }, nowhere as never, {
          cidVersion: 1,
          rawLeaves: true,
          chunker: fixedSize({ chunkSize: 1_048_576 }),
        })
        assert.equal(ref.cid, plain.cid.toString())
      }),
      { numRuns: 25 },
    )
    const bytes = bytesOf(2_500_000, 7)
    const ref = await files.put(bytes)
    const source = {
      async *get(cid: CID) {
        yield await store.get(cid)
      },
    }
    const entry = await exporter(ref.cid, source as never)
    const read = Buffer.concat(await Array.fromAsync((entry as { content(): AsyncIterable<Uint8Array> }).content()))
    assert.ok(read.equals(bytes))
  })

  it('has known CIDs', async () => {
    assert.equal(
      (await files.put(new Uint8Array(0))).cid,
      'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
    )
    assert.equal(
      (await files.put(Buffer.from('hello world'))).cid,
      'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e',
    )
  })

  it('of repeated content keeps one chunk, also with more links than a node has', async () => {
    const chunk = Buffer.alloc(CHUNK_BYTES, 1)
    async function* many() {
      for (let n = 0; n < 200; n++) yield chunk
    }
    const ref = await files.put(many())
    assert.equal(ref.bytes, 200 * CHUNK_BYTES)
    const chunks = await files.chunks(ref.cid)
    assert.equal(chunks[0], ref.cid)
    assert.equal(chunks.length, 4) // root, two nodes, the chunk
    let bytes = 0
    for await (const part of files.read(ref, { start: 150 * CHUNK_BYTES + 5 })) bytes += part.byteLength
    assert.equal(bytes, 50 * CHUNK_BYTES - 5)
  })

  it('is refused when it is not as long as its reference says, or longer than is taken', async () => {
    const ref = await files.put(bytesOf(3_000_000, 1))
    await assert.rejects(files.readAll({ ...ref, bytes: 2_999_999 }), code('FILE_SIZE_MISMATCH'))
    await assert.rejects(Array.fromAsync(files.read({ ...ref, bytes: 1 })), code('FILE_SIZE_MISMATCH'))
    await assert.rejects(files.readAll(ref, 2_999_999), code('FILE_TOO_LARGE'))
    assert.equal((await files.readAll(ref, 3_000_000)).byteLength, 3_000_000)
  })

  it('whose tree claims the impossible is refused: bombs, wrong sizes, other kinds of nodes', async () => {
    const put = async (node: dagPb.PBNode) => {
      const bytes = dagPb.encode(node)
      const cid = cidOf(bytes, DAG_PB)
      await store.put(cid, bytes)
      return cid
    }
    const file = (children: { cid: CID; bytes: bigint }[], type: 'file' | 'directory' = 'file') =>
      put({
        Data: new UnixFS({ type, blockSizes: children.map(({ bytes }) => bytes) }).marshal(),
        Links: children.map(({ cid }) => ({ Hash: cid, Name: '', Tsize: 1 })),
      })
    const leaf = bytesOf(1000, 3)
    await store.put(cidOf(leaf), leaf)
    // ten levels of a hundred links to the same child
    let bomb: { cid: CID; bytes: bigint } = { cid: cidOf(leaf), bytes: 1000n }
    for (let level = 0; level < 10; level++)
      bomb = { cid: await file(Array.from({ length: 100 }, () => bomb)), bytes: bomb.bytes * 100n }
    await assert.rejects(files.chunks(bomb.cid), code('FILE_MALFORMED'))
    await assert.rejects(files.readAll(bomb.cid), code('FILE_MALFORMED'))
    // a chain deeper than any file
    let chain: { cid: CID; bytes: bigint } = { cid: cidOf(leaf), bytes: 1000n }
    for (let level = 0; level < 12; level++) chain = { cid: await file([chain]), bytes: 1000n }
    await assert.rejects(files.chunks(chain.cid), code('FILE_MALFORMED'))
    await assert.rejects(files.readAll(chain.cid), code('FILE_MALFORMED'))
    // many tiny leaves: cheap to make, dear to read
    const byte = Buffer.of(1)
    await store.put(cidOf(byte), byte)
    let dust: { cid: CID; bytes: bigint } = { cid: cidOf(byte), bytes: 1n }
    for (let level = 0; level < 4; level++)
      dust = { cid: await file(Array.from({ length: 174 }, () => dust)), bytes: dust.bytes * 174n }
    await assert.rejects(files.readAll(dust.cid), code('FILE_MALFORMED'))
    // a child that is shorter than its parent says
    const liar = await file([{ cid: cidOf(leaf), bytes: 2000n }])
    await assert.rejects(files.readAll(liar), code('FILE_MALFORMED'))
    await assert.rejects(files.readAll(await file([], 'directory')), code('FILE_MALFORMED'))
    await assert.rejects(files.chunks(await put({ Links: [] })), code('FILE_MALFORMED'))
    const garbage = bytesOf(50, 9)
    await store.put(cidOf(garbage, DAG_PB), garbage)
    await assert.rejects(files.readAll(cidOf(garbage, DAG_PB)), code('FILE_MALFORMED'))
    await assert.rejects(files.chunks(cidOf(bytesOf(10, 99), RAW)), code('BLOCK_MISSING'))
  })
})

describe('a CAR', () => {
  const carOf = async (cid: string) => {
    const through = new PassThrough()
    const [bytes] = await Promise.all([
      Array.fromAsync(through as AsyncIterable<Buffer>),
      files.exportCar(cid, through),
    ])
    return Buffer.concat(bytes)
  }

  it('that is exported is read by @ipld/car, and one that @ipld/car wrote is imported', async () => {
    for (const size of [0, 10, CHUNK_BYTES, 3 * CHUNK_BYTES + 1]) {
      const content = bytesOf(size, 5)
      const ref = await files.put(content)
      const reader = await CarReader.fromBytes(await carOf(ref.cid))
      assert.deepEqual((await reader.getRoots()).map(String), [ref.cid])
      const blocks = await Array.fromAsync(reader.blocks())
      assert.deepEqual(
        blocks.map(({ cid }) => cid.toString()),
        await files.chunks(ref.cid),
      )

      const { writer, out } = CarWriter.create(blocks.map(({ cid }) => cid).slice(0, 1))
      const writing = (async () => {
        for (const one of blocks) await writer.put(one)
        await writer.close()
      })()
      const folder = await mkdtemp(join(tmpdir(), 'pingo-car-'))
      const other = await BlockStore.open(folder)
      const imported = await new FileStore(other).importCar(out)
      await writing
      assert.deepEqual(imported.roots, [ref.cid])
      assert.equal(imported.blocks, blocks.length)
      assert.ok(Buffer.from(await new FileStore(other).readAll(ref)).equals(content))
      await other.close()
      await rm(folder, { recursive: true })
    }
  })

  it('round-trips in pieces of any size, and its damage is found', async () => {
    const ref = await files.put(bytesOf(CHUNK_BYTES + 500, 6))
    const car = await carOf(ref.cid)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 200_000 }), async (piece) => {
        const { blocks } = await files.importCar(pieces(car, Math.max(piece, 500)))
        assert.equal(blocks, 3)
      }),
      { numRuns: 5 },
    )
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: car.length - 1 }), async (end) => {
        // cut anywhere but at the end of a block
        const result = await files.importCar(pieces(car.subarray(0, end), 100_000)).then(
          ({ blocks }) => blocks,
          (error) => Number(!code('CAR_MALFORMED')(error)),
        )
        assert.ok(result < 3)
      }),
      { numRuns: 30 },
    )
    const flipped = Buffer.from(car)
    flipped[car.length - 3]! ^= 1
    await assert.rejects(files.importCar(pieces(flipped, 100_000)), code('BLOCK_MISMATCH'))
    const huge = Buffer.concat([car.subarray(0, 59), Buffer.of(0xff, 0xff, 0xff, 0xff, 0x0f)])
    await assert.rejects(files.importCar(pieces(huge, 10)), code('CAR_MALFORMED'))
    await assert.rejects(files.importCar(pieces(randomBytes(1000), 10)), code('CAR_MALFORMED'))
    await assert.rejects(files.importCar(pieces(new Uint8Array(0), 10)), code('CAR_MALFORMED'))
  })
})
