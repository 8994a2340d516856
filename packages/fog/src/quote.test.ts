import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetworkView } from '@pingo/wire'
import { quote } from './quote.ts'

const network = (memory: number[]): NetworkView =>
  ({
    contributors: memory.map((memoryBytes) => ({ offer: { cores: 1, memoryBytes, diskBytes: 0 } })),
    jobs: { queued: 1, running: 2, done: 0, failed: 0 },
  }) as unknown as NetworkView
const request = { flopsPerSample: 1e6, samples: 1000, epochs: 2.5, contributors: { min: 1, max: 10 }, memoryBytes: 100 }

test('what jobs have shown comes before what benchmarks say', () => {
  const measured = quote(request, network([200, 200]), [{ flopsPerSample: 2e6, samplesPerSecond: 500 }], [1e12])
  assert.equal(measured.samples, 2500)
  assert.equal(measured.samplesPerSecond, 1000)
  assert.equal(measured.etaMs, 2500)
  assert.equal(measured.queuedAhead, 3)
  const estimated = quote(request, network([200, 200]), [], [1e9, 1e9])
  assert.equal(estimated.samplesPerSecond, 800)
})

test('without a contributor that is able there is no estimate, and a sentence that says so', () => {
  const { etaMs, basis } = quote(request, network([50]), [], [1e9])
  assert.equal(etaMs, undefined)
  assert.match(basis, /nothing to measure by/)
})
