/** A slice as the division of the CPU sees it. */
export interface Demand {
  /** What the slice has, at most one. */
  cores: number
  isWorking: boolean
}

/** Paces nearer to the last one than this are not worth a message to an engine. */
const STEP = 0.01
/** What was used too much or too little is made good within about this time, seconds. */
const SETTLE_SECONDS = 10
/** At most so much is made good, as seconds of the whole share: a start costs a burst, which is not to stop work for minutes. */
const MAX_DEBT_SECONDS = 10
const MAX_CREDIT_SECONDS = 1
/** The node's own use is smoothed over about this time, seconds. */
const SMOOTH_SECONDS = 5

/**
 * What the node's own process takes from what is lent, so that the whole tree keeps to the share: its use of late, and what the tree used too much
 * before. A discrete integral controller, fed with differences of CPU time.
 */
export class Budget {
  #own = 0
  /** CPU seconds used beyond what was allowed. */
  #debt = 0

  /**
   * @param o.seconds since the last look; o.own and o.engines: CPU seconds used meanwhile by the node and by its engines
   * @returns cores that are not for the engines now; below 0 when they may catch up
   */
  look(o: { seconds: number; own: number; engines: number; allowed: number; isWorking: boolean }): number {
    if (!(o.seconds > 0)) return this.#own
    const weight = Math.min(1, o.seconds / SMOOTH_SECONDS)
    this.#own += (o.own / o.seconds - this.#own) * weight
    if (!o.isWorking || o.allowed === 0) {
      // what is not used is not saved up; a debt fades as time goes by
      this.#debt = Math.max(0, this.#debt - o.allowed * o.seconds)
      return this.#own
    }
    const debt = this.#debt + o.own + o.engines - o.allowed * o.seconds
    this.#debt = Math.min(Math.max(debt, -MAX_CREDIT_SECONDS * o.allowed), MAX_DEBT_SECONDS * o.allowed)
    return this.#own + this.#debt / SETTLE_SECONDS
  }
}

/**
 * How fast each slice may go, 0 … 1 of a core. Whole cores that are lent as such run freely: a thread cannot take more than one. What is less than
 * was divided is shared in proportion, less what the node takes itself.
 * @param allowed cores for all
 * @param own cores that the node takes of them
 */
export function paces(demands: readonly Demand[], allowed: number, own: number): number[] {
  const wanted = demands.reduce((sum, { cores, isWorking }) => sum + (isWorking ? cores : 0), 0)
  if (allowed <= 0) return demands.map(() => 0)
  const isWhole = wanted <= allowed && demands.every(({ cores, isWorking }) => !isWorking || cores >= 1)
  if (wanted === 0 || isWhole) return demands.map(({ cores }) => round(Math.min(cores, allowed)))
  const left = Math.max(STEP, Math.min(wanted, allowed) - own)
  return demands.map(({ cores }) => round(Math.min(1, (cores * left) / wanted)))
}

const round = (share: number): number => Math.min(1, Math.max(STEP, Math.round(share / STEP) * STEP))
