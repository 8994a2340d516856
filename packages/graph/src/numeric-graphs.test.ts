import { test } from 'node:test'
import fc from 'fast-check'
import { chain, rectifiedPool } from './testing/numeric/chain.ts'
import { check } from './testing/numeric/check.ts'
import { Draw } from './testing/numeric/draw.ts'

const numRuns = 5 * Number(process.env.PINGO_NUM_RUNS ?? 20)

test('simplifying, sharing and folding change neither values nor gradients of random graphs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), (g) => check(chain(new Draw(g)))),
    { numRuns },
  )
})

test('a rectifier that moves behind a pooling changes neither values nor gradients', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), (g) => check(rectifiedPool(new Draw(g)))),
    { numRuns },
  )
})
