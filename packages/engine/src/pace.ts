/** How much may be saved up while nothing was to be done or a timer came late, and how much of a debt is paid back: milliseconds of waiting. */
const CREDIT_MS = 100
const PAY_BACK_MS = 60_000
/** Tiny steps rest once for so much CPU time together, milliseconds, and not after each. */
const QUANTUM_MS = 5

export interface PaceClock {
  /** Milliseconds, from any beginning, that never go back. */
  now(): number
  /** CPU time used so far, milliseconds; absent where nobody tells it: then the time of steps counts, see {@link Pacer.count}. */
  used?(): number
}

/**
 * When the next step may begin, so that no more than a share of the CPU is used: a bucket that fills with the clock and that used CPU time
 * empties. Steps are not cut: what one takes too much is waited for afterwards.
 */
export class Pacer {
  readonly #clock: PaceClock
  readonly #cores: number
  #share: number
  #at: number
  #used = 0
  #counted = 0
  /** CPU time that may be used before the next rest, milliseconds; a debt when below 0. */
  #balance = 0
  #resting = false

  /** @param cores that a step keeps busy at full speed; what was used before counts */
  constructor(clock: PaceClock, cores = 1, share = 1) {
    this.#clock = clock
    this.#cores = cores
    this.#share = share
    this.#at = clock.now()
  }

  /** @param share 0 … 1; 0 is a rest until told otherwise, 1 is full speed, which owes nothing */
  set(share: number): void {
    this.#settle()
    this.#share = share
    if (share === 1) this.#resting = false
  }

  /** What a step took, milliseconds: for clocks that do not tell what was used. */
  count(millis: number): void {
    this.#counted += millis
  }

  /** Milliseconds until the next step may begin: 0 is at once, Infinity not before the share changes. */
  wait(): number {
    if (this.#share === 1) return 0
    if (this.#share === 0) return Number.POSITIVE_INFINITY
    this.#settle()
    const wanted = this.#resting ? QUANTUM_MS : 0
    const missing = wanted - this.#balance
    this.#resting = missing > 0
    if (missing <= 0) return 0
    return (QUANTUM_MS - this.#balance) / (this.#share * this.#cores)
  }

  #settle(): void {
    const now = this.#clock.now()
    const used = this.#clock.used?.() ?? this.#counted
    const rate = this.#share * this.#cores
    this.#balance += (now - this.#at) * rate - (used - this.#used)
    this.#at = now
    this.#used = used
    if (this.#share === 1) this.#balance = 0
    else {
      const most = Math.max(CREDIT_MS * rate, QUANTUM_MS)
      const least = rate > 0 ? -PAY_BACK_MS * rate : Number.NEGATIVE_INFINITY
      this.#balance = Math.min(Math.max(this.#balance, least), most)
    }
  }
}
