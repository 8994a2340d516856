import type { Survival } from '@pingo/wire'
import type { FogContributor, FogJob } from './types.ts'

/** Slices are compared by how probably they are still there in so many minutes. */
const COMPARED_MINUTES = 5
/** A forecast that moved by less is not news for a job: each that is told goes to its journal. */
const LEAST_CHANGE = 0.1

type Forecast = Pick<FogContributor, 'survival'>

/** Probability that a slice still works in `minutes`: in a line between the points of its forecast, 1 where it makes none. */
export function survivalAt(survival: Survival, minutes: number): number {
  let [at, probability] = [0, 1]
  for (const point of survival) {
    if (point.minutes >= minutes) {
      const part = point.minutes > at ? (minutes - at) / (point.minutes - at) : 1
      return probability + part * (point.probability - probability)
    }
    at = point.minutes
    probability = point.probability
  }
  return probability
}

export const survivalOf = ({ survival }: Forecast): number => survivalAt(survival, COMPARED_MINUTES)

/** Probability that it is there until a round of the job is over; absent when there is no forecast. */
export const survivalIn = ({ survival }: Forecast, job: FogJob): number | undefined =>
  survival.length === 0 ? undefined : survivalAt(survival, job.core.settings.roundMs / 60_000)

export function forecastMoved(before: Forecast, after: Forecast, job: FogJob): boolean {
  return Math.abs((survivalIn(before, job) ?? 1) - (survivalIn(after, job) ?? 1)) >= LEAST_CHANGE
}
