import type { Command } from 'commander'
import { type ChainOptions, chainCommand, withChain } from '../../chain.ts'
import { type Context, command } from '../../context.ts'
import { EXIT, Exit } from '../../exit.ts'
import { whole } from '../../format.ts'
import { Output } from '../../output.ts'
import { readDeployment } from '../chain/book.ts'
import { stackedChart } from './chart.ts'

interface InfoOptions extends ChainOptions {
  verify?: boolean
  book?: string
}

const YEARS = 12
const DAYS_A_YEAR = 365.25
const QUARTERS = YEARS * 4

export function infoCommand({ signal }: Context): Command {
  return chainCommand(
    command('info', 'See PINGO: its supply, split, vesting and emission, with tables and a chart.', [
      'pingo token info',
      'pingo token info --json',
      'pingo token info --verify --network testnet --book genesis.json',
    ]),
  )
    .option('--verify', 'recompute all of it from the state of the chain')
    .option('--book <file>', 'the address book or configuration of a deployment (default: the one that was made here)')
    .action(async (flags: InfoOptions) => {
      const { networkOf } = await import('@pingo/chain')
      const network = networkOf(flags.network)
      const table = await model()
      if (!flags.verify) {
        new Output(flags).result(table, () => tell(new Output(flags), table))
        return
      }
      await withChain(flags, async (endpoint, output) => {
        const { verifyDeployment } = await import('@pingo/chain')
        const checks = await verifyDeployment(endpoint, await readDeployment(network, flags.book), {
          signal,
        })
        const failed = checks.filter(({ holds }) => !holds)
        output.result({ ...table, checks }, () => {
          tell(output, table)
          output.say()
          for (const { what, holds, found } of checks) {
            output.say(
              `${holds ? output.colour.green('✓') : output.colour.red('✗')} ${what}${holds ? '' : `: ${found}`}`,
            )
          }
          output.say(
            failed.length === 0
              ? `All ${checks.length} checks hold.`
              : `${failed.length} of ${checks.length} checks fail.`,
          )
        })
        if (failed.length > 0) throw new Exit(EXIT.failed)
      })
    })
}

interface Model {
  supply: string
  split: { holder: string; percent: number; pingo: number; purpose: string; release: string }[]
  /** Cumulative PINGO at the end of each quarter, at most: what the curve and the schedules let. */
  quarters: { year: number; emission: number; vested: number; airdrop: number }[]
  /** PINGO that one vault may emit on its first day. */
  firstDayCap: number
}

/** All figures from the same exact arithmetic as the contracts'. */
async function model(): Promise<Model> {
  const { capOf, decayFor, fullCurve, HALF_LIFE_EPOCHS, longVesting, SPLIT, SUPPLY, UNIT, vestedAt } = await import(
    '@pingo/chain'
  )
  const pingo = (units: bigint) => Number(units / UNIT)
  const amount = (holder: string) => SPLIT.find((share) => share.holder === holder)?.amount ?? 0n
  const decay = decayFor(HALF_LIFE_EPOCHS)
  const curve = fullCurve(amount('platform'), decay, Math.ceil(YEARS * DAYS_A_YEAR))
  const schedules = [longVesting(amount('institutional'), 0), longVesting(amount('team'), 0)]
  const quarters = Array.from({ length: QUARTERS }, (_, index) => {
    const year = (index + 1) / 4
    const day = Math.floor(year * DAYS_A_YEAR)
    return {
      year,
      emission: 2 * pingo(curve[day - 1] ?? 0n),
      vested: schedules.reduce((sum, schedule) => sum + pingo(vestedAt(schedule, day * 86_400)), 0),
      airdrop: pingo(amount('airdrop')),
    }
  })
  return {
    supply: String(SUPPLY / UNIT),
    split: SPLIT.map(({ holder, percent, amount: units, purpose, release }) => ({
      holder,
      percent,
      pingo: pingo(units),
      purpose,
      release,
    })),
    quarters,
    firstDayCap: pingo(capOf(amount('platform'), decay)),
  }
}

function tell(output: Output, { supply, split, quarters, firstDayCap }: Model): void {
  output.say(`${whole(Number(supply))} PINGO, minted once; nobody can mint more.`)
  output.say()
  output.table(
    [
      ['holder', '%', 'PINGO', 'for', 'released'],
      ...split.map((share) => [share.holder, String(share.percent), whole(share.pingo), share.purpose, share.release]),
    ],
    [1, 2],
  )
  output.say()
  output.say('Released at most, by year (emission only as far as the fees of jobs call for it):')
  const years = quarters.filter(({ year }) => Number.isInteger(year) && [1, 2, 3, 4, 6, 8, 10, 12].includes(year))
  output.table(
    [
      ['year', 'emission', 'vested', 'airdrop', 'in all'],
      ...years.map(({ year, emission, vested, airdrop }) => [
        String(year),
        whole(emission),
        whole(vested),
        whole(airdrop),
        whole(emission + vested + airdrop),
      ]),
    ],
    [0, 1, 2, 3, 4],
  )
  output.say()
  const layers = [
    { name: 'airdrop', mark: '·', values: quarters.map(({ airdrop }) => airdrop) },
    { name: 'vested', mark: '▒', values: quarters.map(({ vested }) => vested) },
    { name: 'emission', mark: '█', values: quarters.map(({ emission }) => emission) },
  ]
  for (const line of stackedChart(layers, { height: 10, max: 1e9, label: (column) => `${column / 4}y`, every: 8 }))
    output.say(line)
  output.say(`        ${layers.map(({ name, mark }) => `${mark} ${name}`).join('   ')}`)
  output.say(
    `A vault emits ${whole(firstDayCap)} PINGO on its first day at most; what it may emit halves in four years.`,
  )
}
