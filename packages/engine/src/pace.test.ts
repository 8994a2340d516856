import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Pacer } from './pace.ts'

/** A machine whose clock and CPU time go on by what is done: steps of so many milliseconds, timers that come late. */
function machine(cores = 1) {
  const at = { now: 1_000, used: 0 }
  const pacer = new Pacer({ now: () => at.now, used: () => at.used }, cores)
  return {
    at,
    pacer,
    /** Steps for a while; returns the cores that were used. */
    run(forMs: number, stepMs: () => number, lateMs: () => number = () => 0): number {
      const [from, used] = [at.now, at.used]
      while (at.now - from < forMs) {
        const wait = pacer.wait()
        if (wait > 0) at.now += wait + lateMs()
        else {
          const took = stepMs()
          at.now += took
          at.used += took * cores
        }
      }
      return (at.used - used) / (at.now - from)
    },
  }
}

describe('a pacer', () => {
  it('lets a share of the CPU be used, for steps of any length and timers that come late', () => {
    for (const share of [0.05, 0.25, 0.5, 0.9])
      for (const stepMs of [0.2, 5, 70, 1500]) {
        const { pacer, run } = machine()
        pacer.set(share)
        let turn = 0
        const cores = run(
          300_000,
          () => stepMs,
          () => turn++ % 3,
        )
        assert.ok(cores > share * 0.97 && cores < share * 1.03 + 0.006, `${share} by ${stepMs} ms: ${cores}`)
      }
  })

  it('counts as many cores as a step keeps busy', () => {
    const { pacer, run } = machine(4)
    pacer.set(0.25)
    const cores = run(60_000, () => 20)
    assert.ok(cores > 0.97 && cores < 1.03, String(cores))
  })

  it('is in no way at full speed, and not at all at none', () => {
    const { pacer, at } = machine()
    at.used += 10_000
    assert.equal(pacer.wait(), 0)
    pacer.set(0)
    assert.equal(pacer.wait(), Number.POSITIVE_INFINITY)
    at.now += 1000
    pacer.set(1)
    assert.equal(pacer.wait(), 0)
  })

  it('has what was used beside steps paid back, but not for ever', () => {
    const { pacer, at } = machine()
    pacer.set(0.25)
    at.used += 1000
    assert.ok(Math.abs(pacer.wait() - 4020) < 1)
    at.now += 4020
    assert.equal(pacer.wait(), 0)
    at.used += 1e9
    assert.ok(pacer.wait() < 61_000)
  })

  it('saves little up while nothing is to be done', () => {
    const { pacer, at, run } = machine()
    pacer.set(0.1)
    at.now += 3_600_000
    const cores = run(10_000, () => 10)
    assert.ok(cores < 0.103, String(cores))
  })

  it('holds a new share at once, also in a rest', () => {
    const { pacer, at } = machine()
    pacer.set(0.05)
    at.used += 100
    const slow = pacer.wait()
    pacer.set(0.5)
    assert.ok(Math.abs(pacer.wait() * 10 - slow) < 1)
  })

  it('goes by the time of steps where nobody tells what was used', () => {
    let now = 0
    const pacer = new Pacer({ now: () => now })
    pacer.set(0.5)
    now += 100
    pacer.count(100)
    assert.ok(Math.abs(pacer.wait() - 110) < 1)
  })
})
