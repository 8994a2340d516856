import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MAGIC } from './frame-reader.js'
import { Engine } from './index.ts'
import { WEIGHTS_AT_ONCE } from './limits.ts'
import type { WeightsMessage } from './protocol.ts'
import { linearProgram } from './testing/programs.ts'
import { weightsReader } from './weight-pipe.ts'

function frame(lease: number, at: number, part: Float32Array): Buffer {
  const front = Float64Array.of(MAGIC, 16 + part.byteLength, lease, at)
  return Buffer.concat([new Uint8Array(front.buffer), new Uint8Array(part.buffer)])
}

describe('the pipe of weights', () => {
  it('gives parts as they were written, however the stream is cut', () => {
    const parts = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.float32Array({ maxLength: 20 })), { maxLength: 6 })
    fc.assert(
      fc.property(parts, fc.infiniteStream(fc.nat(50)), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(([lease, at, part]) => frame(lease, at, part.slice())))
        const got: WeightsMessage[] = []
        const reader = weightsReader((message) => got.push({ ...message, part: message.part.slice() }))
        for (let at = 0; at < stream.length; ) at += reader.feed(stream.subarray(at, at + cuts.next().value!))
        assert.deepEqual(
          got,
          sent.map(([lease, at, part]) => ({ type: 'weights', lease, at, part })),
        )
      }),
    )
  })

  it('refuses what is no part of weights', () => {
    for (const [magic, bytes] of [
      [MAGIC + 1, 20],
      [MAGIC, 8],
      [MAGIC, 21],
      [MAGIC, 16 + 4 * WEIGHTS_AT_ONCE + 4],
    ] as const)
      assert.throws(() => weightsReader(() => {}).feed(new Uint8Array(Float64Array.of(magic, bytes).buffer)))
  })

  it('carries weights of many parts there and back, to the bit, those of two trainers at once, too', async () => {
    await using engine = await Engine.start()
    const sizes = [2 * WEIGHTS_AT_ONCE + 7, WEIGHTS_AT_ONCE]
    const trainers = await Promise.all(sizes.map((size) => engine.openTrainer(linearProgram(size, 1))))
    const thetas = sizes.map((size) => Float32Array.from({ length: size }, (_, i) => Math.sin(i)))
    const [buffers, rate] = [Float32Array.of(5), { from: 0, to: 0 }]
    const batch = async () => Promise.reject(new Error('none is asked for'))
    for (let lease = 0; lease < 3; lease++) {
      const results = await Promise.all(
        trainers.map((t, i) => t.train({ theta: thetas[i]!, buffers, steps: 0, learningRate: rate, batch }).result),
      )
      for (const [i, result] of results.entries()) {
        assert.ok(Buffer.from(result.theta.buffer).equals(Buffer.from(thetas[i]!.buffer)))
        assert.deepEqual(result.buffers, buffers)
      }
    }
  })
})
