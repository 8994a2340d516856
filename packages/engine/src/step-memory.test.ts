import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildProgram, type ProgramOptions } from '@pingo/graph'
import { sizeOf } from '@pingo/wire'
import { Engine, stepBytesWithin } from './index.ts'
import { benchmarkBatch, initialOf } from './testing/benchmark-data.ts'
import { benchmarkModels } from './testing/benchmark-models.ts'

const mostResident = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

// A small transformer whose activations are far more than its parameters.
const benchmark = benchmarkModels.gpt()
const batch = 24
const build = (more: Partial<ProgramOptions>) => {
  const { model, loss, optimizer, inputs, target } = benchmark
  return { ...buildProgram(model, { loss, optimizer, batch, inputs, target, ...more }), batch }
}

/** Parameters after some steps, the losses, and the most memory that the child had. */
async function trained(program: ReturnType<typeof build>, maxMemoryBytes?: number) {
  await using engine = await Engine.start(maxMemoryBytes === undefined ? {} : { maxMemoryBytes })
  const trainer = await engine.openTrainer(program)
  const losses: number[] = []
  const { theta } = await trainer.train({
    theta: initialOf(program),
    buffers: initialOf(program, 'buffers'),
    steps: 4,
    learningRate: { from: 1e-3, to: 1e-3 },
    batch: async (i) => benchmarkBatch({ ...benchmark, batch }, i),
    onStep: ({ loss }) => losses.push(loss),
  }).result
  return { theta, losses, resident: mostResident(engine.pid) }
}

test('a program made for a limit trains within it, to the bits of one that was not', {
  skip: process.platform !== 'linux' && 'resident memory is read from /proc',
}, async () => {
  const whole = build({})
  const parameterBytes = 4 * whole.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  const limit = 220 << 20
  const memory = stepBytesWithin(limit, parameterBytes)
  assert.ok(memory < whole.peakBytes)
  const small = build({ memory, accumulate: 1 })
  assert.match(small.notes.join(), /computed again/)
  const [free, bound] = [await trained(whole), await trained(small, limit * 1.1)]
  assert.deepEqual(bound.losses, free.losses)
  assert.deepEqual(bound.theta, free.theta)
  const saved = whole.peakBytes - small.peakBytes
  assert.ok(
    bound.resident < free.resident - 0.5 * saved,
    `${bound.resident} of ${free.resident}, ${saved} by its shapes`,
  )
})
