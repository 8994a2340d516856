import { allFinite, type TrainingLoop } from './loop.ts'
import type { BatchMessage, Fault, FromChild, LeaseMessage } from './protocol.ts'

/** Steps are reported together until they took this long or are this many, so that tiny steps do not pay for a message each. */
const REPORT_EVERY_MS = 5
const REPORT_EVERY_STEPS = 8

/** After so many bytes of garbage that is young, most of it batches that are done and the runtime's copies of results, it is collected. */
const COLLECT_EVERY_BYTES = 6 << 20

const EMPTY = new Float32Array(0)

/** V8's own collector (`--expose-gc`), which does not hurry for memory outside its heap as batches and parameters are. */
const collect = (globalThis as { gc?(options: { type: 'minor' | 'major' }): void }).gc

/** One lease in the child: takes batches as they come, steps, reports, and hands back parameters at the end. */
export class LeaseRunner {
  readonly #loop: TrainingLoop
  #lease: LeaseMessage
  readonly #send: (message: FromChild) => void
  readonly #batches: BatchMessage[] = []
  #stopped = false
  #wake: (() => void) | undefined
  #losses: number[] = []
  #metrics: number[] = []
  #millis = 0
  #received = 0

  constructor(loop: TrainingLoop, lease: LeaseMessage, send: (message: FromChild) => void) {
    this.#loop = loop
    this.#lease = lease
    this.#send = send
  }

  push(batch: BatchMessage): void {
    this.#batches.push(batch)
    this.#wake?.()
  }

  stop(): void {
    this.#stopped = true
    this.#wake?.()
  }

  async run(): Promise<void> {
    const { steps, softMs, lease } = this.#lease
    const began = performance.now()
    const timer = softMs === undefined ? undefined : setTimeout(() => this.stop(), softMs)
    let done = 0
    let busy = 0
    try {
      this.#loop.load(this.#lease.theta, this.#lease.buffers)
      this.#lease = { ...this.#lease, theta: EMPTY, buffers: EMPTY }
      collect?.({ type: 'major' })
      while (done < steps && !this.#stopped) {
        const batch = await this.#next()
        if (!batch) break
        const start = performance.now()
        const { loss, metric } = await this.#loop.step(batch.arrays, batch.samples, batch.scalars, batch.seed)
        const millis = performance.now() - start
        done++
        busy += millis
        if (!Number.isFinite(loss)) throw diverged(`the loss of step ${done} is ${loss}`)
        this.#report(loss, metric, millis)
        this.#received += batch.arrays.reduce((sum, { byteLength }) => sum + byteLength, this.#loop.copiedBytes)
        if (this.#received > COLLECT_EVERY_BYTES) {
          this.#received = 0
          collect?.({ type: 'minor' })
        }
        if (softMs !== undefined && performance.now() - began >= softMs) break
      }
      this.#flush()
      const result = this.#loop.save()
      if (!allFinite(result.theta) || !allFinite(result.buffers))
        throw diverged(`a parameter is not a finite number after step ${done}`)
      this.#send({ type: 'done', lease, steps: done, ...result, millis: busy })
    } catch (error) {
      this.#flush()
      this.#loop.reset()
      this.#send({ type: 'failed', lease, step: done, overwrote: this.#loop.overwrote, fault: faultOf(error, done) })
    } finally {
      clearTimeout(timer)
    }
  }

  async #next(): Promise<BatchMessage | undefined> {
    while (this.#batches.length === 0 && !this.#stopped) {
      this.#flush()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#stopped ? undefined : this.#batches.shift()
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
    this.#send({ type: 'steps', lease, losses: this.#losses, metrics: this.#metrics, millis: this.#millis })
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
