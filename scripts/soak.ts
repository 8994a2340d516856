import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import {
  fullSize,
  type Hunt,
  hunt,
  inParallel,
  MUTANTS,
  runInChild,
  type SimulationResult,
  simulate,
  smallSize,
} from '../packages/fog/src/simulator/index.ts'

const HELP = `Runs the scheduler through simulated networks of 200 contributors, and checks that planted bugs are found.

npm run soak                              1,000 seeds and all planted bugs
npm run soak -- --seeds 50 --from 2000    other seeds
npm run soak -- --replay 17               one seed, with what happened last
  --size full|small   200 contributors, or a small and nastier world
  --no-mutants        seeds only
  --json              one JSON line at the end`

const MIN_ROUNDS = 20
/** Small seeds that a planted bug has to be found in. */
const HUNT_SEEDS = 300

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    size: { type: 'string', default: 'full' },
    replay: { type: 'string' },
    'no-mutants': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const size = values.size === 'small' ? 'small' : 'full'
const width = Math.max(1, availableParallelism())
const say = (text: string): void => {
  if (!values.json) console.log(text)
}

if (values.help) console.log(HELP)
else if (values.replay !== undefined) replay(Number(values.replay))
else await soak(Number(values.seeds), Number(values.from))

function replay(seed: number): void {
  const { log, ...result } = simulate({ ...(size === 'full' ? fullSize(seed) : smallSize(seed)), log: true })
  for (const line of log) say(line)
  console.log(values.json ? JSON.stringify(result) : result)
  if (result.violation !== undefined) process.exitCode = 1
}

async function soak(count: number, from: number): Promise<void> {
  const started = performance.now()
  const results: SimulationResult[] = []
  const progress = (result: SimulationResult): void => {
    results.push(result)
    if (result.violation !== undefined) say(`seed ${result.seed}: ${result.violation}\n  ${replayCommand(result.seed)}`)
    if (results.length % 100 === 0) say(`${results.length} of ${count} seeds, ${seconds(started)} s`)
  }
  const hung: { seed: number; what: string }[] = []
  await inParallel([...Array(Math.min(width, count)).keys()], width, async (index) => {
    const mine = Math.ceil((count - index) / width)
    const { violation } = await runInChild({ size, from: from + index, count: mine, stride: width, onResult: progress })
    if (violation !== undefined && !results.some(({ seed }) => seed === violation.seed)) hung.push(violation)
  })
  const bad = [
    ...hung,
    ...results.flatMap(({ seed, violation, rounds }) =>
      violation !== undefined
        ? [{ seed, what: violation }]
        : size === 'full' && rounds < MIN_ROUNDS
          ? [{ seed, what: `only ${rounds} rounds` }]
          : [],
    ),
  ].sort((a, b) => a.seed - b.seed)
  const summary = summarise(results)
  if (results.length > 0) table(summary)
  const hunts = values['no-mutants'] ? [] : await inParallel(MUTANTS, width, (mutant) => hunt(mutant, HUNT_SEEDS))
  if (hunts.length > 0) say('\nplanted bugs')
  for (const found of hunts) say(`  ${describe(found)}`)

  const missed = hunts.filter((found) => !found.found)
  const first = bad[0]
  const ok = bad.length === 0 && missed.length === 0
  const planted = {
    planted: hunts.length,
    found: hunts.length - missed.length,
    missed: missed.map(({ mutant }) => mutant),
  }
  if (values.json)
    console.log(JSON.stringify({ ok, ...summary, bad: bad.length, first, mutants: planted, seconds: seconds(started) }))
  if (first !== undefined)
    say(`\nseed ${first.seed} is the first of ${bad.length} that fail: ${first.what}\n  ${replayCommand(first.seed)}`)
  say(
    `\n${ok ? 'All held' : 'FAILED'}: ${results.length} seeds, ${planted.found} of ${planted.planted} planted bugs found, ${seconds(started)} s.`,
  )
  if (!ok) process.exitCode = 1
}

function summarise(results: readonly SimulationResult[]): Record<string, number> {
  const sum = (of: (result: SimulationResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  const rounds = results.map((result) => result.rounds)
  const contributors = size === 'full' ? fullSize(0).contributors : 0
  const ticks = sum(({ activeMs }) => activeMs / fullSize(0).roundMs)
  return {
    seeds: results.length,
    rounds: sum((result) => result.rounds),
    fewestRounds: Math.min(...rounds),
    samples: sum((result) => result.samples),
    events: sum((result) => result.events),
    virtualHours: Math.round(sum((result) => result.virtualMs) / 36_000) / 100,
    fogNodeKilled: sum((result) => result.crashes),
    contributorsStruck: sum((result) => result.churned),
    ...(contributors > 0
      ? { struckPerRoundPercent: Math.round((1000 * sum((r) => r.churned)) / (ticks * contributors)) / 10 }
      : {}),
    longestRoundSeconds: Math.max(...results.map((result) => result.maxRoundMs)) / 1000,
    worstDistancePart: Math.max(...results.map((result) => result.distance)),
  }
}

function table(summary: Record<string, number>): void {
  say('')
  for (const [name, value] of Object.entries(summary)) say(`  ${name.padEnd(24)} ${value.toLocaleString('en')}`)
}

function describe({ mutant, found, seed, what, seeds }: Hunt): string {
  return `${mutant.padEnd(42)} ${found ? `found by seed ${seed}: ${what?.slice(0, 90)}` : `NOT FOUND in ${seeds} seeds`}`
}

function replayCommand(seed: number): string {
  return `npm run soak -- --replay ${seed}${size === 'full' ? '' : ` --size ${size}`}`
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 100) / 10
}
