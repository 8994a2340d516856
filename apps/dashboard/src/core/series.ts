import type { RoundView } from '@pingo/wire'

/** What the x axis of a job's curves counts: samples trained, or seconds since the job started. */
export type Axis = 'samples' | 'time'

/** Columns for a chart: x ascending, train and test aligned with it, null where there is no value. */
export interface Curves {
  x: number[]
  train: (number | null)[]
  test: (number | null)[]
}

export type Quantity = 'loss' | 'metric'

const finite = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null

/** The curve of `quantity` over the rounds (ascending by round). `startedAt` in ms; 'time' counts seconds from it. */
export function curves(rounds: readonly RoundView[], quantity: Quantity, axis: Axis, startedAt: number): Curves {
  const out: Curves = { x: [], train: [], test: [] }
  let last = Number.NEGATIVE_INFINITY
  for (const round of rounds) {
    const x = axis === 'samples' ? round.samplesDone : (round.at - startedAt) / 1000
    // A chart wants x to ascend; a fog node's clock may be set back between two rounds.
    if (!Number.isFinite(x) || x <= last) continue
    last = x
    out.x.push(x)
    out.train.push(finite(quantity === 'loss' ? round.loss : round.metric))
    out.test.push(finite(quantity === 'loss' ? round.testLoss : round.testMetric))
  }
  return out
}
