import type { StepResult, TrainingLoop } from './loop.ts'
import type { Pacer } from './pace.ts'
import type { BatchMessage, Fault, FromChild, LeaseMessage, Rest } from './protocol.ts'

/** Steps are reported together until they took this long or are this many, so that tiny steps do not pay for a message each. */
const REPORT_EVERY_MS = 5
const REPORT_EVERY_STEPS = 8
/** Of rests shorter than this, milliseconds, the parent is not told. */
const TELL_REST_MS = 1_000

/** How the child speaks to its parent. */
export interface Voice {
  send(message: Exclude<FromChild, { type: 'weights' }>): void
  /** Hands back all of a loop's weights; done when they are read. */
  handBack(lease: number, loop: TrainingLoop): void
}

interface Arrival {
  batch: BatchMessage
  done: () => void
}

/** One lease in the child: takes batches as they come, steps at its pace, reports, and hands back parameters at the end. */
export class LeaseRunner {
  readonly #loop: TrainingLoop
  readonly #lease: LeaseMessage
  readonly #voice: Voice
  readonly #pacer: Pacer
  readonly #batches: Arrival[] = []
  #stopped = false
  #wake: (() => void) | undefined
  #losses: number[] = []
  #metrics: number[] = []
  #millis = 0
  #rest: Rest = 'none'

  constructor(loop: TrainingLoop, lease: LeaseMessage, voice: Voice, pacer: Pacer) {
    this.#loop = loop
    this.#lease = lease
    this.#voice = voice
    this.#pacer = pacer
  }

  /** @param done called when nobody reads the batch any more: after its step, or once it is sure that there will be none */
  push(batch: BatchMessage, done: () => void): void {
    this.#batches.push({ batch, done })
    this.#wake?.()
  }

  stop(): void {
    this.#stopped = true
    this.#wake?.()
  }

  /** The pace was changed; it holds at once, also in a rest. */
  repace(): void {
    this.#wake?.()
  }

  async run(): Promise<void> {
    const { steps, softMs, lease } = this.#lease
    let timer: ReturnType<typeof setTimeout> | undefined
    let done = 0
    let busy = 0
    try {
      const began = performance.now()
      if (softMs !== undefined) timer = setTimeout(() => this.stop(), softMs)
      while (done < steps && !this.#stopped) {
        const arrival = await this.#next()
        if (!arrival) break
        const { loss, metric, millis } = await this.#step(arrival)
        done++
        busy += millis
        this.#pacer.count(millis)
        if (!Number.isFinite(loss)) throw diverged(`the loss of step ${done} is ${loss}`)
        this.#report(loss, metric, millis)
        if (softMs !== undefined && performance.now() - began >= softMs) break
      }
      this.#flush()
      if (!this.#loop.finite()) throw diverged(`a parameter is not a finite number after step ${done}`)
      this.#voice.handBack(lease, this.#loop)
      this.#voice.send({ type: 'done', lease, steps: done, millis: busy })
    } catch (error) {
      this.#flush()
      this.#loop.reset()
      const fault = faultOf(error, done)
      this.#voice.send({ type: 'failed', lease, step: done, overwrote: this.#loop.overwrote, fault })
    } finally {
      clearTimeout(timer)
      for (const { done } of this.#batches.splice(0)) done()
    }
  }

  async #step({ batch: { arrays, samples, scalars, seed }, done }: Arrival): Promise<StepResult & { millis: number }> {
    const start = performance.now()
    try {
      const result = await this.#loop.step(arrays, samples, scalars, seed)
      // Whoever looks for where it began wants the batch, and its place is another's soon.
      if (!Number.isFinite(result.loss)) this.#loop.keepBatch()
      return { ...result, millis: performance.now() - start }
    } finally {
      done()
    }
  }

  /** The batch of the next step, once there is one and its turn has come; a stop ends the wait at once. */
  async #next(): Promise<Arrival | undefined> {
    while (!this.#stopped) {
      const rest = this.#pacer.wait()
      if (rest === 0 && this.#batches.length > 0) break
      this.#flush()
      this.#tell(rest)
      await this.#woken(rest === 0 ? Number.POSITIVE_INFINITY : rest)
    }
    this.#tell(0)
    // The parent sends the next batch when it hears of a step: before the last one that is here, not after it.
    if (this.#batches.length === 1) this.#flush()
    return this.#stopped ? undefined : this.#batches.shift()
  }

  /** Resolves after so many milliseconds, or when something happened. */
  #woken(millis: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(millis) ? setTimeout(resolve, millis) : undefined
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #tell(millis: number): void {
    const isLong = millis >= TELL_REST_MS || (millis > 0 && this.#rest !== 'none')
    const rest = millis === Number.POSITIVE_INFINITY ? 'parked' : isLong ? 'paced' : 'none'
    if (rest === this.#rest) return
    this.#rest = rest
    this.#voice.send({ type: 'rests', lease: this.#lease.lease, rest })
  }

  #report(loss: number, metric: number, millis: number): void {
    this.#losses.push(loss)
    this.#metrics.push(metric)
    this.#millis += millis
    if (this.#millis >= REPORT_EVERY_MS || this.#losses.length >= REPORT_EVERY_STEPS) this.#flush()
  }

  #flush(): void {
    if (this.#losses.length === 0) return
    const { lease } = this.#lease
    this.#voice.send({ type: 'steps', lease, losses: this.#losses, metrics: this.#metrics, millis: this.#millis })
    this.#losses = []
    this.#metrics = []
    this.#millis = 0
  }
}

const DIVERGED_HINT = "Lower the learning rate, or set the optimiser's clip."

class Diverged extends Error {}

const diverged = (what: string): Diverged => new Diverged(`Training diverged: ${what}.`)

function faultOf(error: unknown, done: number): Fault {
  if (error instanceof Diverged) return { code: 'TRAINING_DIVERGED', message: error.message, hint: DIVERGED_HINT }
  const message = error instanceof Error ? error.message : String(error)
  return { code: 'ENGINE_RUN_FAILED', message: `Step ${done + 1} failed: ${message}` }
}
