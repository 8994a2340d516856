/** What is scored: forecasts that it stays available for so long. */
export const SCORED_MINUTES = 15
/** Weeks whose forecasts are in the score. */
export const SCORED_WEEKS = 8
const CLASSES = 10
const WEEK_MS = 7 * 86_400_000
/** The base rate before any outcome: as likely as not, worth two outcomes; and how slowly it forgets (outcomes, four weeks of minutes). */
const BASE_OUTCOMES = 2
const BASE_MEMORY = 40_320

/** A week's forecasts: number, sums of squared errors, and by tenths of probability number, sum of probabilities and of outcomes. */
interface Week {
  week: number
  n: number
  squares: number
  baseSquares: number
  classes: [n: number, forecast: number, survived: number][]
}

export interface ScoreState {
  base: { survived: number; n: number }
  weeks: Week[]
}

export interface Score {
  forecasts: number
  /** Mean squared error of the forecasts (Brier 1950); of always saying what share of all past ones survived. */
  brier: number
  brierOfBaseRate: number
  /** Tenths of probability: what was said and what came, both in the mean. */
  calibration: { from: number; to: number; forecasts: number; said: number; came: number }[]
  /** Mean distance between said and came, weighted by forecasts. */
  calibrationError: number
}

export const emptyScore = (): ScoreState => ({ base: { survived: 0, n: 0 }, weeks: [] })

/** What who knows nothing but outcomes of the past would say. */
export const baseRate = ({ base }: ScoreState): number => (base.survived + BASE_OUTCOMES / 2) / (base.n + BASE_OUTCOMES)

/** A forecast whose time has come. */
export function settle(state: ScoreState, at: number, said: number, base: number, survived: boolean): void {
  const outcome = survived ? 1 : 0
  const week = weekOf(state, Math.floor(at / WEEK_MS))
  week.n += 1
  week.squares += (said - outcome) ** 2
  week.baseSquares += (base - outcome) ** 2
  const tenth = week.classes[Math.min(CLASSES - 1, Math.floor(said * CLASSES))]!
  tenth[0] += 1
  tenth[1] += said
  tenth[2] += outcome
  const keep = state.base.n > BASE_MEMORY ? BASE_MEMORY / state.base.n : 1
  state.base = { survived: state.base.survived * keep + outcome, n: state.base.n * keep + 1 }
}

/** Undefined before the first forecast's time has come. */
export function scoreOf({ weeks }: ScoreState): Score | undefined {
  const forecasts = weeks.reduce((n, week) => n + week.n, 0)
  if (forecasts === 0) return undefined
  const mean = (of: (week: Week) => number) => weeks.reduce((total, week) => total + of(week), 0) / forecasts
  const calibration = Array.from({ length: CLASSES }, (_, i) => {
    const [n, said, came] = weeks.reduce(
      (sums, { classes }) => sums.map((value, j) => value + classes[i]![j]!) as [number, number, number],
      [0, 0, 0] as [number, number, number],
    )
    return { from: i / CLASSES, to: (i + 1) / CLASSES, forecasts: n, said: said / n, came: came / n }
  }).filter(({ forecasts }) => forecasts > 0)
  return {
    forecasts,
    brier: mean(({ squares }) => squares),
    brierOfBaseRate: mean(({ baseSquares }) => baseSquares),
    calibration,
    calibrationError:
      calibration.reduce((total, { forecasts: n, said, came }) => total + n * Math.abs(said - came), 0) / forecasts,
  }
}

function weekOf(state: ScoreState, week: number): Week {
  let found = state.weeks.find((known) => known.week === week)
  if (!found) {
    found = { week, n: 0, squares: 0, baseSquares: 0, classes: Array.from({ length: CLASSES }, () => [0, 0, 0]) }
    state.weeks.push(found)
    state.weeks = state.weeks.sort((a, b) => a.week - b.week).slice(-SCORED_WEEKS)
  }
  return found
}
