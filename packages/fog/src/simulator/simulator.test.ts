import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { isPinGoError } from '@pingo/wire'
import { VirtualClock } from './clock.ts'
import { MUTANTS } from './mutants.ts'
import { plant } from './mutate.ts'
import { fullSize, smallSize } from './options.ts'
import { hunt, inParallel, runInChild } from './processes.ts'
import { Random } from './random.ts'
import { simulate } from './world.ts'

const SMALL_SEEDS = 120
const FULL_SEEDS = 4
const HUNT_SEEDS = 300
const width = Math.max(2, availableParallelism())

test('small and nasty worlds: every invariant holds', () => {
  for (let seed = 0; seed < SMALL_SEEDS; seed++) {
    const { violation } = simulate(smallSize(seed))
    assert.equal(violation, undefined, `seed ${seed} (node scripts/soak.ts --size small --replay ${seed})`)
  }
})

test('200 contributors, 20 rounds and more, a tenth and more struck each round: every invariant holds', async () => {
  const seeds = Array.from({ length: FULL_SEEDS }, (_, i) => i)
  await inParallel(seeds, width, (seed) =>
    runInChild({
      size: 'full',
      from: seed,
      count: 1,
      onResult: ({ violation, rounds, churned, activeMs }) => {
        assert.equal(violation, undefined, `seed ${seed} (node scripts/soak.ts --replay ${seed})`)
        assert.ok(rounds >= 20, `seed ${seed}: ${rounds} rounds`)
        assert.ok(churned / (activeMs / 4_000) / 200 >= 0.1, `seed ${seed}: ${churned} struck in ${activeMs} ms`)
      },
    }),
  )
})

test('a seed gives the same run again, another seed another one', () => {
  const first = simulate(smallSize(11))
  assert.deepEqual(simulate(smallSize(11)), first)
  assert.notEqual(simulate(smallSize(17)).trace, first.trace)
  const { trace } = simulate({ ...fullSize(5), contributors: 30 })
  assert.equal(simulate({ ...fullSize(5), contributors: 30 }).trace, trace)
})

test('every planted bug is found', async () => {
  const hunts = await inParallel(MUTANTS, width, (mutant) => hunt(mutant, HUNT_SEEDS))
  assert.ok(MUTANTS.length >= 10)
  assert.deepEqual(
    hunts.filter(({ found }) => !found).map(({ mutant }) => mutant),
    [],
  )
})

test('a tree with a planted bug is removed without a trace', async () => {
  const { runner, remove } = await plant(MUTANTS[0]!)
  await access(runner)
  await remove()
  await assert.rejects(access(runner))
})

test('a planted bug whose text is not there exactly once is refused', async () => {
  const mutant = { name: 'x', file: 'training/src/job.ts', find: 'core', replace: 'cor' }
  await assert.rejects(plant(mutant), (error) => isPinGoError(error, 'MUTANT_INVALID'))
})

test('virtual time runs in order, what is asked first comes first', () => {
  const clock = new VirtualClock()
  const random = new Random(9)
  const seen: number[] = []
  for (let i = 0; i < 500; i++) {
    const at = random.between(0, 50)
    clock.after(at, () => seen.push(at * 1_000 + i))
  }
  while (clock.step(40));
  assert.equal(clock.now, 40)
  while (clock.step(1_000));
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  )
})
