import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Engine } from '@pingo/engine'
import { LIMITS, type Outcome, screened, Target, unscreened } from '../packages/engine/src/testing/contain.ts'
import { type Hostile, hostileGraphs } from '../packages/engine/src/testing/hostile.ts'
import { byteMutant, honest, random, structureMutant } from '../packages/engine/src/testing/mutants.ts'
import { neighbour } from '../packages/engine/src/testing/neighbour.ts'
import { costOfWalls } from './engine/walls.ts'
import type { Row } from './run.ts'

export const summary =
  'hostile graphs and mutants against an engine, with another lease beside it (--mutants 6000, --seed 1)'

/** A limit of time may be late by this much, milliseconds. */
const LATE_MS = 500
const CANARY = 'CANARY-of-the-owner-0123456789abcdef'

interface Tally {
  cases: number
  refused: number
  contained: number
  ran: number
  broken: string[]
  leaks: number
  latest: number
}

export default async function contain(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { mutants: { type: 'string', default: '6000' }, seed: { type: 'string', default: '1' } },
  })
  const folder = mkdtempSync(join(tmpdir(), 'pingo-contain-'))
  const canary = join(folder, 'owner.bin')
  writeFileSync(canary, CANARY.repeat(1000))
  const other = await neighbour()
  const [through, past] = [new Target(screened), new Target(unscreened)]
  const rows: Row[] = []
  let kinds = 0
  let broken = 0
  try {
    const listed = hostileGraphs(canary)
    kinds = listed.length
    for (const [how, target] of [
      ['', through],
      [', past the screen', past],
    ] as const)
      for (const [kind, cases] of Map.groupBy(listed, ({ kind }) => kind)) {
        const tally = await all(target, cases)
        broken += tally.broken.length
        rows.push(rowOf(`${kind}${how}`, tally))
      }
    const next = random(Number(values.seed))
    const bases = honest()
    const half = Math.ceil(Number(values.mutants) / 2)
    for (const [name, make] of [
      ['mutants by bytes', byteMutant],
      ['mutants by structure', structureMutant],
    ] as const) {
      const mutants = function* (): Generator<Pick<Hostile, 'name' | 'graph'>> {
        for (let i = 0; i < half; i++)
          yield { name: `${name} ${i}`, graph: mutant(make, bases[i % bases.length]!, next) }
      }
      const tally = await all(through, mutants())
      broken += tally.broken.length
      rows.push(rowOf(name, tally))
      const few = Array.from({ length: Math.ceil(half / 10) }, (_, i) => ({
        name: `${name} ${i}`,
        graph: mutant(make, bases[i % bases.length]!, next),
      }))
      const unscreenedTally = await all(past, few)
      broken += unscreenedTally.broken.length
      rows.push(rowOf(`${name}, past the screen`, unscreenedTally))
    }
    await using engine = await Engine.start({ isolation: 'native' })
    const { steps, same } = await other.end()
    rows.push(
      { name: 'isolation', measured: engine.isolation.tier, bar: 'printed', holds: null },
      { name: 'kinds of hostile graphs', measured: kinds, bar: '≥ 30', holds: kinds >= 30 },
      { name: 'broken: the parent, a limit, or a secret seen', measured: broken, bar: '0', holds: broken === 0 },
      {
        name: 'bytes sent by children',
        measured: through.sentBytes + past.sentBytes,
        bar: '0',
        holds: through.sentBytes + past.sentBytes === 0,
      },
      { name: 'children started', measured: through.started + past.started, bar: 'printed', holds: null },
      {
        name: 'steps of the lease beside, to the bits of an undisturbed one',
        measured: same ? steps : 'other bits',
        bar: '> 0',
        holds: same && steps > 0,
      },
    )
    rows.push(...(await costOfWalls()))
    return rows
  } finally {
    await Promise.all([through.close(), past.close(), other.close()])
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A mutant that can be written down at all. */
function mutant(make: typeof byteMutant, base: Uint8Array, next: () => number): Uint8Array {
  for (;;)
    try {
      return make(base, next)
    } catch {
      // Changed so that no file can hold it.
    }
}

async function all(target: Target, cases: Iterable<Pick<Hostile, 'name' | 'graph' | 'feeds'>>): Promise<Tally> {
  const tally: Tally = { cases: 0, refused: 0, contained: 0, ran: 0, broken: [], leaks: 0, latest: 0 }
  for (const one of cases) {
    tally.cases++
    try {
      const outcome = await target.put(one)
      tally[outcome.how]++
      const why = faultOf(outcome)
      tally.latest = Math.max(tally.latest, outcome.millis)
      if (why) tally.broken.push(`${one.name}: ${why}`)
    } catch (error) {
      tally.broken.push(`${one.name}: ${error instanceof Error ? error.stack : error}`)
    }
  }
  for (const line of tally.broken) console.error(line)
  return tally
}

function faultOf({ code, millis, said }: Outcome): string | undefined {
  if (said.includes('CANARY') || said.includes('root:')) return `a file of the owner was seen: ${said.slice(0, 100)}`
  const { loadTimeoutMs, runTimeoutMs } = LIMITS
  if (millis > loadTimeoutMs + runTimeoutMs + LATE_MS) return `${Math.round(millis)} ms, over the limits (${code})`
  return undefined
}

const rowOf = (name: string, { cases, refused, contained, ran, broken, latest }: Tally): Row => ({
  name,
  measured: `${cases}: ${refused} refused, ${contained} ended, ${ran} run; longest ${Math.round(latest)} ms`,
  bar: 'none broken',
  holds: broken.length === 0,
})
