import { batchOf, bodyBytes } from './batch-frame.ts'
import { MAX_BATCHES_AHEAD, MAX_BYTES_AHEAD, MIN_PLACES } from './limits.ts'
import type { BatchMessage, LoopProgram } from './protocol.ts'

/** What the reading thread says: a batch is in `place`; or it has no place for the `bytes` that come next, and hands `back` what is too small. */
export type FromReader =
  | { type: 'frame'; place: SharedArrayBuffer; bytes: number }
  | { type: 'short'; bytes: number; back: SharedArrayBuffer[] }

/**
 * The child's batches: lends the reading thread places to put them in, which come round again after each step, and hands batches on in the
 * order in which they came, but none before its lease: leases come by another way.
 */
export class BatchInbox {
  readonly #lend: (place: SharedArrayBuffer) => void
  readonly #deliver: (batch: BatchMessage, done: () => void) => void
  readonly #early: { batch: BatchMessage; done: () => void }[] = []
  #youngest = 0
  #largest = 0
  #places = 0
  #placesBytes = 0
  /** What the reader waits to have a place for, 0 when it does not. */
  #wanted = 0

  /** @param deliver takes a batch of a lease that was told of, and calls `done` once nobody reads it any more */
  constructor(lend: (place: SharedArrayBuffer) => void, deliver: (batch: BatchMessage, done: () => void) => void) {
    this.#lend = lend
    this.#deliver = deliver
  }

  /** A program whose batches may come from now on. */
  expect(program: LoopProgram): void {
    this.#largest = Math.max(this.#largest, bodyBytes(program))
    while (this.#places < MIN_PLACES) this.#lendNew(this.#largest)
  }

  /** A lease has come; their numbers rise. */
  opened(lease: number): void {
    this.#youngest = lease
    const early = this.#early.splice(0)
    for (const { batch, done } of early) this.#handOn(batch, done)
  }

  /** @throws Error when what was read is no batch, or larger than any that may come */
  receive(said: FromReader): void {
    if (said.type === 'short') {
      if (said.bytes > this.#largest) throw new Error(`a batch of ${said.bytes} bytes is larger than any program's`)
      for (const place of said.back) this.#forget(place)
      this.#wanted = said.bytes
      this.#grow()
    } else {
      const { place, bytes } = said
      this.#handOn(batchOf(place, bytes), () => this.#free(place))
    }
  }

  #handOn(batch: BatchMessage, done: () => void): void {
    if (batch.lease > this.#youngest) this.#early.push({ batch, done })
    else this.#deliver(batch, done)
  }

  #free(place: SharedArrayBuffer): void {
    if (place.byteLength >= this.#wanted) {
      this.#wanted = 0
      this.#lend(place)
    } else {
      this.#forget(place)
      this.#grow()
    }
  }

  #forget(place: SharedArrayBuffer): void {
    this.#places--
    this.#placesBytes -= place.byteLength
  }

  /** Makes a new place for what is wanted, if more may be had. */
  #grow(): void {
    const bytes = this.#wanted
    const fits = this.#places < MAX_BATCHES_AHEAD && this.#placesBytes + bytes <= MAX_BYTES_AHEAD
    if (bytes === 0 || (this.#places >= MIN_PLACES && !fits)) return
    this.#wanted = 0
    this.#lendNew(bytes)
  }

  #lendNew(bytes: number): void {
    this.#places++
    this.#placesBytes += bytes
    this.#lend(new SharedArrayBuffer(bytes))
  }
}
