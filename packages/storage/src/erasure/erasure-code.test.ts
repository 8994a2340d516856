import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { ROW_BYTES } from './cauchy.ts'
import { type ErasureCode, erasureCode, makeErasureCode, type Shard } from './erasure-code.ts'
import { type Kernel, type KernelSize, scriptKernel, wasmKernel } from './kernel.ts'

interface Vectors {
  shards_of_64_KiB: Record<string, string>
  shards_of_1_MiB: { name: string; code: string; parity: string }
}
/** Made by @ronomon/reed-solomon itself. */
const vectors = JSON.parse(readFileSync(new URL('../../fixtures/erasure.json', import.meta.url), 'utf8')) as Vectors

/** Bytes that look random, from a seed. */
function bytesOf(seed: string, count: number): Buffer {
  const key = createHash('sha256').update(seed).digest()
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count))
}

function cut(bytes: Uint8Array, k: number, shardBytes: number): Uint8Array[] {
  return Array.from({ length: k }, (_, i) => bytes.subarray(i * shardBytes, (i + 1) * shardBytes))
}

function parityHash(code: ErasureCode, seed: string, shardBytes: number): string {
  const hash = createHash('sha256')
  for (const shard of code.encode(cut(bytesOf(seed, code.k * shardBytes), code.k, shardBytes), shardBytes))
    hash.update(shard)
  return hash.digest('hex')
}

const parsed = (name: string) => {
  const [k, m] = name.split('+').map(Number) as [number, number]
  return { k, m }
}

const mustWasm = (size: KernelSize): Kernel => {
  const kernel = wasmKernel(size)
  assert.ok(kernel, 'this machine has WebAssembly with SIMD')
  return kernel
}

test('parity is to the bit that of @ronomon/reed-solomon, for every k and m it has', () => {
  assert.equal(Object.keys(vectors.shards_of_64_KiB).length, 144)
  for (const [name, parity] of Object.entries(vectors.shards_of_64_KiB))
    assert.equal(parityHash(makeErasureCode(parsed(name), mustWasm), name, ROW_BYTES), parity, name)
})

test('the kernel without WebAssembly gives the same bits', () => {
  for (const name of ['1+6', '3+1', '2+3', '10+6', '24+6'])
    assert.equal(
      parityHash(makeErasureCode(parsed(name), scriptKernel), name, ROW_BYTES),
      vectors.shards_of_64_KiB[name],
      name,
    )
})

test('whole shards of 1 MiB of the default code are coded as the library codes them at once', () => {
  const { name, code, parity } = vectors.shards_of_1_MiB
  assert.equal(parityHash(erasureCode(parsed(code)), name, 1 << 20), parity)
})

test('any k shards bring back all, whatever the code, the lengths and the losses', () => {
  const cases = fc.record({ k: fc.integer({ min: 1, max: 24 }), m: fc.integer({ min: 0, max: 6 }) }).chain(({ k, m }) =>
    fc.record({
      k: fc.constant(k),
      m: fc.constant(m),
      rows: fc.integer({ min: 1, max: 2 }),
      seed: fc.string(),
      lengths: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: k, maxLength: k }),
      lost: fc.uniqueArray(fc.nat(k + m - 1), { maxLength: m }),
    }),
  )
  fc.assert(
    fc.property(cases, ({ k, m, rows, seed, lengths, lost }) => {
      const shardBytes = rows * ROW_BYTES
      const code = erasureCode({ k, m })
      const data = cut(bytesOf(seed, k * shardBytes), k, shardBytes).map((shard, i) =>
        shard.subarray(0, Math.round(lengths[i]! * shardBytes)),
      )
      const full = data.map((shard) => Buffer.concat([shard, Buffer.alloc(shardBytes - shard.byteLength)]))
      const parity = code.encode(data, shardBytes)
      for (const [i, shard] of code.encode(full, shardBytes).entries())
        assert.ok(Buffer.compare(shard, parity[i]!) === 0)
      const shards: Shard[] = [...data, ...parity].map((shard, i) => (lost.includes(i) ? undefined : shard))
      const all = Array.from({ length: k + m }, (_, i) => i)
      const back = code.rebuild(shards, shardBytes, all)
      for (const [i, shard] of [...full, ...parity].entries()) assert.ok(Buffer.compare(shard, back[i]!) === 0, `${i}`)
    }),
    { numRuns: 60, seed: 4 },
  )
})

test('all 8008 ways to lose six of 10+6 rebuild to the bit', () => {
  const code = erasureCode({ k: 10, m: 6 })
  const data = cut(bytesOf('losses', 10 * ROW_BYTES), 10, ROW_BYTES)
  const whole = [...data, ...code.encode(data, ROW_BYTES)]
  let patterns = 0
  for (let mask = 0; mask < 1 << 16; mask++) {
    const lost = whole.map((_, i) => i).filter((i) => (mask >> i) & 1)
    if (lost.length !== 6) continue
    patterns++
    const left = whole.map((shard, i) => (lost.includes(i) ? undefined : shard))
    const back = code.rebuild(left, ROW_BYTES, lost)
    for (const [i, shard] of lost.entries()) assert.ok(Buffer.compare(whole[shard]!, back[i]!) === 0, `${lost}`)
  }
  assert.equal(patterns, 8008)
})

test('copies are of any length; an empty data shard is there, and all zeros', () => {
  const copies = erasureCode({ k: 1, m: 6 })
  const bytes = bytesOf('copies', 777)
  assert.deepEqual(copies.encode([bytes], 777), new Array(6).fill(bytes))
  const left: Shard[] = new Array(7).fill(undefined)
  left[4] = bytes
  assert.deepEqual(copies.rebuild(left, 777, [0, 6]), [bytes, bytes])
  const code = erasureCode({ k: 10, m: 6 })
  const parity = code.encode([bytes], ROW_BYTES)
  const shards: Shard[] = [undefined, ...new Array<Shard>(9).fill(new Uint8Array()), ...parity]
  assert.deepEqual(Buffer.from(code.rebuild(shards, ROW_BYTES, [0])[0]!.subarray(0, 777)), bytes)
})

test('what cannot be coded is refused with a code', () => {
  const code = erasureCode({ k: 10, m: 6 })
  const shards = new Array<Shard>(16).fill(new Uint8Array(ROW_BYTES))
  const refused = (error: string, work: () => unknown) => assert.throws(work, (thrown) => isPinGoError(thrown, error))
  refused('SHARDS_TOO_FEW', () => code.rebuild([...shards.slice(0, 9)], ROW_BYTES, [9]))
  refused('SHARD_MALFORMED', () => code.rebuild([...shards.slice(0, 15), new Uint8Array(5)], ROW_BYTES, [9]))
  refused('SHARD_MALFORMED', () => code.rebuild(shards, ROW_BYTES, [16]))
  refused('SHARD_MALFORMED', () => code.rebuild([...shards, undefined], ROW_BYTES, [1]))
  refused('SHARD_MALFORMED', () => code.encode([], 1000))
  refused('SHARD_MALFORMED', () => code.encode([new Uint8Array(ROW_BYTES + 1)], ROW_BYTES))
  refused('SHARD_MALFORMED', () => code.encode(new Array(11).fill(new Uint8Array()), ROW_BYTES))
  refused('MESSAGE_INVALID', () => erasureCode({ k: 25, m: 6 }))
  refused('MESSAGE_INVALID', () => erasureCode({ k: 10, m: 7 }))
})
