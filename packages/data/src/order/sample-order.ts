import { PinGoError } from '@pingo/wire'
import { type Permutation, permutation } from './permutation.ts'
import { Random } from './random.ts'

/** Samples that stay neighbours of one another through the shuffle of blocks. */
export const DEFAULT_BLOCK_SAMPLES = 128
/** Blocks whose samples are mixed with one another. */
export const DEFAULT_WINDOW_BLOCKS = 16
/** Most samples of a dataset: an index is 32 bits wide. */
export const MAX_SAMPLES = 2 ** 32 - 1
/** Most samples of one window: its memory is 4 bytes a sample. */
export const MAX_WINDOW_SAMPLES = 1 << 24
/** Most positions of one call of `indices`. */
export const MAX_POSITIONS = 1 << 26

const BLOCKS = 1
const MIX = 2

export interface SampleOrderOptions {
  samples: number
  seed: number
  blockSamples?: number
  windowBlocks?: number
}

export interface SampleOrder {
  /** Sample indices of the positions from … to - 1 of the endless stream of epochs: position p lies in epoch floor(p / samples). */
  indices(from: number, to: number): Uint32Array
}

/**
 * The order in which a job visits its samples: position in the job's stream (0 … samples * epochs) → sample index.
 *
 * An epoch is a permutation of all samples: blocks of neighbouring samples are permuted, then the samples of `windowBlocks`
 * consecutive blocks are mixed, so that any stretch of positions touches few shards while each batch draws from many blocks.
 * Whoever has (samples, seed) knows the order: it takes memory of one window, any position can be asked for at once, and
 * only integers are computed, so every machine gets the same. (A shuffle window over shuffled blocks as in tf.data and
 * WebDataset, but with random access.)
 * @throws PinGoError ORDER_INVALID, ORDER_RANGE
 */
export function sampleOrder(options: SampleOrderOptions): SampleOrder {
  const { samples, seed, blockSamples = DEFAULT_BLOCK_SAMPLES, windowBlocks = DEFAULT_WINDOW_BLOCKS } = options
  whole('samples', samples, 1, MAX_SAMPLES)
  whole('seed', seed, 0, Number.MAX_SAFE_INTEGER)
  whole('blockSamples', blockSamples, 1, MAX_WINDOW_SAMPLES)
  whole('windowBlocks', windowBlocks, 1, MAX_WINDOW_SAMPLES)
  const windowSamples = blockSamples * windowBlocks
  whole('blockSamples * windowBlocks', windowSamples, 1, MAX_WINDOW_SAMPLES)

  const blocks = Math.ceil(samples / blockSamples)
  /** How many samples the last block lacks. The window that holds it is shorter, and all later ones start earlier. */
  const lacking = blocks * blockSamples - samples

  let epoch = -1
  let order: Permutation
  let shortWindow = 0
  let window: { number: number; start: number; items: Uint32Array } | undefined

  const enter = (number: number): void => {
    if (number === epoch) return
    epoch = number
    order = permutation(blocks, seed, BLOCKS, number)
    shortWindow = Math.floor(order.indexOf(blocks - 1) / windowBlocks)
    window = undefined
  }
  const startOf = (number: number): number => number * windowSamples - (number > shortWindow ? lacking : 0)
  const windowAt = (position: number): NonNullable<typeof window> => {
    const late = position >= startOf(shortWindow + 1)
    const number = Math.floor((late ? position + lacking : position) / windowSamples)
    if (window?.number === number) return window
    const start = startOf(number)
    const items = new Uint32Array(Math.min(startOf(number + 1), samples) - start)
    let filled = 0
    for (let b = number * windowBlocks; b < Math.min((number + 1) * windowBlocks, blocks); b++) {
      const first = order.at(b) * blockSamples
      const end = Math.min(first + blockSamples, samples)
      for (let sample = first; sample < end; sample++) items[filled++] = sample
    }
    window = { number, start, items: Random.from(seed, MIX, epoch, number).shuffle(items) }
    return window
  }

  return {
    indices(from, to) {
      if (
        !Number.isSafeInteger(from) ||
        !Number.isSafeInteger(to) ||
        from < 0 ||
        to < from ||
        to - from > MAX_POSITIONS
      )
        throw new PinGoError('ORDER_RANGE', `Positions ${from} … ${to} are not a range of at most ${MAX_POSITIONS}.`)
      const out = new Uint32Array(to - from)
      let at = 0
      while (at < out.length) {
        const position = (from + at) % samples
        enter((from + at - position) / samples)
        const { start, items } = windowAt(position)
        const part = items.subarray(position - start, position - start + out.length - at)
        out.set(part, at)
        at += part.length
      }
      return out
    },
  }
}

function whole(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new PinGoError('ORDER_INVALID', `${name} must be a whole number of ${min} … ${max}, it is ${value}.`)
}
