import type { Engine } from '@pingo/engine'

/** Pace of training while a challenge runs: next to nothing, but not 0, at which the challenge would wait too. */
export const HELD_PACE = 0.001

/** An engine on loan: what it trains waits until it is given back. */
export interface Loan {
  engine: Pick<Engine, 'open'>
  /** Training stops at the next step's end, until the engine is given back. */
  hold(): void
  giveBack(): void
}

/**
 * Lends an engine for a challenge.
 * @param held called with 1 when training is to wait, with -1 when it may go on
 * @param back called once, when the engine is given back
 */
export function lendEngine(engine: Loan['engine'], held: (by: 1 | -1) => void, back: () => void): Loan {
  let state: 'lent' | 'held' | 'back' = 'lent'
  return {
    engine,
    hold: () => {
      if (state !== 'lent') return
      state = 'held'
      held(1)
    },
    giveBack: () => {
      if (state === 'back') return
      const wasHeld = state === 'held'
      state = 'back'
      if (wasHeld) held(-1)
      back()
    },
  }
}
