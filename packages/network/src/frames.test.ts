import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { streamPair } from '@libp2p/utils'
import fc from 'fast-check'
import { encodeFrame, FrameStream } from './frames.ts'

describe('frames over a stream', () => {
  it('come out as they went in, however the bytes are cut and however slowly they are read', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 400 }),
        fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (payloads, cuts, slow) => {
          const [out, into] = await streamPair()
          const frames = new FrameStream(into, 1000)
          const bytes = Buffer.concat(payloads.map((payload) => encodeFrame(0, payload)))
          const sending = (async () => {
            for (let at = 0, n = 0; at < bytes.length; n++) {
              const cut = cuts[n % cuts.length]!
              if (!out.send(bytes.subarray(at, at + cut))) await new Promise((resolve) => setImmediate(resolve))
              at += cut
            }
            await out.close()
          })()
          if (slow) await sending
          const seen: Uint8Array[] = []
          for (let frame = await frames.read(); frame; frame = await frames.read()) seen.push(frame.payload)
          await sending
          assert.deepEqual(seen, payloads)
        },
      ),
      { numRuns: 40 },
    )
  })
})
