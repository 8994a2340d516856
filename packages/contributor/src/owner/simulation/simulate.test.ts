import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lent } from './lent.ts'
import { simulate } from './simulate.ts'
import { desktopTrace, seeded } from './traces.ts'
import { violations } from './violations.ts'

const settings = lent()

for (const seed of [1, 2, 3])
  test(`eight hours of a desktop, seed ${seed}: calm, greedy when idle, quick to give way`, () => {
    const outcome = simulate(desktopTrace(seed, 4), {
      settings,
      capacityCores: 4,
      startAt: Date.UTC(2026, 0, 14),
      random: seeded(seed + 1000),
    })
    assert.ok(outcome.ms >= 8 * 3_600_000)
    assert.ok(outcome.mostChanges <= 6, `${outcome.mostChanges} changes in a minute`)
    assert.ok(outcome.idleGrantedMs >= 0.9 * outcome.idleMs, `${outcome.idleGrantedMs / outcome.idleMs} of idle time`)
    const sorted = outcome.reactions.sort((a, b) => a - b)
    assert.ok(sorted.length >= 3 && sorted[Math.ceil(0.95 * sorted.length) - 1]! <= 1_000)
  })

test('no limit is exceeded on random settings and sensors', () => {
  for (let seed = 1; seed <= 20; seed++) assert.equal(violations(seed), 0, `seed ${seed}`)
})
