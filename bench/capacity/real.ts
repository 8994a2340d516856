import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { FogNode } from '@pingo/fog'
import type { ContributorView, Credit, NetworkView } from '@pingo/wire'
import { OwnerProgram } from '../contribute/owner.ts'
import type { Row } from '../run.ts'
import { end } from '../support/local-network.ts'
import { onCore } from '../support/on-core.ts'
import type { Orders } from './cheat.ts'
import { farAway } from './far.ts'

/** Challenges follow each other quickly here: nobody waits half an hour for three of them. */
const PACE = { meanGapMs: 1_000, costShare: 0.4 }
const CHALLENGES = 3
const WAIT_MS = 180_000
const HOUR_MS = 3_600_000
const FAR_MS = 50
const IDENTITIES = 10

type Claim = Pick<Orders, 'slices' | 'flops' | 'helper'>

/** What became of a contributor in its first challenges. */
interface Outcome {
  /** Challenges until it was found; undefined when it was not. */
  foundIn: number | undefined
  flag: Credit['flag']
  /** After the last of the three. */
  credited: number
  /** Of all its slices. */
  claimed: number
}

/** False claims of real processes over real connections, against a real fog node on this machine. */
export async function realClaims(): Promise<Row[]> {
  if (process.platform !== 'linux')
    return [{ name: 'real processes: pinning them to a core needs Linux', measured: '–', bar: '', holds: null }]
  const truth = await cheat({ slices: 1 }, { core: 0 })
  log('the same process with a true claim', truth)
  // what a busy machine shows is not what it showed when it measured itself: then nothing can be judged
  const isQuiet = truth.flag === undefined && truth.credited >= 0.75 * truth.claimed
  const rows: Row[] = [
    {
      name: `real process, a true claim that it never corrects (credited ${part(truth)} of it): found`,
      measured: said(truth),
      bar: 'not',
      holds: isQuiet ? true : null,
    },
  ]
  const judge = (name: string, outcome: Outcome): void => {
    log(name, outcome)
    rows.push({
      name: `real process, ${name} (credited ${part(outcome)} of the claim): found in challenge`,
      measured: said(outcome),
      bar: `≤ ${CHALLENGES}`,
      holds: isQuiet ? outcome.foundIn !== undefined : null,
    })
  }
  judge('2 slices of a core on one core', await cheat({ slices: 2 }, { core: 0 }))
  judge('a machine half as fast as it claims', await cheat({ slices: 1 }, { core: 0, hog: true }))
  const near = await relayed(0)
  log('work done by a helper process at no distance', near)
  rows.push({
    name: 'real process, work done by a helper process at no distance: found to be relayed',
    measured: said(near),
    bar: 'not',
    holds: near.flag !== 'outsourced',
  })
  const far = await relayed(FAR_MS)
  log('work relayed', far)
  rows.push({
    name: `real process, work relayed to a helper ${FAR_MS} ms away by TCP (credited ${part(far)} of the claim): found in challenge`,
    measured: said(far),
    bar: `≤ ${CHALLENGES}`,
    holds: near.flag === 'outsourced' ? null : far.flag === 'outsourced',
  })
  rows.push(...(await manyIdentities(truth.claimed, isQuiet)))
  return rows
}

const part = ({ credited, claimed }: Outcome): string => (credited / claimed).toFixed(2)
const said = ({ foundIn, flag }: Outcome): string => (foundIn === undefined ? 'not found' : `${foundIn} (${flag})`)
const log = (name: string, outcome: Outcome): void => {
  process.stderr.write(
    `${name}: ${said(outcome)}, credited ${part(outcome)} of the claim of ${giga(outcome.claimed)} GFLOP/s\n`,
  )
}

/** @param o.core it may use this one alone @param o.hog another program begins to use the same core after the contributor has measured itself */
async function cheat(claim: Claim, o: { core?: number; hog?: boolean } = {}): Promise<Outcome> {
  return (await trial([claim], o))[0]!
}

/** Contributors that lie, all at once, each in a process of its own: what became of them in their first challenges. */
async function trial(claims: readonly Claim[], o: { core?: number; hog?: boolean } = {}): Promise<Outcome[]> {
  await using fog = await Fog.start()
  const started = claims.map((claim, i) => {
    const name = `cheat-${i}`
    const orders: Orders = { ...claim, fog: fog.address, name }
    return { name, slices: claim.slices, child: start('cheat.ts', [JSON.stringify(orders)], o.core) }
  })
  try {
    const flops = await Promise.all(started.map(({ child }) => firstLine(child)))
    using hog = o.hog
      ? await OwnerProgram.start({ busy: HOUR_MS, every: HOUR_MS, total: HOUR_MS }, 1, o.core)
      : undefined
    hog?.begin()
    for (const { child } of started) child.stdin!.write('\n')
    const over = Promise.race(started.map(({ child }) => endOf(child)))
    over.catch(() => undefined)
    return await Promise.race([
      Promise.all(started.map(({ name, slices }, i) => fog.outcome(name, Number(flops[i]) * slices))),
      over,
    ])
  } finally {
    await Promise.all(started.map(({ child }) => end(child)))
  }
}

async function relayed(rttMs: number): Promise<Outcome> {
  const helper = start('helper.ts', [])
  try {
    await using way = await farAway(Number(await firstLine(helper)), rttMs)
    return await cheat({ slices: 1, helper: way.port })
  } finally {
    await end(helper)
  }
}

/** One machine as ten contributors, each of which claims a core, against one that lends the whole machine: before, and after. */
async function manyIdentities(flops: number, isQuiet: boolean): Promise<Row[]> {
  const one = async (): Promise<number> => {
    const [only] = await trial([{ slices: availableParallelism(), flops }])
    log('one identity', only!)
    return only!.credited
  }
  const before = await one()
  const ten = await trial(Array.from({ length: IDENTITIES }, () => ({ slices: 1, flops })))
  for (const each of ten) log('one of ten identities', each)
  const after = await one()
  const ratio = ten.reduce((sum, { credited }) => sum + credited, 0) / ((before + after) / 2)
  const isSteady = Math.min(before, after) >= 0.8 * Math.max(before, after)
  const found = ten.filter(({ foundIn }) => foundIn !== undefined)
  return [
    {
      name: `real processes, ${IDENTITIES} identities of one machine: credited together ÷ what one identity shows (before and after: ${giga(before)}, ${giga(after)} GFLOP/s)`,
      measured: ratio,
      bar: '≤ 1.1',
      // on a busy machine ten get more of it than one does
      holds: isQuiet && isSteady ? ratio <= 1.1 : null,
    },
    {
      name: `real processes, ${IDENTITIES} identities of one machine that claim a core each: found within ${CHALLENGES} challenges`,
      measured: found.length,
      bar: String(IDENTITIES),
      holds: isQuiet ? found.length === IDENTITIES : null,
    },
  ]
}

const giga = (flops: number): string => (flops / 1e9).toFixed(1)

/** A fog node of this process, for one trial. */
class Fog implements AsyncDisposable {
  readonly folder: string
  readonly #node: FogNode

  private constructor(folder: string, node: FogNode) {
    this.folder = folder
    this.#node = node
  }

  static async start(): Promise<Fog> {
    const folder = await mkdtemp(join(tmpdir(), 'pingo-bench-'))
    return new Fog(folder, await FogNode.start({ home: join(folder, 'fog'), challenges: PACE }))
  }

  get address(): string {
    return this.#node.multiaddrs[0]!
  }

  async until<T>(seen: (contributors: ContributorView[]) => T | undefined): Promise<T> {
    for (const stop = performance.now() + WAIT_MS; performance.now() < stop; await sleep(50)) {
      const { contributors } = (await (await fetch(`${this.#node.url}/v1/network`)).json()) as NetworkView
      const found = seen(contributors)
      if (found !== undefined) return found
    }
    throw new Error(`There were no ${CHALLENGES} challenges within ${WAIT_MS / 1000} s.`)
  }

  async outcome(name: string, claimed: number): Promise<Outcome> {
    let foundIn: number | undefined
    return await this.until((contributors) => {
      const credit = contributors.find((each) => each.name === name)?.credited
      if (!credit) return undefined
      if (credit.flag !== undefined) foundIn ??= credit.challenges
      if (credit.challenges < CHALLENGES) return undefined
      return { foundIn, flag: credit.flag, credited: credit.flops, claimed }
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

function start(file: string, args: string[], core?: number): ChildProcess {
  const [command, ...rest] = onCore(core, [process.execPath, join(import.meta.dirname, file), ...args])
  return spawn(command, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout! }), 'line') as Promise<[string]>,
    endOf(child),
  ])
  return line
}

async function endOf(child: ChildProcess): Promise<never> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  throw new Error('A process of the bench ended early.')
}
