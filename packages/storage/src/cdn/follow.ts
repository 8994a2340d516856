import { PinGoError } from '@pingo/wire'
import type { BlockStream } from './port.ts'

const EMPTY = new Uint8Array(0)

interface Arrival {
  /** What has come, from the block's first byte on. */
  came: Uint8Array
  /** How long the holder says that the block is. */
  total: number
}

/** What has come of a block from each holder that is asked for it. Unchecked: a holder may lie. */
export class Arrivals {
  readonly #from = new Map<unknown, Arrival>()
  #change = Promise.withResolvers<void>()

  note(from: unknown, came: Uint8Array, total: number): void {
    this.#from.set(from, { came, total })
    this.#changed()
  }

  /** The holder broke off or lied: nobody begins with its bytes any more. */
  drop(from: unknown): void {
    if (this.#from.delete(from)) this.#changed()
  }

  /** Resolves with the next change. */
  get change(): Promise<void> {
    return this.#change.promise
  }

  /** The most that has come of a block of `total` bytes that begins with `sent`; more than that, or undefined. */
  beyond(sent: Uint8Array, total?: number): Arrival | undefined {
    let most: Arrival | undefined
    for (const each of this.#from.values())
      if (each.came.byteLength > (most?.came ?? sent).byteLength && (total ?? each.total) === each.total)
        if (startsWith(each.came, sent)) most = each
    return most
  }

  #changed(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }
}

/**
 * A block as it comes, for who checks it himself. The last byte is held back until all were checked here, so that wrong bytes never end well.
 * When a holder breaks off, the next one is asked for the whole, and whoever reads goes on where the other ended, if both say the same: of two
 * halves it could not be told who lied. Nothing is held but what the holders' answers are read into, however slow the reader is.
 * @param block the block when it was checked; rejects when the reader is gone
 * @throws PinGoError what `block` rejects with, as long as nothing has come
 */
export async function follow(block: Promise<Uint8Array>, arrivals: Arrivals): Promise<BlockStream> {
  let whole: Uint8Array | undefined
  const end = block.then((bytes) => {
    whole = bytes
  })
  end.catch(() => undefined)
  const more = () => Promise.race([arrivals.change, end])
  while (!whole && !arrivals.beyond(EMPTY)) await more()
  const bytes = whole?.byteLength ?? arrivals.beyond(EMPTY)!.total

  async function* parts(): AsyncGenerator<Uint8Array> {
    let sent: Uint8Array = EMPTY
    while (!whole) {
      const came = arrivals.beyond(sent, bytes)?.came
      const to = Math.min(came?.byteLength ?? 0, bytes - 1)
      if (came && to > sent.byteLength) {
        const part = came.subarray(sent.byteLength, to)
        sent = came.subarray(0, to)
        yield part
      } else await more()
    }
    if (whole.byteLength !== bytes || !startsWith(whole, sent))
      throw new PinGoError('BLOCK_MISMATCH', 'A holder sent other bytes than those of the block.', {
        hint: 'Ask again: that holder is asked no more for a while.',
      })
    if (sent.byteLength < bytes) yield whole.subarray(sent.byteLength)
  }
  return { bytes, block, parts: parts() }
}

const startsWith = (bytes: Uint8Array, prefix: Uint8Array): boolean =>
  bytes.byteLength >= prefix.byteLength && Buffer.compare(bytes.subarray(0, prefix.byteLength), prefix) === 0
