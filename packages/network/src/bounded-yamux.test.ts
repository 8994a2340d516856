import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FrameGuard } from './bounded-yamux.ts'

const frame = (type: number, length: number, body = length) => {
  const bytes = Buffer.alloc(12 + body)
  bytes[1] = type
  bytes.writeUInt32BE(length, 8)
  return bytes
}

describe('the guard of Yamux frames', () => {
  it('finds the first frame that is too long, however the bytes are cut, and no other', () => {
    const anyFrame = fc.oneof(
      fc.integer({ min: 0, max: 100 }).map((length) => ({ bytes: frame(0, length), long: false })),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((value) => ({ bytes: frame(1, value, 0), long: false })),
      fc.integer({ min: 101, max: 2 ** 32 - 1 }).map((length) => ({ bytes: frame(0, length, 0), long: true })),
    )
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (frames, cuts) => {
          const guard = new FrameGuard(100)
          const bytes = Buffer.concat(frames.map((one) => one.bytes))
          const bad = frames.findIndex((one) => one.long)
          const goodBytes =
            bad < 0 ? bytes.length : frames.slice(0, bad).reduce((sum, one) => sum + one.bytes.length, 0)
          let at = 0
          let thrownAt = -1
          try {
            for (let n = 0; at < bytes.length; n++) {
              const cut = cuts[n % cuts.length]!
              guard.check(bytes.subarray(at, at + cut))
              at += cut
            }
          } catch {
            thrownAt = at
          }
          if (bad < 0) assert.equal(thrownAt, -1)
          else assert.ok(thrownAt >= 0 && thrownAt < goodBytes + 12)
        },
      ),
    )
  })
})
