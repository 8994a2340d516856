import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  arrayOf,
  bytesView,
  type DType,
  isPinGoError,
  readSafetensors,
  sizeOf,
  type Tensor,
  writeSafetensors,
} from './index.ts'

const tensor = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(arrayOf) as DType[])),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    seed: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ dtype, shape, seed }): Tensor => {
    const data = new arrayOf[dtype](sizeOf(shape))
    bytesView(data).fill(dtype === 'bool' ? seed & 1 : seed)
    return { dtype, shape, data }
  })

test('what is written is read back, whatever the types, shapes and names', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string().filter((name) => name !== '__metadata__' && name !== '__proto__'),
        tensor,
      ),
      (named) => {
        const { tensors, metadata } = readSafetensors(writeSafetensors(Object.entries(named), { made: 'here' }))
        assert.deepEqual(metadata, { made: 'here' })
        assert.deepEqual([...tensors.keys()].sort(), Object.keys(named).sort())
        for (const [name, { dtype, shape, data }] of Object.entries(named)) {
          const read = tensors.get(name)!
          assert.deepEqual([read.dtype, read.shape], [dtype, shape])
          assert.deepEqual(bytesView(read.data), bytesView(data))
        }
      },
    ),
  )
})

test('a file by the format’s own description is read', () => {
  const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}'
  const bytes = Buffer.alloc(8 + header.length + 8)
  bytes.writeBigUInt64LE(BigInt(header.length))
  bytes.write(header, 8)
  bytes.writeFloatLE(1.5, 8 + header.length)
  bytes.writeFloatLE(-2, 12 + header.length)
  const { tensors, metadata } = readSafetensors(bytes)
  assert.deepEqual([...(tensors.get('a')!.data as Float32Array)], [1.5, -2])
  assert.deepEqual(metadata, { k: 'v' })
})

test('damaged bytes are refused with SAFETENSORS_MALFORMED and nothing else', () => {
  const good = writeSafetensors([
    ['w', { dtype: 'float32', shape: [3, 2], data: new Float32Array(6) }],
    ['i', { dtype: 'int64', shape: [2], data: new BigInt64Array(2) }],
  ])
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: good.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      (at, flip, cut) => {
        const bad = cut ? good.slice(0, at) : good.slice()
        if (!cut) bad[at]! ^= flip
        try {
          readSafetensors(bad)
        } catch (error) {
          assert.ok(isPinGoError(error, 'SAFETENSORS_MALFORMED'), String(error))
        }
      },
    ),
    { numRuns: 2000 },
  )
})
