import { paddedBytes } from '../crypto/padding.ts'
import type { PutSource } from './put.ts'

/** A source as a stream. @returns whether it can be opened again */
export function opened(source: PutSource): AsyncIterable<Uint8Array> {
  if (typeof source === 'function') return source()
  return source instanceof Uint8Array ? pieces([source]) : source
}

async function* pieces(all: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* all
}

/**
 * Reads a stream's first bytes, until it is known to be longer than `limit`.
 * @returns its length when it ends before, and a stream of all of it
 */
export async function peek(
  source: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<{ bytes: number | undefined; all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]()
  const head: Uint8Array[] = []
  let bytes = 0
  while (bytes <= limit) {
    const next = await iterator.next()
    if (next.done) return { bytes, all: pieces(head) }
    head.push(next.value)
    bytes += next.value.byteLength
  }
  return { bytes: undefined, all: join(head, iterator) }
}

async function* join(head: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (let next = head.shift(); next; next = head.shift()) yield next
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

/** What {@link segments} cuts. */
export interface Cut {
  /** Good until the next one is asked for: all of them share a buffer. */
  plain: Uint8Array
  /** Those of the source; the others are padding. */
  sourceBytes: number
  isLast: boolean
}

/**
 * Cuts a stream into segments of `segmentBytes` and pads it with zeros to its Padmé length, so that nodes learn little of its own;
 * never less than a byte, so that no two objects are one.
 */
export async function* segments(source: AsyncIterable<Uint8Array>, segmentBytes: number): AsyncGenerator<Cut> {
  const buffer = Buffer.allocUnsafeSlow(segmentBytes)
  let filled = 0
  let total = 0
  for await (const piece of source)
    for (let at = 0; at < piece.byteLength; ) {
      if (filled === segmentBytes) {
        yield { plain: buffer, sourceBytes: filled, isLast: false }
        filled = 0
      }
      const part = piece.subarray(at, at + segmentBytes - filled)
      buffer.set(part, filled)
      filled += part.byteLength
      at += part.byteLength
      total += part.byteLength
    }
  let left = Math.max(1, paddedBytes(total)) - total
  for (;;) {
    const sourceBytes = filled
    const zeros = Math.min(left, segmentBytes - filled)
    filled += zeros
    left -= zeros
    yield { plain: buffer.subarray(0, filled).fill(0, sourceBytes), sourceBytes, isLast: left === 0 }
    if (left === 0) return
    filled = 0
  }
}
