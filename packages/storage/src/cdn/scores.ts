import type { BlockHolder } from './port.ts'
import type { Timing } from './timing.ts'

const MAX_HOLDERS = 4_096
/** Of a holder that was never asked and never measured, ms. */
const UNKNOWN_MS = 500
/** What a block takes beyond a round trip, before it was seen, ms. */
const FIRST_BLOCK_MS = 100
const MIN_HEDGE_MS = 100
const MAX_HEDGE_MS = 5_000
/** Second requests at once, and for each block afterwards. */
const MAX_HEDGES = 16
const HEDGES_PER_BLOCK = 0.1
/** One that sent wrong bytes is not asked for so long. */
const LIAR_MS = 10 * 60_000
const MAX_FAILURES = 6
/** Blocks on their way from one holder that make it count as twice as far. */
const BUSY = 4

interface Score {
  /** Mean time of a block and its mean deviation, ms; smoothed as TCP smooths round trips (RFC 6298). */
  mean: number | undefined
  deviation: number
  busy: number
  failures: number
  isLiarUntil: number
}

/** How long holders take, who is busy, who fails, who lied. */
export class Scores {
  readonly #scores = new Map<string, Score>()
  readonly #timing: Timing
  #hedges = MAX_HEDGES

  constructor(timing: Timing) {
    this.#timing = timing
  }

  /** Without known liars, those first that will have a block here soonest. */
  rank(holders: readonly BlockHolder[]): BlockHolder[] {
    const now = this.#timing.now()
    return holders
      .map((holder) => ({ holder, score: this.#scores.get(holder.id) }))
      .filter(({ score }) => !score || score.isLiarUntil <= now)
      .map(({ holder, score }) => ({ holder, ms: expectedMs(holder, score) }))
      .sort((a, b) => a.ms - b.ms)
      .map(({ holder }) => holder)
  }

  /** After how long a second holder is asked as well: what the first takes at its slowest, as far as is known. */
  hedgeMs(holder: BlockHolder): number {
    const score = this.#scores.get(holder.id)
    const ms =
      score?.mean === undefined ? 2 * (holder.rtt ?? UNKNOWN_MS) + 2 * FIRST_BLOCK_MS : score.mean + 4 * score.deviation
    return Math.min(MAX_HEDGE_MS, Math.max(MIN_HEDGE_MS, ms * (1 + (score?.busy ?? 0) / BUSY)))
  }

  /** Whether one more may be asked for what another is asked for already: a network that is slow as a whole is not asked twice for everything. */
  mayHedge(): boolean {
    if (this.#hedges < 1) return false
    this.#hedges -= 1
    return true
  }

  /** @returns to be called with how it ended */
  asked(holder: BlockHolder): (end: 'came' | 'failed' | 'lied' | 'lacks' | 'stopped') => void {
    const score = this.#of(holder.id)
    const since = this.#timing.now()
    score.busy += 1
    this.#hedges = Math.min(MAX_HEDGES, this.#hedges + HEDGES_PER_BLOCK)
    return (end) => {
      score.busy -= 1
      if (end === 'lied') score.isLiarUntil = this.#timing.now() + LIAR_MS
      if (end === 'failed') score.failures = Math.min(MAX_FAILURES, score.failures + 1)
      const took = this.#timing.now() - since
      // one that was stopped would have taken longer still
      if (end !== 'came' && (end !== 'stopped' || took <= (score.mean ?? 0))) return
      if (end === 'came') score.failures = 0
      if (score.mean === undefined) {
        score.mean = took
        score.deviation = took / 2
        return
      }
      score.deviation += (Math.abs(took - score.mean) - score.deviation) / 4
      score.mean += (took - score.mean) / 8
    }
  }

  #of(id: string): Score {
    const known = this.#scores.get(id)
    if (known) return known
    const score: Score = { mean: undefined, deviation: 0, busy: 0, failures: 0, isLiarUntil: 0 }
    this.#scores.set(id, score)
    for (const [oldest, { busy }] of this.#scores) {
      if (this.#scores.size <= MAX_HOLDERS) break
      if (busy === 0) this.#scores.delete(oldest)
    }
    return score
  }
}

const expectedMs = (holder: BlockHolder, score: Score | undefined) =>
  // of one that was never asked the best is hoped for: else nobody would find out
  Math.max(1, score?.mean ?? holder.rtt ?? UNKNOWN_MS) * (1 + (score?.busy ?? 0) / BUSY) * 2 ** (score?.failures ?? 0)
