import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPinGoError, type OptimizerInput, sizeOf, type Tensor } from '@pingo/wire'
import {
  buildProgram,
  fillNoise,
  type Model,
  optimizerScalars,
  type Program,
  type ProgramOptions,
  templates,
} from './index.ts'
import { Random } from './templates/random.ts'
import { tensorOf } from './tensors.ts'
import { open } from './testing/runtime.ts'

const random = new Random(31)
const draw = (shape: number[], f: () => number, dtype: 'float32' | 'int32' = 'float32') =>
  tensorOf(dtype, shape, Array.from({ length: sizeOf(shape) }, f))
const normals = (...shape: number[]) => draw(shape, () => random.normal())
const ids = (classes: number, ...shape: number[]) => draw(shape, () => Math.floor(random.uniform() * classes), 'int32')

interface Case {
  model: Model
  x: Tensor
  target: Tensor
  optimizer?: OptimizerInput
}

const build = ({ model, x, target, optimizer = { kind: 'adamw', clip: 1 } }: Case, more: Partial<ProgramOptions>) =>
  buildProgram(model, {
    loss: 'cross_entropy',
    optimizer,
    batch: x.shape[0]!,
    inputs: [{ name: 'input', column: 'input', dtype: x.dtype as 'float32' | 'int32', shape: x.shape.slice(1) }],
    target: { name: 'target', column: 'target', dtype: 'int32', shape: target.shape.slice(1) },
    ...more,
  })

/** All results of a first step. */
async function stepped(program: Program, { x, target }: Case): Promise<Map<string, Tensor>> {
  // What the engine leaves out, too: what is computed twice would be merged, or fused in one place and not in the other.
  const without = 'CommonSubexpressionElimination;SkipLayerNormFusion;BiasGeluFusion'
  const runner = await open(program.step, without)
  const noise = tensorOf('float32', [program.noise?.elements ?? 0], [])
  fillNoise(noise.data as Float32Array, 5n)
  const scalars = Object.entries(optimizerScalars(program.optimizer).at(1, 0.1))
  const out = await runner.run([
    ...program.initial,
    ...program.state.map(({ name, shape }): [string, Tensor] => [name, tensorOf('float32', shape, [])]),
    ...scalars.map(([name, value]): [string, Tensor] => [name, tensorOf('float32', [], [value])]),
    ['input', x],
    ['target', target],
    ['sample_weight', tensorOf('float32', [x.shape[0]!], new Array(x.shape[0]).fill(1))],
    ['noise', noise],
  ])
  await runner.close()
  return out
}

const gpt: Case = {
  model: templates.gpt({ vocabulary: 11, context: 64, layers: 2, heads: 4, width: 32 }),
  x: ids(11, 16, 64),
  target: ids(11, 16, 64),
}
const cases: [string, Case][] = [
  ['a transformer', gpt],
  ['a transformer stepped by Muon', { ...gpt, optimizer: { kind: 'muon' } }],
  [
    'batch statistics and shortcuts',
    {
      model: templates.resnet({ shape: [3, 16, 16], classes: 5, width: 8, blocks: [2, 2] }),
      x: normals(16, 3, 16, 16),
      target: ids(5, 16),
    },
  ],
]

/** The tightest of some limits that a step can be brought under by recomputing alone. */
function tightest(of: Case, shares: readonly number[]): { limit: number; program: Program } {
  const { peakBytes } = build(of, {})
  for (const share of shares)
    try {
      const limit = share * peakBytes
      const program = build(of, { accumulate: 1, memory: limit })
      if (program.notes.some((note) => /computed again/.test(note))) return { limit, program }
    } catch (error) {
      if (!isPinGoError(error, 'GRAPH_MEMORY')) throw error
    }
  assert.fail('no limit led to recomputing')
}

for (const [name, of] of cases)
  test(`${name}: what is computed again changes no bit and fits the limit`, async () => {
    const whole = build(of, {})
    const { limit, program } = tightest(of, [0.5, 0.6, 0.7, 0.8, 0.9])
    assert.ok(program.peakBytes <= limit && program.peakBytes < whole.peakBytes, `${program.peakBytes}`)
    assert.match(program.notes.join(), /\d+ values are computed again in the backward pass .*: about .* MB instead of/)
    assert.ok(program.flopsPerSample >= whole.flopsPerSample)
    const [before, after] = [await stepped(whole, of), await stepped(program, of)]
    assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort())
    for (const [key, { data }] of before) assert.deepEqual(after.get(key)!.data, data, key)
  })

test('a limit is kept, by micro-batches where few are enough', () => {
  const { peakBytes } = build(gpt, {})
  assert.deepEqual(build(gpt, { memory: peakBytes }).notes, build(gpt, {}).notes)
  const programs = [0.95, 0.85, 0.8, 0.75].map((share) => build(gpt, { memory: share * peakBytes }))
  for (const [i, { peakBytes: needed, notes }] of programs.entries())
    assert.ok(needed <= [0.95, 0.85, 0.8, 0.75][i]! * peakBytes, notes.join())
  assert.match(programs[0]!.notes.join(), /in 2 micro-batches of 8 samples: about .* MB instead of .* MB/)
  // Whoever sets the number of micro-batches keeps it.
  assert.doesNotMatch(build(gpt, { memory: 0.8 * peakBytes, accumulate: 1 }).notes.join(), /micro-batches/)
})

test('micro-batches need less by the estimate, the more the less', () => {
  const bytes = [1, 2, 4, 8].map((accumulate) => build(gpt, { accumulate }).peakBytes)
  for (const [i, needed] of bytes.entries()) assert.ok(i === 0 || needed < bytes[i - 1]!, bytes.join())
})

test('batch statistics are never cut unasked', () => {
  const [, of] = cases[2]!
  const { program } = tightest(of, [0.6, 0.7, 0.8, 0.9])
  assert.doesNotMatch(program.notes.join(), /micro-batches/)
})

test('where nothing is enough, it says how much would be', () => {
  assert.throws(
    () => build(gpt, { memory: 1e6 }),
    (error: unknown) => {
      assert.ok(isPinGoError(error, 'GRAPH_MEMORY'))
      assert.match(error.message, /^A step of 16 samples needs about [\d.]+ MB at least; the limit is 1\.0 MB\.$/)
      return /batch/.test(error.hint!) && (error.details as { leastBytes: number }).leastBytes > 1e6
    },
  )
})
