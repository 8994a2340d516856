import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inLanes } from '../lanes.ts'
import { hunt } from './hunt.ts'
import { MUTANTS } from './mutants.ts'
import { type Faults, nastyWorld, simulateCare } from './world.ts'

const SEEDS = 3
const HUNT_SEEDS = 40

test('nodes die, lie, hang, leave, fill up, are cut off, killed and wrong about the time: nothing is lost, nothing stays that nobody wants', async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { violation, faults, events } = await simulateCare(nastyWorld(seed))
    assert.equal(
      violation,
      undefined,
      `seed ${seed} (node packages/storage/src/durability/simulator/run-worlds.ts ${seed} 1)`,
    )
    assert.ok(faults.die! > 0 && faults.kill! > 0 && events.rebuilt! > 0, `seed ${seed}`)
  }
})

test('caretakers that lie about where shards are, or come back with what they knew long ago, lose nothing', async () => {
  const calm = Object.fromEntries(Object.keys(nastyWorld(0).faults).map((name) => [name, 0])) as unknown as Faults
  for (let seed = 0; seed < SEEDS; seed++) {
    const { violation, faults } = await simulateCare({ ...nastyWorld(seed), faults: { ...calm, mislead: 0.2 } })
    assert.equal(violation, undefined, `seed ${seed}`)
    assert.ok(faults.mislead! > 0)
  }
})

test('a seed gives the same run again', async () => {
  const world = { ...nastyWorld(3), objects: 2, days: 8 }
  assert.deepEqual(await simulateCare(world), await simulateCare(world))
})

test('every planted bug is found', async () => {
  const missed: string[] = []
  await inLanes(MUTANTS, 2, async (mutant) => {
    if ((await hunt(mutant, HUNT_SEEDS)) === undefined) missed.push(mutant.name)
  })
  assert.deepEqual(missed, [])
})
