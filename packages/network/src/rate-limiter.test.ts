import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { RateLimiter } from './rate-limiter.ts'

describe('a rate limiter', () => {
  it('lets no key take more than burst + rate × time, and that much when it asks often', () => {
    fc.assert(
      fc.property(
        fc.record({ perSecond: fc.integer({ min: 1, max: 1000 }), burst: fc.integer({ min: 1, max: 100 }) }),
        fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 200 }),
        (rate, gapsMs) => {
          let now = 0
          const limiter = new RateLimiter(() => now)
          let taken = 0
          for (const gap of gapsMs) {
            now += gap
            if (limiter.take('a', rate)) taken += 1
            limiter.take('b', rate)
            assert.ok(taken <= rate.burst + (rate.perSecond * now) / 1000 + 1e-6)
          }
          now += 1000 * rate.burst
          for (let n = 0; n < rate.burst; n++) assert.ok(limiter.take('a', rate))
          assert.equal(limiter.take('a', rate), false)
        },
      ),
    )
  })

  it('tells how long to wait for a token of the future', () => {
    let now = 0
    const limiter = new RateLimiter(() => now)
    const rate = { perSecond: 10, burst: 2 }
    assert.deepEqual(
      [1, 2, 3, 4].map(() => limiter.reserve('a', rate)),
      [0, 0, 100, 200],
    )
    now = 300
    assert.equal(limiter.reserve('a', rate), 0)
  })
})
