import { Forecast } from '../packages/contributor/src/forecast/forecast.ts'
import { type Score, scoreOf } from '../packages/contributor/src/forecast/score.ts'
import {
  eveningGamer,
  noHabits,
  type Owner,
  officeWorker,
  seededRandom,
  server,
  shiftWorker,
} from '../packages/contributor/src/testing/owners.ts'
import type { Row } from './run.ts'

export const summary =
  'forecasts of whether a machine stays available, over weeks of seeded owners, against the base rate (--weeks N, --seeds N)'

const MINUTE_MS = 60_000
/** A Monday, 00:00 UTC. */
const MONDAY = Date.UTC(2026, 0, 5)
const WEEK_MINUTES = 10_080
/** What an owner without habits may cost: the price of looking for them. */
const WORSE_AT_MOST = 0.005
const CALIBRATION_AT_MOST = 0.05

const OWNERS: [name: string, owner: Owner, hasHabits: boolean][] = [
  ['office worker', officeWorker, true],
  ['evening gamer', eveningGamer, true],
  ['server', server, true],
  ['shift worker', shiftWorker, true],
  ['no habits', noHabits, false],
]

/**
 * Each forecast is made from the minutes before it alone, as a contributor makes them, from the first minute on, and scored when its time has come; the base rate
 * too knows only the past.
 */
export default async function forecastBench(args: string[]): Promise<Row[]> {
  const option = (name: string, otherwise: number) => Number(args[args.indexOf(name) + 1 || args.length] ?? otherwise)
  const weeks = option('--weeks', 8)
  const seeds = option('--seeds', 5)
  return OWNERS.flatMap(([name, owner, hasHabits]) => {
    const scores = Array.from({ length: seeds }, (_, seed) => run(owner, weeks, seed + 1))
    return rows(name, scores, hasHabits)
  })
}

function run(owner: Owner, weeks: number, seed: number): Score {
  const trace = owner(weeks * WEEK_MINUTES, seededRandom(seed))
  const forecast = new Forecast(undefined, (at) => Math.floor((at - MONDAY) / 3_600_000) % 168)
  for (const [minute, available] of trace.entries()) forecast.observe(MONDAY + minute * MINUTE_MS, available === 1)
  return scoreOf(forecast.state.score)!
}

function rows(name: string, scores: Score[], hasHabits: boolean): Row[] {
  const mean = (of: (score: Score) => number) => scores.reduce((sum, score) => sum + of(score), 0) / scores.length
  const brier = mean((score) => score.brier)
  const base = mean((score) => score.brierOfBaseRate)
  const worst = Math.max(...scores.map((score) => score.brier - score.brierOfBaseRate))
  const calibration = mean((score) => score.calibrationError)
  return [
    {
      name: `${name}: Brier score of 15-minute forecasts (base rate ${base.toFixed(4)})`,
      measured: brier,
      bar: hasHabits ? `< ${base.toFixed(4)}` : `≤ ${(base + WORSE_AT_MOST).toFixed(4)}`,
      holds: hasHabits ? brier < base : brier <= base + WORSE_AT_MOST,
    },
    {
      name: `${name}: the worst seed, less the base rate's`,
      measured: worst,
      bar: hasHabits ? '< 0' : `≤ ${WORSE_AT_MOST}`,
      holds: hasHabits ? worst < 0 : worst <= WORSE_AT_MOST,
    },
    {
      name: `${name}: distance between what was said and what came`,
      measured: calibration,
      bar: `≤ ${CALIBRATION_AT_MOST}`,
      holds: calibration <= CALIBRATION_AT_MOST,
    },
  ]
}
