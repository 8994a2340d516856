import { Engine } from '@pingo/engine'
import { challengeGraph, challengeLink, challengeStart, type RunLink, runIn } from '@pingo/engine/challenge'
import { CHALLENGE_ANSWER_BYTES } from '@pingo/wire'

/** Links that wait to be computed anew; more are dropped: what is looked at is chosen by chance anyhow. */
const MAX_WAITING = 256
const IDLE_MS = 20_000

/** One link that a contributor answered: computed anew, it must give the same. */
export interface Check {
  peer: string
  slice: number
  seed: Uint8Array
  products: number
  /** Answers that came, and the link to look at. */
  answers: Uint8Array
  link: number
}

/** Computes links anew, one at a time, in a child of its own that ends when there is nothing to do. */
export class Verifier {
  readonly #waiting: { check: Check; done: (valid: boolean) => void }[] = []
  #engine: Engine | undefined
  #graphs = new Map<number, RunLink>()
  #working: Promise<void> | undefined
  #closed = false
  #idle: NodeJS.Timeout | undefined

  /** `done` is not called when the engine fails or too much waits: that is nobody's fault. */
  check(check: Check, done: (valid: boolean) => void): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) return
    this.#waiting.push({ check, done })
    this.#working ??= this.#work().finally(() => (this.#working = undefined))
  }

  /** Settles when nothing waits. */
  async idle(): Promise<void> {
    await this.#working
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#waiting.length = 0
    await this.#end()
  }

  async #work(): Promise<void> {
    clearTimeout(this.#idle)
    try {
      for (let next = this.#waiting.shift(); next && !this.#closed; next = this.#waiting.shift())
        next.done(await isRight(next.check, await this.#graph(next.check.products)))
    } catch {
      this.#waiting.length = 0
      await this.#end()
    }
    if (this.#closed) await this.#end()
    else this.#idle = setTimeout(() => void this.#end(), IDLE_MS).unref()
  }

  async #graph(products: number): Promise<RunLink> {
    if (!this.#engine?.alive) {
      this.#graphs.clear()
      this.#engine = await Engine.start({ niceness: 10 })
    }
    const run = this.#graphs.get(products) ?? runIn(await this.#engine.open(challengeGraph(products)))
    this.#graphs.set(products, run)
    return run
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle)
    const engine = this.#engine
    this.#engine = undefined
    await engine?.close()
  }
}

async function isRight({ peer, slice, seed, answers, link }: Check, run: RunLink): Promise<boolean> {
  const at = (i: number): Uint8Array => answers.subarray(i * CHALLENGE_ANSWER_BYTES, (i + 1) * CHALLENGE_ANSWER_BYTES)
  const before = link === 0 ? await challengeStart(seed, peer, slice) : at(link - 1)
  return Buffer.compare(await challengeLink(before, run), at(link)) === 0
}
