import { AGES, ageClass, ageFactor, BINS, type Counts, hazards } from './hazard.ts'
import { baseRate, emptyScore, SCORED_MINUTES, type Score, type ScoreState, scoreOf, settle } from './score.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** What was seen four weeks ago counts half. */
const HALF_LIFE_DAYS = 28
/** Not looked at for longer, the machine slept or was off: it was not available. */
const GAP_MS = 5 * MINUTE_MS
/** A clock that was set back further than this begins anew. */
const CLOCK_BACK_MS = 60 * MINUTE_MS
/** Furthest forecast, minutes. */
export const MAX_MINUTES = 24 * 60
/** Scored forecasts are made at most so often. */
const FORECAST_EVERY_MS = MINUTE_MS - 1_000

interface Pending {
  at: number
  said: number
  base: number
  hasEnded: boolean
}

export interface ForecastState {
  version: 1
  counts: Counts
  /** By age: events, and those that hours of the week alone let expect. */
  ages: { events: number[]; expected: number[] }
  /** The day up to which counts were aged, UTC. */
  day: number
  last: { at: number; available: boolean; since: number } | undefined
  pending: Pending[]
  observedMinutes: number
  score: ScoreState
}

/** Hour of the week (0: Monday 00:00) by the machine's own clock and zone. */
export type HourOfWeek = (at: number) => number

export const localHourOfWeek: HourOfWeek = (at) => {
  const date = new Date(at)
  return ((date.getDay() + 6) % 7) * 24 + date.getHours()
}

export const emptyForecast = (): ForecastState => ({
  version: 1,
  counts: { events: Array<number>(BINS).fill(0), minutes: Array<number>(BINS).fill(0) },
  ages: { events: AGES.map(() => 0), expected: AGES.map(() => 0) },
  day: 0,
  last: undefined,
  pending: [],
  observedMinutes: 0,
  score: emptyScore(),
})

/**
 * Learns when a machine may work: a hazard for each hour of the owner's week, times a factor by how long it has been available. From what was seen alone, and each
 * forecast is scored when its time has come. Pure: time comes in, nothing is read or written.
 */
export class Forecast {
  readonly state: ForecastState
  readonly #hourOfWeek: HourOfWeek
  #hazards: number[] | undefined

  /** @param state is changed */
  constructor(state: ForecastState = emptyForecast(), hourOfWeek: HourOfWeek = localHourOfWeek) {
    this.state = state
    this.#hourOfWeek = hourOfWeek
  }

  get observedHours(): number {
    return this.state.observedMinutes / 60
  }

  /** What is so at this moment (ms since epoch); about once a minute. */
  observe(at: number, available: boolean): void {
    const { state } = this
    const { last } = state
    if (last && at <= last.at) {
      if (last.at - at < CLOCK_BACK_MS) return
      state.last = undefined
      state.pending = []
    }
    this.#age(at)
    const before = state.last
    const isGap = before !== undefined && at - before.at > GAP_MS
    if (before?.available) this.#count(before, isGap ? before.at + MINUTE_MS : at, isGap || !available)
    if (before && !isGap) state.observedMinutes += (at - before.at) / MINUTE_MS
    const goesOn = before !== undefined && !isGap && before.available === available
    if (before?.available && !goesOn) for (const forecast of state.pending) forecast.hasEnded = true
    this.#settle(at)
    state.last = { at, available, since: goesOn ? before.since : at }
    const newest = state.pending.at(-1)
    if (available && (!newest || at - newest.at >= FORECAST_EVERY_MS))
      state.pending.push({
        at,
        said: this.survival(at, [SCORED_MINUTES])[0]!,
        base: baseRate(state.score),
        hasEnded: false,
      })
  }

  /** Probability, for each number of minutes from `at` on (up to {@link MAX_MINUTES}), that it is available for all of them; 0 when it is not now. */
  survival(at: number, minutes: readonly number[]): number[] {
    const { last, ages } = this.state
    if (!last?.available || at - last.at > GAP_MS || at < last.at) return minutes.map(() => 0)
    const hazardOf = (this.#hazards ??= hazards(this.state.counts))
    const furthest = Math.min(MAX_MINUTES, Math.ceil(Math.max(0, ...minutes)))
    const survived = [1]
    for (let minute = 0; minute < furthest; minute++) {
      const moment = at + minute * MINUTE_MS
      const age = ageClass((moment - last.since) / MINUTE_MS)
      const hazard = hazardOf[this.#hourOfWeek(moment)]! * ageFactor(ages.events[age]!, ages.expected[age]!)
      survived.push(survived[minute]! * Math.exp(-hazard))
    }
    return minutes.map((wanted) => {
      const whole = Math.max(0, Math.min(furthest, wanted))
      const [low, high] = [survived[Math.floor(whole)]!, survived[Math.ceil(whole)]!]
      return low + (high - low) * (whole - Math.floor(whole))
    })
  }

  /** How good its forecasts of a quarter of an hour were, over the last weeks; undefined before there is one. */
  score(): Score | undefined {
    return scoreOf(this.state.score)
  }

  #count(before: { at: number; since: number }, until: number, ended: boolean): void {
    const { counts, ages } = this.state
    const minutes = (until - before.at) / MINUTE_MS
    const bin = this.#hourOfWeek(before.at)
    const age = ageClass((before.at - before.since) / MINUTE_MS)
    ages.expected[age]! += minutes * (this.#hazards ??= hazards(counts))[bin]!
    counts.minutes[bin]! += minutes
    if (ended) {
      counts.events[bin]! += 1
      ages.events[age]! += 1
    }
    // with each event, and now and then: it hardly changes with a minute that passes
    if (ended || Math.floor(until / (10 * MINUTE_MS)) !== Math.floor(before.at / (10 * MINUTE_MS)))
      this.#hazards = undefined
  }

  #settle(at: number): void {
    const { state } = this
    const due = (forecast: Pending) => at - forecast.at >= SCORED_MINUTES * MINUTE_MS
    for (const forecast of state.pending)
      if (due(forecast)) settle(state.score, forecast.at, forecast.said, forecast.base, !forecast.hasEnded)
    state.pending = state.pending.filter((forecast) => !due(forecast))
  }

  /** Once a day everything that was counted loses weight. */
  #age(at: number): void {
    const { state } = this
    const day = Math.floor(at / DAY_MS)
    const days = Math.min(3650, day - state.day)
    if (days <= 0) return
    if (state.day > 0) {
      const keep = 0.5 ** (days / HALF_LIFE_DAYS)
      for (const list of [state.counts.events, state.counts.minutes, state.ages.events, state.ages.expected])
        for (const i of list.keys()) list[i]! *= keep
    }
    state.day = day
    this.#hazards = undefined
  }
}
