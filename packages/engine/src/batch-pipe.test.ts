import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { batchOf, bodyBytes, frameOf } from './batch-frame.ts'
import { BatchInbox } from './batch-inbox.ts'
import { FrameReader, PREFIX_BYTES } from './frame-reader.js'
import { MAX_BATCHES_AHEAD, MAX_BYTES_AHEAD, MIN_PLACES } from './limits.ts'
import type { BatchMessage, LoopProgram } from './protocol.ts'

const bytes = fc.uint8Array({ maxLength: 40 })
const arrays = fc.array(
  fc.oneof(
    bytes,
    bytes.map((b) => Float32Array.from(b)),
    bytes.map((b) => Int32Array.from(b, (x) => -x)),
    bytes.map((b) => BigInt64Array.from(b, (x) => -BigInt(x))),
    // A view on a larger buffer is sent as what it shows, wherever it begins.
    bytes.map((b) => b.subarray(b.length >> 1)),
  ),
  { minLength: 1, maxLength: 4 },
)
const batches: fc.Arbitrary<BatchMessage> = fc
  .record(
    {
      lease: fc.nat(),
      arrays,
      samples: fc.nat(),
      scalars: fc.array(fc.float({ noNaN: true }), { maxLength: 5 }).map((s) => Float32Array.from(s)),
      seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    },
    { requiredKeys: ['lease', 'arrays', 'samples', 'scalars'] },
  )
  .map((batch) => ({ type: 'batch', ...batch }))

const joined = (batch: BatchMessage): Buffer => Buffer.concat(frameOf(batch))

/** A frame's body in memory of its own, as a place has it. */
function bodyOf(batch: BatchMessage): ArrayBuffer {
  const frame = joined(batch)
  return Uint8Array.from(frame.subarray(PREFIX_BYTES)).buffer
}

describe('frames of batches', () => {
  it('come out as they went in, however the stream is cut and however often there is no place', () => {
    fc.assert(
      fc.property(
        fc.array(batches, { maxLength: 6 }),
        fc.infiniteStream(fc.nat(70)),
        fc.infiniteStream(fc.boolean()),
        (sent, cuts, room) => {
          const stream = Buffer.concat(sent.map(joined))
          const got: BatchMessage[] = []
          const reader = new FrameReader(
            (length) => (room.next().value ? new Uint8Array(new SharedArrayBuffer(length + 8), 0, length) : undefined),
            (body) => got.push(batchOf(body.buffer, body.length)),
          )
          for (let at = 0; at < stream.length; ) {
            const chunk = stream.subarray(at, at + cuts.next().value!)
            let used = reader.feed(chunk)
            while (reader.waiting) used += reader.feed(chunk.subarray(used))
            assert.equal(used, chunk.length)
            at += used
          }
          assert.deepEqual(got, sent)
        },
      ),
    )
  })

  it('have the arrays’ own memory among their pieces', () => {
    const x = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
    const frame = frameOf({ type: 'batch', lease: 1, arrays: [x], samples: 1, scalars: new Float32Array(2) })
    assert.ok(frame.some((piece) => piece.buffer === x.buffer && piece.byteOffset === 4 && piece.byteLength === 8))
  })

  it('are refused when they are none, or not whole', () => {
    const place = (length: number) => new Uint8Array(length)
    assert.throws(() => new FrameReader(place, () => {}).feed(new Uint8Array(PREFIX_BYTES)), /out of step/)
    const endless = joined({ type: 'batch', lease: 1, arrays: [], samples: 1, scalars: new Float32Array(0) })
    endless.set(new Uint8Array(Float64Array.of(Number.POSITIVE_INFINITY).buffer), 8)
    assert.throws(() => new FrameReader(place, () => {}).feed(endless), /out of step/)
    fc.assert(
      fc.property(batches, fc.nat(), fc.double(), (batch, at, value) => {
        const body = bodyOf(batch)
        assert.throws(() => batchOf(body, body.byteLength - 8), /not whole/)
        // Whatever a word of the head or the table says, nothing outside the body is read and nothing else is thrown.
        const words = new Float64Array(body)
        words[at % words.length] = value
        try {
          for (const array of batchOf(body, body.byteLength).arrays)
            assert.ok(array.byteOffset + array.byteLength <= body.byteLength)
        } catch (error) {
          assert.match(String(error), /not whole/)
        }
      }),
    )
  })
})

describe('the inbox of a child', () => {
  const program: LoopProgram = {
    parameters: [],
    buffers: [],
    state: [],
    feeds: [
      { name: 'x', dtype: 'float32', shape: [3] },
      { name: 'target', dtype: 'int64', shape: [] },
    ],
    batch: 2,
    scalars: ['rate'],
  }
  const batch = (lease: number): BatchMessage => ({
    type: 'batch',
    lease,
    arrays: [new Float32Array(6), new BigInt64Array(2)],
    samples: 2,
    scalars: new Float32Array(1),
  })
  const frame = (lease: number) => {
    const body = bodyOf(batch(lease))
    const place = new SharedArrayBuffer(body.byteLength)
    new Uint8Array(place).set(new Uint8Array(body))
    return { type: 'frame' as const, place, bytes: body.byteLength }
  }

  function opened() {
    const lent: SharedArrayBuffer[] = []
    const came: { lease: number; done: () => void }[] = []
    const inbox = new BatchInbox(
      (place) => lent.push(place),
      ({ lease }, done) => came.push({ lease, done }),
    )
    return { inbox, lent, came }
  }

  it('hands a batch on after its lease, whichever comes first, and in order', () => {
    const { inbox, came } = opened()
    inbox.opened(4)
    for (const lease of [4, 7, 7, 9]) inbox.receive(frame(lease))
    assert.deepEqual(
      came.map(({ lease }) => lease),
      [4],
    )
    inbox.opened(7)
    inbox.receive(frame(7))
    assert.deepEqual(
      came.map(({ lease }) => lease),
      [4, 7, 7, 7],
    )
    inbox.opened(9)
    assert.deepEqual(
      came.map(({ lease }) => lease),
      [4, 7, 7, 7, 9],
    )
  })

  it('lends places up to its bounds, and each anew once its batch is done', () => {
    const { inbox, lent, came } = opened()
    inbox.expect(program)
    inbox.opened(1)
    const size = bodyBytes(program)
    assert.deepEqual(
      lent.map(({ byteLength }) => byteLength),
      Array(MIN_PLACES).fill(size),
    )
    for (let i = 0; i < MAX_BATCHES_AHEAD + 5; i++) inbox.receive({ type: 'short', bytes: size, back: [] })
    assert.equal(lent.length, MAX_BATCHES_AHEAD)
    const body = bodyOf(batch(1))
    new Uint8Array(lent[1]!).set(new Uint8Array(body))
    inbox.receive({ type: 'frame', place: lent[1]!, bytes: body.byteLength })
    came.at(-1)!.done()
    assert.equal(lent.at(-1), lent[1])
  })

  it('replaces places that are too small', () => {
    const { inbox, lent, came } = opened()
    const large = { ...program, batch: MAX_BYTES_AHEAD }
    inbox.expect(program)
    inbox.expect(large)
    inbox.opened(1)
    assert.equal(lent.length, MIN_PLACES)
    // One is handed back: the new one takes its room. Another comes free later and is dropped for the next.
    inbox.receive({ type: 'short', bytes: bodyBytes(large), back: [lent[0]!] })
    assert.equal(lent.at(-1)!.byteLength, bodyBytes(large))
    inbox.receive({ type: 'short', bytes: bodyBytes(large), back: [] })
    assert.equal(lent.length, MIN_PLACES + 1)
    const body = bodyOf(batch(1))
    new Uint8Array(lent[1]!).set(new Uint8Array(body))
    inbox.receive({ type: 'frame', place: lent[1]!, bytes: body.byteLength })
    came[0]!.done()
    assert.equal(lent.length, MIN_PLACES + 2)
    assert.equal(lent.at(-1)!.byteLength, bodyBytes(large))
  })

  it('refuses what is larger than the batches of all its programs', () => {
    const { inbox } = opened()
    assert.throws(() => inbox.receive({ type: 'short', bytes: 8, back: [] }), /larger/)
    inbox.expect(program)
    inbox.receive({ type: 'short', bytes: bodyBytes(program), back: [] })
    assert.throws(() => inbox.receive({ type: 'short', bytes: bodyBytes(program) + 8, back: [] }), /larger/)
  })
})
