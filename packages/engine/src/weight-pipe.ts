import { readSync, writeSync } from 'node:fs'
import { FrameReader, MAGIC } from './frame-reader.js'
import { WEIGHTS_AT_ONCE } from './limits.ts'
import type { TrainingLoop } from './loop.ts'
import { WEIGHTS_FD, type WeightsMessage } from './protocol.ts'

/**
 * The pipe of weights. To the child go the bare elements, which it reads into the loop's own arrays; it hands them back from there in frames,
 * whose body is `f64 lease, f64 at; elements × f32` in the machine's byte order. The child's end blocks: it has nothing else to do
 * before a lease and after it, and nothing is copied on its side.
 */
const FRONT_BYTES = 16

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** In the child: reads the next `length` elements into `places`. @throws Error when the parent is gone, or the places have another size */
export function readWeights(length: number, places: readonly Float32Array[]): void {
  if (length !== elements(places)) throw new Error(`${length} weights were sent to places for ${elements(places)}`)
  for (const bytes of places.map(bytesOf))
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(WEIGHTS_FD, bytes, at, bytes.length - at, null)
      if (count === 0) throw new Error('the pipe of weights has ended')
      at += count
    }
}

/** In the child: hands back all of a loop's weights. */
export function writeWeights(lease: number, loop: TrainingLoop): void {
  for (let at = 0; ; at += WEIGHTS_AT_ONCE) {
    const views = loop.weights(at, WEIGHTS_AT_ONCE)
    if (views.length === 0) return
    const front = Float64Array.of(MAGIC, FRONT_BYTES + 4 * elements(views), lease, at)
    for (const bytes of [new Uint8Array(front.buffer), ...views.map(bytesOf)])
      for (let from = 0; from < bytes.length; ) from += writeSync(WEIGHTS_FD, bytes, from)
  }
}

/** In the parent: takes what the child writes, cut anywhere. Its `feed` throws an Error when these are no weights. */
export function weightsReader(take: (message: WeightsMessage) => void): FrameReader {
  let room = new ArrayBuffer(0)
  return new FrameReader(
    (bytes) => {
      if (bytes < FRONT_BYTES || bytes % 4 || bytes > FRONT_BYTES + 4 * WEIGHTS_AT_ONCE)
        throw new Error(`a part of the weights has ${bytes} bytes`)
      if (room.byteLength < bytes) room = new ArrayBuffer(bytes)
      return new Uint8Array(room, 0, bytes)
    },
    ({ length }) => {
      const [lease, at] = new Float64Array(room, 0, 2) as unknown as [number, number]
      take({ type: 'weights', lease, at, part: new Float32Array(room, FRONT_BYTES, length / 4 - FRONT_BYTES / 4) })
    },
  )
}

const elements = (views: readonly Float32Array[]): number => views.reduce((sum, { length }) => sum + length, 0)
