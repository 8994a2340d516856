import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { createIdentity } from '@pingo/wire'
import { MemoryNetwork } from '../testing/memory-network.ts'
import { openObject } from './get.ts'
import { putObject } from './put.ts'

const KIB = 1 << 10
const MIB = 1 << 20
const owner = await createIdentity()

/** Bytes that differ everywhere, by a seed. */
function bytesOf(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed * 2654435761
  for (let n = 0; n < length; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[n] = state >>> 24
  }
  return bytes
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const piece of pieces) parts.push(piece)
  return Buffer.concat(parts)
}

async function* streamed(bytes: Uint8Array, piece: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += piece) yield bytes.subarray(at, at + piece)
}

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
      assert.equal(digest(await all(object.read())), digest(bytes), `${length} bytes`)
      for (const start of [0, 1, 64 * KIB, MIB - 1, MIB, length - 1])
        for (const end of [start + 1, start + 70_000, start + 2 * MIB]) {
          const part = await all(object.read({ start, end }))
          assert.deepEqual(
            Buffer.compare(part, bytes.subarray(Math.max(0, start), Math.max(0, end))),
            0,
            `${length}: ${start}-${end}`,
          )
        }
    }
  })
