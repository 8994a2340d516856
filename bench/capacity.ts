import { parseArgs } from 'node:util'
import { type SimMachine, simulate } from '../packages/fog/src/capacity/simulation.ts'
import { realClaims } from './capacity/real.ts'
import type { Row } from './run.ts'

export const summary =
  'false claims of capacity, by simulated machines and by real processes: how many challenges until found, what is credited [--only simulated,real] [--seeds 1000]'

const F = 100e9
const SESSIONS = 3
const machine: SimMachine = { identities: 1, slices: 2, cores: 2, flops: F, rttMs: 2, jitterMs: 5 }
const busy: NonNullable<SimMachine['free']> = (random) => (random.chance(0.2) ? 0.2 + 0.6 * random.next() : 1)
const far = { flops: F, cores: 2, rttMs: 50 }

const cheats: [name: string, machine: SimMachine, true_: number][] = [
  ['2× the cores', { ...machine, slices: 4, claim: F }, 2 * F],
  ['one machine as ten identities', { ...machine, identities: 10, slices: 1, cores: 1, claim: F }, F],
  ['a machine half as fast as it claims', { ...machine, flops: F / 2, claim: F }, F],
  [
    'all work done by a helper 50 ms away',
    { ...machine, flops: F / 4, claim: F, helper: { ...far, always: true } },
    2 * F,
  ],
  [
    'what is quicker there done by that helper',
    { ...machine, flops: F / 4, claim: F, helper: { ...far, always: false } },
    2 * F,
  ],
]
const honest: SimMachine[][] = [
  [{ ...machine, free: busy, paused: 0.3 }],
  [{ ...machine, rttMs: 150, jitterMs: 80 }],
  [{ ...machine, slices: 8, cores: 8, shared: 0.55 }],
  [{ ...machine, identities: 4, slices: 1 }],
  [machine, { ...machine, flops: F / 10, free: busy, jitterMs: 60 }],
]

export default async function capacity(args: string[]): Promise<Row[]> {
  const { values } = parseArgs({
    args,
    options: { only: { type: 'string', default: 'simulated,real' }, seeds: { type: 'string', default: '1000' } },
  })
  const parts = values.only.split(',')
  return [
    ...(parts.includes('simulated') ? simulatedClaims(Number(values.seeds)) : []),
    ...(parts.includes('real') ? await realClaims() : []),
  ]
}

function simulatedClaims(seeds: number): Row[] {
  const rows: Row[] = []
  for (const [name, cheat, truth] of cheats) {
    let [found, most] = [0, 0]
    for (let seed = 0; seed < seeds; seed++) {
      const peers = simulate([cheat], SESSIONS, seed)
      if (peers.every(({ credit }) => credit?.flag !== undefined)) found++
      most = Math.max(most, peers.reduce((sum, { credit }) => sum + credit!.flops, 0) / truth)
    }
    rows.push({
      name: `${name}: found within 3 challenges, of ${seeds}`,
      measured: found,
      bar: `${seeds}`,
      holds: found === seeds,
    })
    rows.push({ name: `${name}: credited at most, of what is there`, measured: most, bar: '≤ 1.1', holds: most <= 1.1 })
  }
  let [accused, judged] = [0, 0]
  for (const machines of honest)
    for (let seed = 0; seed < seeds; seed++)
      for (const { history } of simulate(machines, 12, seed)) {
        judged += history.length
        accused += history.filter(({ flag }) => flag !== undefined).length
      }
  rows.push({
    name: `honest machines accused, of ${judged} challenges`,
    measured: accused,
    bar: '0',
    holds: accused === 0,
  })
  return rows
}
