import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { operators } from './operators/index.ts'
import { kernels } from './testing/interpreter/index.ts'
import { check, symbolic } from './testing/numeric/check.ts'
import { Draw } from './testing/numeric/draw.ts'
import { generators } from './testing/numeric/index.ts'
import { runs } from './testing/numeric/runs.ts'

/** Their values are not those of any reference: see the tests of noise. */
const RANDOM = ['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Bernoulli']

test('every operator has a generator of cases and a reference', () => {
  const names = [...operators.keys()].filter((op) => !RANDOM.includes(op))
  assert.deepEqual(
    names.filter((op) => !generators[op]),
    [],
    'operators without a generator: add one to a family of testing/numeric',
  )
  assert.deepEqual(
    names.filter((op) => !kernels[op]),
    [],
    'operators without a reference: add one to a family of testing/interpreter',
  )
})

for (const [op, generator] of Object.entries(generators).filter(([op]) => operators.has(op)))
  test(`${op}: types, values and gradients are those of the double-precision reference`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (g) => {
        await check(generator(new Draw(g)))
      }),
      runs(),
    )
  })

test('symbolic shapes could be compared in most cases', () => {
  assert.ok(symbolic.compared > symbolic.impossible, JSON.stringify(symbolic))
})
