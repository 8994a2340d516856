import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'

import { isaOf, resolveOffer } from './offer.ts'
import { memoryLimit } from './owner/machine.ts'

test('what the owner says is offered, the rest has defaults that leave memory to the owner', () => {
  const offer = resolveOffer({ cores: 0.5, diskBytes: 1e9 })
  assert.deepEqual([offer.cores, offer.diskBytes], [0.5, 1e9])
  assert.ok(offer.memoryBytes > 0 && offer.memoryBytes < memoryLimit())
})

test('more than the machine has cannot be offered', () => {
  for (const said of [
    { cores: availableParallelism() + 1 },
    { cores: 0 },
    { memoryBytes: memoryLimit() * 2 },
    { memoryBytes: 1 },
  ])
    assert.throws(
      () => resolveOffer(said),
      (error) => isPinGoError(error, 'OFFER_INVALID'),
      JSON.stringify(said),
    )
})

test('vector instructions are read from what Linux says of x86 and ARM, and are not guessed elsewhere', () => {
  assert.equal(
    isaOf('processor : 0\nflags\t\t: fpu sse2 avx fma avx2 avx512f bmi2\nbugs : x', 'x64'),
    'avx512f avx2 fma',
  )
  assert.equal(isaOf('Features\t: fp asimd aes asimddp', 'arm64'), 'asimddp asimd')
  assert.equal(isaOf(undefined, 'arm64'), 'neon')
  assert.equal(isaOf(undefined, 'x64'), undefined)
})
