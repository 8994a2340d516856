/** Hours of a week. */
export const BINS = 168
const DAY_HOURS = 24

/** Events (it stopped being available) and minutes in which they could have come, by hour of the week. */
export interface Counts {
  events: number[]
  minutes: number[]
}

/** What is assumed before anything was seen: available for four hours in the mean, worth one event. */
const PRIOR_EVENTS = 1
const PRIOR_MINUTES = 240
/** Bounds of the prior's weight, events: the least keeps an hour without an event from being called safe for ever. */
const LEAST_WEIGHT = 0.3
const MOST_WEIGHT = 1e4

/**
 * Hazard per minute of each hour of the week. An hour's own counts are pooled with those of its hour of the day, and these with all, by Gamma priors (a
 * minute's Beta prior, at hazards this small) whose weight is estimated from how much hours differ beyond chance (empirical Bayes by moments; Robbins 1956, Morris
 * 1983): an owner without habits gets the same hazard at every hour, one who comes at nine each working day is known after two weeks.
 */
export function hazards({ events, minutes }: Counts): number[] {
  const overall = (sum(events) + PRIOR_EVENTS) / (sum(minutes) + PRIOR_MINUTES)
  const dayEvents = byHourOfDay(events)
  const dayMinutes = byHourOfDay(minutes)
  const dayMean = Array<number>(DAY_HOURS).fill(overall)
  const ofDay = pooled(dayEvents, dayMinutes, dayMean)
  return pooled(
    events,
    minutes,
    events.map((_, bin) => ofDay[bin % DAY_HOURS]!),
  )
}

function pooled(events: readonly number[], minutes: readonly number[], parents: readonly number[]): number[] {
  let beyondChance = 0
  let squares = 0
  for (const [i, parent] of parents.entries()) {
    const expected = minutes[i]! * parent
    beyondChance += (events[i]! - expected) ** 2 - expected
    squares += expected ** 2
  }
  const weight = beyondChance > 0 ? Math.max(LEAST_WEIGHT, Math.min(MOST_WEIGHT, squares / beyondChance)) : MOST_WEIGHT
  return parents.map((parent, i) => (events[i]! + weight) / (minutes[i]! + weight / parent))
}

function byHourOfDay(bins: readonly number[]): number[] {
  const hours = Array<number>(DAY_HOURS).fill(0)
  for (const [bin, value] of bins.entries()) hours[bin % DAY_HOURS]! += value
  return hours
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

/** Ages, minutes: someone who has just left is more likely to come back soon than one who has been away for hours. */
export const AGES = [2, 5, 15, 30, 60, 120, 240, Number.POSITIVE_INFINITY]

export const ageClass = (minutes: number): number => AGES.findIndex((upTo) => minutes < upTo)

/** Weight of the assumption that age does not matter, events. */
const AGE_WEIGHT = 10

/** By which age multiplies the hazard: events that came over those that the hours of the week let expect. */
export const ageFactor = (events: number, expected: number): number =>
  Math.max(0.05, Math.min(20, (events + AGE_WEIGHT) / (expected + AGE_WEIGHT)))
