import { challengeGraph, challengeLink, challengeStart, type RunLink, runIn } from '@pingo/engine/challenge'
import { CHALLENGE_ANSWER_BYTES, type ContributorMessage, type FogMessage, type MachineView } from '@pingo/wire'
import type { Loan } from './loan.ts'

type Challenge = Extract<FogMessage, { type: 'challenge' }>
type Credited = Extract<FogMessage, { type: 'credited' }>
type Answer = Extract<ContributorMessage, { type: 'answer' }>

/** A fog node that falls silent in the middle keeps no lease waiting for longer; engines stay ready while it waits for others. */
const SILENCE_MS = 5_000
const READY_MS = 30_000
/** Challenges may take this much of the time in the long run, whatever a fog node asks, and so much at once, ms. */
const BUDGET_SHARE = 0.02
const BUDGET_MS = 20_000

export interface ChallengedSlice {
  cores: number
  isPaused: boolean
  /** Its engine, started when there is none. */
  lend(): Promise<Loan>
}

export interface ChallengedPorts {
  peerId: string
  slice(index: number): ChallengedSlice | undefined
  /** Cores that are lent in all. */
  cores(): number
  send(answer: Answer): void
  logger?: { debug(fields: object, message: string): void }
  /** Monotonic, ms. */
  clock: () => number
}

interface Prepared {
  loan: Loan
  cores: number
  graphs: Map<number, RunLink>
}

/** The contributor's side of a challenge, on a machine and in a browser: runs its work in the slices' own engines, and claims what it has shown, no more. */
export class Challenged {
  readonly #ports: ChallengedPorts
  #prepared = new Map<number, Promise<Prepared>>()
  #silence: ReturnType<typeof setTimeout> | undefined
  #shown: number[] = []
  #credit: Credited['credit'] | undefined
  #budget = { left: BUDGET_MS, at: 0 }

  constructor(ports: ChallengedPorts) {
    this.#ports = ports
    this.#budget.at = ports.clock()
  }

  /** For the owner; undefined before the first challenge. */
  view(): MachineView['capacity'] {
    if (!this.#credit) return undefined
    const { cores, flops, challenges, sentence } = this.#credit
    return { claimedCores: this.#ports.cores(), creditedCores: cores, creditedFlops: flops, challenges, sentence }
  }

  receive(challenge: Challenge): void {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => this.end(), challenge.step === 'prepare' ? READY_MS : SILENCE_MS)
    // in a browser it is a number
    if (typeof this.#silence === 'object') this.#silence.unref()
    if (challenge.step === 'echo') {
      this.#answer(challenge, challenge.slices[0]!, { state: 'done' })
      for (const each of this.#prepared.values()) void each.then(({ loan }) => loan.hold()).catch(() => undefined)
      return
    }
    for (const slice of new Set(challenge.slices))
      void (challenge.step === 'prepare' ? this.#prepare(challenge, slice) : this.#work(challenge, slice)).then(
        (answer) => this.#answer(challenge, slice, answer),
        (error: unknown) => {
          this.#ports.logger?.debug({ slice, error }, 'a challenge failed')
          this.#answer(challenge, slice, { state: 'failed' })
        },
      )
  }

  credited({ shown, credit }: Credited): void {
    this.#credit = credit
    if (shown > 0) this.#shown = [...this.#shown, shown].slice(-2)
    this.end()
  }

  /** What is lent has changed: what was shown before says nothing of it. */
  changed(): void {
    this.#shown = []
  }

  /** Gives the engines back. */
  end(): void {
    clearTimeout(this.#silence)
    const all = [...this.#prepared.values()]
    this.#prepared.clear()
    for (const each of all) void each.then(({ loan }) => loan.giveBack()).catch(() => undefined)
  }

  async #prepare(challenge: Challenge, index: number): Promise<Pick<Answer, 'state' | 'flops'>> {
    const slice = this.#ports.slice(index)
    if (!slice) return { state: 'failed' }
    if (slice.isPaused || this.#budgetLeft() <= 0) return { state: 'paused' }
    const before = this.#prepared.get(index)
    const preparing = this.#open(slice, challenge.products)
    this.#prepared.set(index, preparing)
    void before?.then(({ loan }) => loan.giveBack()).catch(() => undefined)
    await preparing
    return this.#shown.length > 0 ? { state: 'ready', flops: Math.max(...this.#shown) } : { state: 'ready' }
  }

  async #open(slice: ChallengedSlice, products: readonly number[]): Promise<Prepared> {
    const loan = await slice.lend()
    try {
      const sessions = await Promise.all(
        [...new Set(products)].map(async (n) => [n, await openLink(loan.engine, n)] as const),
      )
      const giveBack = (): void => {
        loan.giveBack()
        for (const [, { close }] of sessions) void close().catch(() => undefined)
      }
      const graphs = new Map(sessions.map(([n, { run }]) => [n, run]))
      return { loan: { ...loan, giveBack }, cores: slice.cores, graphs }
    } catch (error) {
      loan.giveBack()
      throw error
    }
  }

  async #work(challenge: Challenge, index: number): Promise<Pick<Answer, 'state' | 'answers'>> {
    const { clock } = this.#ports
    const prepared = await this.#prepared.get(index)
    const run = prepared?.graphs.get(challenge.products[0]!)
    if (!run || this.#ports.slice(index)?.isPaused) return { state: prepared ? 'paused' : 'failed' }
    const began = clock()
    const answers: Uint8Array[] = []
    let before = await challengeStart(challenge.seed, this.#ports.peerId, index)
    do {
      const start = clock()
      before = await challengeLink(before, run)
      answers.push(before)
      // a slice of a part of a core works so much of the time; what it shows is its part
      const rest = (clock() - start) * (1 / prepared!.cores - 1)
      if (prepared!.cores < 1 && answers.length < challenge.links && clock() + rest - began < challenge.ms)
        await new Promise((resolve) => setTimeout(resolve, rest))
    } while (answers.length < challenge.links && clock() - began < challenge.ms && this.#prepared.has(index))
    this.#budget.left -= clock() - began
    return { state: 'done', answers: joined(answers) }
  }

  #budgetLeft(): number {
    const now = this.#ports.clock()
    // counted for all slices together: as many as there are may work at once
    const earned = (now - this.#budget.at) * BUDGET_SHARE * Math.max(1, this.#ports.cores())
    this.#budget = { left: Math.min(BUDGET_MS * Math.max(1, this.#ports.cores()), this.#budget.left + earned), at: now }
    return this.#budget.left
  }

  #answer({ id }: Challenge, slice: number, answer: Omit<Answer, 'type' | 'challenge' | 'slice'>): void {
    this.#ports.send({ type: 'answer', challenge: id, slice, ...answer })
  }
}

/** Opens the graph of a link and runs it once: the first run takes longer. */
async function openLink(
  engine: Loan['engine'],
  products: number,
): Promise<{ run: RunLink; close: () => Promise<void> }> {
  const session = await engine.open(challengeGraph(products))
  const run = runIn(session)
  await challengeLink(new Uint8Array(32), run)
  return { run, close: () => session.close() }
}

function joined(answers: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(answers.length * CHALLENGE_ANSWER_BYTES)
  for (const [i, answer] of answers.entries()) all.set(answer, i * CHALLENGE_ANSWER_BYTES)
  return all
}
