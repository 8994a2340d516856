import { test } from 'node:test'
import fc from 'fast-check'
import { chain, rectifiedPool } from './testing/numeric/chain.ts'
import { check } from './testing/numeric/check.ts'
import { Draw } from './testing/numeric/draw.ts'
import { runs } from './testing/numeric/runs.ts'
import { tokens } from './testing/numeric/tokens.ts'

test('simplifying, sharing and folding change neither values nor gradients of random graphs', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), (g) => check(chain(new Draw(g)))),
    runs(5),
  )
})

test('a rectifier that moves behind a pooling changes neither values nor gradients', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), (g) => check(rectifiedPool(new Draw(g)))),
    runs(5),
  )
})

test('laying sequences out first changes neither values nor gradients', async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), (g) => check(tokens(new Draw(g)))),
    runs(5),
  )
})
