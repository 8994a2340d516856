import type { Code } from '@pingo/wire'
import { repairAt } from './policy.ts'

export const DAYS_PER_MONTH = 30
export const DAYS_PER_YEAR = 365
const MAX_CHECKS_TO_SETTLE = 20_000
const SETTLED = 1e-12

export interface DurabilityAssumptions {
  code: Code
  /** Repaired at so many shards or fewer; the policy's when absent. */
  threshold?: number
  /** Part of the nodes that leave for good, with what they hold, within 30 days: 0.05. */
  monthlyChurn: number
  checkDays: number
}

export interface Durability {
  /** Probability that a stripe is lost within a year. */
  lossPerStripeYear: number
  /** −log₁₀ of it. */
  nines: number
  /** Bytes read and written by repair within 30 days, for each byte of data (not of shards). */
  repairPerMonth: number
}

/**
 * How long data last: a Markov chain over the shards that a stripe has left, one step a check.
 *
 * Assumptions: holders leave independently of each other and without memory, with all they hold, at a rate of −ln(1 − churn) in 30
 * days; a check finds every loss (what a node holds and does not prove counts as lost) and what it finds to be few enough shards is
 * whole again before the next holder leaves; there are always nodes to take shards; a year has 365 days. What fails together
 * (operators, networks, regions, bugs) is not in it: placement keeps shards apart, and the simulator shows what is left.
 *
 * The probabilities are those of the chain's quasi-stationary distribution (given that the stripe is not lost), summed term by term,
 * so that the smallest are as exact as the largest. After Ramabhadran & Pasquale, Analysis of long-running replicated systems, INFOCOM 2006.
 */
export function durability(o: DurabilityAssumptions): Durability {
  const chain = chainOf(o)
  const { k, m } = o.code
  let state = full(k + m)
  let loss = 0
  let traffic = 0
  for (let check = 0; check < MAX_CHECKS_TO_SETTLE; check++) {
    const step = chain(state)
    const there = 1 - step.loss
    const next = step.next.map((p) => p / there)
    const change = Math.max(...next.map((p, i) => Math.abs(p - state[i]!)))
    state = next
    loss = step.loss
    traffic = step.traffic
    if (change < SETTLED && check > k + m) break
  }
  const lossPerStripeYear = (loss * DAYS_PER_YEAR) / o.checkDays
  return {
    lossPerStripeYear,
    nines: -Math.log10(lossPerStripeYear),
    repairPerMonth: (traffic * DAYS_PER_MONTH) / o.checkDays,
  }
}

/** Probability that a stripe that starts whole is lost within `years`. */
export function lossWithin(years: number, o: DurabilityAssumptions): number {
  const chain = chainOf(o)
  let state = full(o.code.k + o.code.m)
  let lost = 0
  for (let day = o.checkDays; day <= years * DAYS_PER_YEAR; day += o.checkDays) {
    const step = chain(state)
    state = step.next
    lost += step.loss
  }
  return Math.min(1, lost)
}

/** Smallest interval [low, high] that leaves at most 2.5 % of a Poisson distribution on each side. */
export function poissonInterval(mean: number): [number, number] {
  let term = Math.exp(-mean)
  let below = term
  let low: number | undefined
  for (let count = 0; ; count++) {
    if (low === undefined && below > 0.025) low = count
    if (below >= 0.975) return [low!, count]
    term *= mean / (count + 1)
    below += term
  }
}

interface Step {
  /** Probabilities of 0 … n shards after the check, of a stripe that is not lost. */
  next: number[]
  loss: number
  /** Bytes of repair for each byte of data. */
  traffic: number
}

function chainOf({ code, threshold = repairAt(code), monthlyChurn, checkDays }: DurabilityAssumptions) {
  const { k, m } = code
  const n = k + m
  const rate = -Math.log1p(-monthlyChurn) / DAYS_PER_MONTH
  const gone = -Math.expm1(-rate * checkDays)
  const losses = Array.from({ length: n + 1 }, (_, shards) => binomial(shards, gone))
  return (state: readonly number[]): Step => {
    const next = Array<number>(n + 1).fill(0)
    let loss = 0
    let traffic = 0
    for (let shards = k; shards <= n; shards++)
      for (let lost = 0; lost <= shards; lost++) {
        const p = state[shards]! * losses[shards]![lost]!
        const left = shards - lost
        if (left < k) loss += p
        else if (left > threshold) next[left]! += p
        else {
          next[n]! += p
          // k shards are read and the missing ones written, each of 1/k of the data.
          traffic += (p * (k + n - left)) / k
        }
      }
    return { next, loss, traffic }
  }
}

const full = (n: number): number[] => [...Array<number>(n).fill(0), 1]

/** Probabilities of 0 … n events of `n`, each of probability `p`. */
function binomial(n: number, p: number): number[] {
  let ways = 1
  return Array.from({ length: n + 1 }, (_, i) => {
    const value = ways * p ** i * (1 - p) ** (n - i)
    ways = (ways * (n - i)) / (i + 1)
    return value
  })
}
