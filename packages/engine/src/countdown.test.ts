import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { Countdown } from './countdown.ts'

describe('a countdown', () => {
  it('stands still while it is held', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let now = 0
    const clock = mock.method(performance, 'now', () => now)
    const pass = (ms: number): void => {
      now += ms
      t.mock.timers.tick(ms)
    }
    try {
      let ends = 0
      const countdown = new Countdown()
      countdown.start(100, () => ends++)
      pass(60)
      countdown.hold(true)
      pass(10_000)
      assert.equal(ends, 0)
      countdown.hold(false)
      pass(39)
      assert.equal(ends, 0)
      pass(1)
      assert.equal(ends, 1)

      // Begun while it is held, it runs from the release.
      countdown.hold(true)
      countdown.start(50, () => ends++)
      pass(1000)
      countdown.hold(false)
      pass(49)
      assert.equal(ends, 1)
      pass(1)
      assert.equal(ends, 2)

      countdown.start(50, () => ends++)
      countdown.clear()
      pass(1000)
      assert.equal(ends, 2)
    } finally {
      clock.mock.restore()
    }
  })
})
