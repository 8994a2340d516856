import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import fc from 'fast-check'
import { sampleOrder } from './sample-order.ts'

const anyOrder = fc.record({
  samples: fc.integer({ min: 1, max: 5000 }),
  seed: fc.nat(),
  blockSamples: fc.integer({ min: 1, max: 300 }),
  windowBlocks: fc.integer({ min: 1, max: 20 }),
})

test('every epoch visits each sample exactly once, whatever the size', () => {
  fc.assert(
    fc.property(anyOrder, fc.integer({ min: 0, max: 50 }), (options, epoch) => {
      const { samples } = options
      const seen = new Uint8Array(samples)
      for (const i of sampleOrder(options).indices(epoch * samples, (epoch + 1) * samples)) seen[i]!++
      assert.ok(seen.every((visits) => visits === 1))
    }),
    { numRuns: 300 },
  )
})

test('any range is the same stretch of one stream, whoever asks and in whatever order', () => {
  fc.assert(
    fc.property(anyOrder, fc.array(fc.tuple(fc.nat(20_000), fc.nat(500)), { maxLength: 10 }), (options, ranges) => {
      const stream = sampleOrder(options).indices(0, 20_500)
      const other = sampleOrder(options)
      for (const [from, length] of ranges)
        assert.deepEqual(other.indices(from, from + length), stream.slice(from, from + length))
    }),
    { numRuns: 60 },
  )
})

test('epochs and seeds give different orders', () => {
  fc.assert(
    fc.property(fc.integer({ min: 30, max: 3000 }), fc.nat(), (samples, seed) => {
      const order = sampleOrder({ samples, seed })
      const first = order.indices(0, samples)
      assert.notDeepEqual(order.indices(samples, 2 * samples), first)
      assert.notDeepEqual(sampleOrder({ samples, seed: seed + 1 }).indices(0, samples), first)
    }),
    { numRuns: 100 },
  )
})

test('a stretch of positions touches few blocks', () => {
  const blockSamples = 128
  const windowBlocks = 16
  const order = sampleOrder({ samples: 1_000_000, seed: 5, blockSamples, windowBlocks })
  for (const from of [0, 12_345, 999_000, 5_000_000]) {
    const blocks = new Set(Array.from(order.indices(from, from + 1000), (i) => Math.floor(i / blockSamples)))
    assert.ok(blocks.size <= 2 * windowBlocks + 1, `${blocks.size} blocks`)
    assert.ok(blocks.size >= windowBlocks, `${blocks.size} blocks are too few to be mixed`)
  }
})

test('the order is pinned: other machines and later versions must draw the same', () => {
  assert.deepEqual(
    [...sampleOrder({ samples: 60_000, seed: 1 }).indices(0, 8)],
    [36451, 47007, 13766, 47050, 20997, 2576, 21091, 36004],
  )
  assert.deepEqual(
    [...sampleOrder({ samples: 60_000, seed: 1 }).indices(3_599_996, 3_600_004)],
    [31696, 44817, 25522, 44808, 29981, 42581, 50005, 42569],
  )
  assert.deepEqual(
    [...sampleOrder({ samples: 10, seed: 42 }).indices(0, 20)],
    [9, 1, 3, 0, 6, 4, 2, 5, 8, 7, 3, 6, 8, 9, 7, 0, 5, 1, 4, 2],
  )
})

test('the largest dataset is addressed at once', () => {
  const samples = 2 ** 32 - 1
  const order = sampleOrder({ samples, seed: 1 })
  assert.ok(order.indices(samples * 1000, samples * 1000 + 4).every((i) => i < samples))
})

test('a range or a setting that makes no sense is refused', () => {
  const order = sampleOrder({ samples: 10, seed: 0 })
  for (const [from, to] of [
    [-1, 2],
    [3, 2],
    [0.5, 2],
    [0, Number.NaN],
    [0, 2 ** 40],
  ] as const)
    assert.throws(
      () => order.indices(from, to),
      (e) => isPinGoError(e, 'ORDER_RANGE'),
    )
  for (const bad of [{ samples: 0 }, { samples: 1.5 }, { seed: -1 }, { blockSamples: 0 }, { windowBlocks: 2 ** 30 }])
    assert.throws(
      () => sampleOrder({ samples: 10, seed: 0, ...bad }),
      (e) => isPinGoError(e, 'ORDER_INVALID'),
    )
})
