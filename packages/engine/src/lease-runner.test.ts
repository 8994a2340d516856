import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeaseRunner, type Voice } from './lease-runner.ts'
import type { TrainingLoop } from './loop.ts'
import { Pacer } from './pace.ts'

test('what a failing step read is kept before its place is given to the next batch', async () => {
  const told: string[] = []
  const losses = [1, Number.NaN]
  const loop = {
    step: async () => ({ loss: losses.shift()!, metric: 0 }),
    keepBatch: () => told.push('kept'),
    reset: () => told.push('reset'),
    overwrote: false,
  } as unknown as TrainingLoop
  const voice: Voice = { send: ({ type }) => told.push(type), handBack: () => assert.fail('nothing to hand back') }
  const lease = { type: 'lease' as const, lease: 1, trainer: 1, steps: 3, softMs: undefined }
  const runner = new LeaseRunner(loop, lease, voice, new Pacer({ now: () => 0 }))
  const batch = { type: 'batch' as const, lease: 1, arrays: [], samples: 1, scalars: new Float32Array(0) }
  for (const i of [1, 2, 3]) runner.push(batch, () => told.push(`freed ${i}`))
  await runner.run()
  assert.deepEqual(
    told.filter((what) => what !== 'rests'),
    ['freed 1', 'kept', 'freed 2', 'steps', 'reset', 'failed', 'freed 3'],
  )
})
