import { DEFAULT_CODE, durability, lossWithin, poissonInterval } from '@pingo/storage'
import { type StripesOptions, simulateStripes } from '../packages/storage/src/durability/simulator/stripes.ts'
import type { Row } from './run.ts'

export const summary =
  'loss and repair of 10,000 stripes over 10 simulated years of churn against the durability model (--stripes N, --seed N)'

/** Holds what the simulator lost against the model's 95 % interval (Poisson), and prints what repair moved. */
export default async function storageDurability(args: string[]): Promise<Row[]> {
  const option = (name: string, otherwise: number) => Number(args[args.indexOf(name) + 1 || args.length] ?? otherwise)
  const base = {
    code: DEFAULT_CODE,
    stripes: option('--stripes', 10_000),
    seed: option('--seed', 1),
    years: 10,
    nodes: 2_000,
  }
  return [
    // Daily checks lose so little that 0 is what the interval holds; weekly ones lose enough to tell a wrong model.
    ...against({ ...base, monthlyChurn: 0.2, checkDays: 1 }),
    ...against({ ...base, monthlyChurn: 0.2, checkDays: 7 }),
    ...atFivePercent({ ...base, monthlyChurn: 0.05, checkDays: 1 }),
    ...outages({ ...base, monthlyChurn: 0.05, checkDays: 1, nodes: 400, domains: 8, domainFailuresPerYear: 0.5 }),
  ]
}

function against(o: StripesOptions): Row[] {
  const { lost, repairPerMonth } = simulateStripes(o)
  const expected = o.stripes * lossWithin(o.years, o)
  const [low, high] = poissonInterval(expected)
  const name = nameOf(o)
  return [
    {
      name: `${name}: stripes lost (the model expects ${Number(expected.toPrecision(3))})`,
      measured: lost,
      bar: `${low} … ${high}`,
      holds: lost >= low && lost <= high,
    },
    traffic(o, repairPerMonth),
  ]
}

function atFivePercent(o: StripesOptions): Row[] {
  const { lost, repairPerMonth } = simulateStripes(o)
  return [
    { name: `${nameOf(o)}: stripes lost`, measured: lost, bar: '0', holds: lost === 0 },
    traffic(o, repairPerMonth),
  ]
}

function traffic(o: StripesOptions, measured: number): Row {
  const model = durability(o).repairPerMonth
  const name = `${nameOf(o)}: repair traffic a month, × the data (the model: ${model.toFixed(2)})`
  return { name, measured, bar: 'printed', holds: true }
}

function outages(o: StripesOptions): Row[] {
  const name = '5 % and one of 8 domains lost every second year: stripes lost'
  return [
    { name: `${name}, shards kept apart`, measured: simulateStripes(o).lost, bar: 'printed', holds: true },
    {
      name: `${name}, placed anyhow`,
      measured: simulateStripes({ ...o, spread: false }).lost,
      bar: 'printed',
      holds: true,
    },
  ]
}

const nameOf = ({ monthlyChurn, checkDays }: StripesOptions) =>
  `${Math.round(100 * monthlyChurn)} % a month, checked ${checkDays === 1 ? 'daily' : `every ${checkDays} days`}`
