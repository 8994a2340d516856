import { PinGoError } from '@pingo/wire'

/** Blocks that a file may take beyond one a {@link MIN_MEAN_BLOCK_BYTES}. */
const SPARE_BLOCKS = 1_000
const MIN_MEAN_BLOCK_BYTES = 1_024

/** What reading a file costs: a few nodes that link to a byte over and over would cost a read of a block for each. */
export class Effort {
  #blocks = 0
  #bytes = 0

  /** @throws PinGoError FILE_MALFORMED */
  spend(bytes: number): void {
    this.#blocks += 1
    this.#bytes += Math.max(0, bytes)
    if (this.#blocks > SPARE_BLOCKS + this.#bytes / MIN_MEAN_BLOCK_BYTES)
      throw new PinGoError('FILE_MALFORMED', 'The file is made of too many tiny blocks.')
  }
}
