/**
 * Cuts the stream of batches into frames; pure. A frame is a prefix and a body: `f64 magic, f64 bytes of the body`, in the
 * machine's byte order. What a body says is the matter of batch-frame.ts. Plain JavaScript for the reason that side-thread.js gives.
 */

export const MAGIC = 0x50_69_6e_47_6f
export const PREFIX_BYTES = 16

export class FrameReader {
  #prefix = new Float64Array(PREFIX_BYTES / 8)
  #prefixBytes = new Uint8Array(this.#prefix.buffer)
  #prefixRead = 0
  /** @type {Uint8Array | undefined} */
  #body
  #bodyRead = 0
  #place
  #whole

  /** True when a frame has begun and there is no place for its body: feed on once there is. */
  waiting = false

  /**
   * @param {(bytes: number) => Uint8Array | undefined} place a place for a body of so many bytes, if there is one
   * @param {(body: Uint8Array) => void} whole takes a body that is complete
   */
  constructor(place, whole) {
    this.#place = place
    this.#whole = whole
  }

  /**
   * Takes what comes next, cut anywhere.
   * @param {Uint8Array} chunk
   * @returns {number} how many bytes of it were used; fewer than all only while `waiting`, the rest is to be fed again
   * @throws Error when this is no stream of frames
   */
  feed(chunk) {
    let at = 0
    for (;;) {
      if (!this.#body) {
        const part = chunk.subarray(at, at + PREFIX_BYTES - this.#prefixRead)
        this.#prefixBytes.set(part, this.#prefixRead)
        this.#prefixRead += part.length
        at += part.length
        if (this.#prefixRead < PREFIX_BYTES) return at
        const [magic, bytes] = this.#prefix
        if (magic !== MAGIC || !Number.isSafeInteger(bytes) || bytes <= 0)
          throw new Error('the stream of batches is out of step')
        this.#body = this.#place(bytes)
        this.waiting = !this.#body
        if (!this.#body) return at
        this.#bodyRead = 0
      }
      const part = chunk.subarray(at, at + this.#body.length - this.#bodyRead)
      this.#body.set(part, this.#bodyRead)
      this.#bodyRead += part.length
      at += part.length
      if (this.#bodyRead < this.#body.length) return at
      const body = this.#body
      this.#body = undefined
      this.#prefixRead = 0
      this.#whole(body)
    }
  }
}
