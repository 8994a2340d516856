import { optimizerScalars } from '@pingo/graph'
import { PinGoError, sizeOf } from '@pingo/wire'
import { Countdown } from './countdown.ts'
import { findOrigin, originSentence } from './diagnose.ts'
import { MAX_BATCHES_AHEAD, MAX_BYTES_AHEAD, MIN_BATCHES_AHEAD, WEIGHTS_AT_ONCE } from './limits.ts'
import { confused, type LeaseListener, type Link } from './link.ts'
import type { FromChild, Rest, Spread } from './protocol.ts'
import { batchArrays, type TrainerProgram, type TrainRequest, type TrainResult } from './trainer.ts'

export interface LeaseOrder {
  trainer: number
  /** The optimiser's step number of the lease's first step, from 1. */
  firstStep: number
  /** The child is killed when a step takes longer, milliseconds. */
  stallMs: number
}

let lastLease = 0

/** The parent's side of one `train`: streams batches ahead of the child, adds up what it reports, watches that it moves. */
export class Lease implements LeaseListener {
  readonly result: Promise<TrainResult>
  /** True when the child gave up on its own: it has then forgotten the optimiser's state. */
  failedInChild = false
  stepsDone = 0
  readonly #id = ++lastLease
  readonly #link: Link
  readonly #program: TrainerProgram
  readonly #request: TrainRequest
  readonly #order: LeaseOrder
  readonly #scalars: ReturnType<typeof optimizerScalars>
  readonly #ahead: number
  readonly #began = performance.now()
  readonly #free: () => void
  readonly #onAbort = (): void =>
    this.#link.kill(new PinGoError('ENGINE_ABORTED', 'Training was aborted.', { cause: this.#request.signal?.reason }))
  /** Samples of the batches that were sent and not reported, oldest first. */
  readonly #pending: number[] = []
  #sums = { samples: 0, loss: 0, metric: 0, last: 0 }
  #failure: { error: unknown } | undefined
  #ended = false
  #stopped = false
  #wake: (() => void) | undefined
  /** What the child said at the end; its weights may come after it. */
  #done: Extract<FromChild, { type: 'done' }> | undefined
  /** What the child hands back, part by part. */
  #weights: { theta: Float32Array; buffers: Float32Array; received: number }
  readonly #stall = new Countdown()
  #rest: Rest = 'none'
  #resolve!: (result: TrainResult) => void
  #reject!: (error: unknown) => void

  constructor(link: Link, program: TrainerProgram, request: TrainRequest, order: LeaseOrder) {
    this.#link = link
    this.#program = program
    this.#request = request
    this.#order = order
    this.#scalars = optimizerScalars(program.optimizer)
    this.#ahead = batchesAhead(program)
    this.#free = link.hold()
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    link.leases.set(this.#id, this)
    this.#stall.hold(link.frozen)
    request.signal?.addEventListener('abort', this.#onAbort, { once: true })
    const { theta, buffers, steps, softMs } = request
    const { trainer } = order
    this.#weights = { theta: new Float32Array(0), buffers: new Float32Array(0), received: 0 }
    for (const [vector, first] of [[theta, 0] as const, [buffers, theta.length] as const])
      for (let at = 0; at < vector.length; at += WEIGHTS_AT_ONCE)
        link.post({ type: 'weights', trainer, at: first + at, part: vector.subarray(at, at + WEIGHTS_AT_ONCE) })
    link.post({ type: 'lease', trainer, lease: this.#id, steps, softMs })
    void this.#feed()
  }

  /** Ends the lease at the next step boundary. */
  stop(): void {
    if (this.#stopped || this.#ended) return
    this.#stopped = true
    this.#wake?.()
    this.#link.post({ type: 'stop', lease: this.#id })
  }

  get parked(): boolean {
    return this.#rest === 'parked'
  }

  hold(isHeld: boolean): void {
    this.#stall.hold(isHeld)
  }

  message(message: Extract<FromChild, { lease: number }>): void {
    if (this.#ended) return
    if (message.type === 'steps') this.#advance(message)
    else if (message.type === 'weights') this.#receive(message)
    else if (message.type === 'rests') {
      this.#rest = message.rest
      this.#watch()
    } else if (message.type === 'failed') {
      this.failedInChild = true
      const { fault, step, overwrote } = message
      const failure = new PinGoError(fault.code, fault.message, { hint: fault.hint, details: { step } })
      if (fault.code !== 'TRAINING_DIVERGED') this.#end(() => this.#reject(failure))
      else this.#end(() => void this.#located(failure, step, overwrote).then((error) => this.#reject(error)))
    } else {
      this.#done = message
      this.#finish()
    }
  }

  /** The failure with where it began, if that can be found. */
  async #located(failure: PinGoError, step: number, overwrote: boolean): Promise<PinGoError> {
    const { inputs, target, step: graph } = this.#program
    const batch = new Set([...inputs, target].map(({ name }) => name))
    const { trainer, stallMs } = this.#order
    const probe = async (part?: Uint8Array) =>
      (await this.#link.call({ type: 'probe', trainer, ...(part ? { graph: part } : {}) }, stallMs)) as Record<
        string,
        Spread
      >
    try {
      const origin = await findOrigin(graph, batch, probe)
      if (!origin) return failure
      const { kind, node, phase, op, tensor } = origin
      const seen = overwrote ? step + 1 : step
      return new PinGoError(failure.code, `${failure.message} ${originSentence(origin, seen)}`, {
        hint: failure.hint,
        details: { step: kind === 'before' ? seen - 1 : step, node, phase, op, tensor },
      })
    } catch {
      // The search is a service beside: what is known stands without it, unless the engine itself is gone.
      return this.#link.death ?? failure
    }
  }

  died(error: PinGoError): void {
    this.#end(() => this.#reject(error))
  }

  async #feed(): Promise<void> {
    try {
      for (let i = 0; i < this.#request.steps; i++) {
        while (this.#pending.length >= this.#ahead && !this.#over)
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        if (this.#over) return
        const batch = await this.#request.batch(i)
        if (this.#over) return
        const arrays = batchArrays(this.#program, batch)
        this.#pending.push(batch.samples)
        if (this.#pending.length === 1) this.#watch()
        const { samples, seed } = batch
        const noise = this.#program.noise && seed !== undefined ? { seed } : {}
        this.#link.post({ type: 'batch', lease: this.#id, arrays, samples, scalars: this.#scalarsOf(i), ...noise })
      }
    } catch (error) {
      this.#failure ??= { error }
      this.stop()
    }
  }

  get #over(): boolean {
    return this.#ended || this.#stopped
  }

  #scalarsOf(i: number): Float32Array {
    const { learningRate, steps } = this.#request
    const rate =
      typeof learningRate === 'function'
        ? learningRate(i)
        : learningRate.from + ((learningRate.to - learningRate.from) * i) / steps
    if (!Number.isFinite(rate))
      throw new PinGoError('TRAIN_REQUEST_INVALID', `Cannot train: the learning rate of step ${i + 1} is ${rate}.`)
    const values = this.#scalars.at(this.#order.firstStep + i, rate)
    return Float32Array.from(this.#scalars.names, (name) => values[name]!)
  }

  #advance({ losses, metrics, millis }: Extract<FromChild, { type: 'steps' }>): void {
    for (const [i, loss] of losses.entries()) {
      const samples = this.#pending.shift()
      if (samples === undefined) {
        this.#link.kill(confused())
        return
      }
      this.stepsDone++
      this.#sums.samples += samples
      this.#sums.loss += loss * samples
      this.#sums.metric += metrics[i]!
      this.#sums.last = loss
      this.#tell(loss, metrics[i]!, millis / losses.length)
      // The listener may have killed the engine.
      if (this.#ended) return
    }
    this.#watch()
    this.#wake?.()
  }

  #tell(loss: number, metricSum: number, msPerStep: number): void {
    try {
      this.#request.onStep?.({ steps: this.stepsDone, samples: this.#sums.samples, loss, metricSum, msPerStep })
    } catch (error) {
      this.#failure ??= { error }
      this.stop()
    }
  }

  #receive({ at, part }: Extract<FromChild, { type: 'weights' }>): void {
    const { theta, buffers } = this.#request
    const weights = this.#weights
    const fits =
      part instanceof Float32Array && at === weights.received && at + part.length <= theta.length + buffers.length
    if (!fits) {
      this.#link.kill(confused())
      return
    }
    if (at === 0)
      Object.assign(weights, { theta: new Float32Array(theta.length), buffers: new Float32Array(buffers.length) })
    const split = Math.min(Math.max(theta.length - at, 0), part.length)
    weights.theta.set(part.subarray(0, split), Math.min(at, theta.length))
    weights.buffers.set(part.subarray(split), Math.max(at - theta.length, 0))
    weights.received += part.length
    this.#finish()
  }

  /** Ends the lease once both are there, the child's last word and all weights. */
  #finish(): void {
    const { theta, buffers, received } = this.#weights
    if (!this.#done || received < this.#request.theta.length + this.#request.buffers.length) return
    const { steps, millis } = this.#done
    if (steps !== this.stepsDone) {
      this.#link.kill(confused())
      return
    }
    const { samples, loss, metric, last } = this.#sums
    const result: TrainResult = {
      steps,
      samples,
      theta,
      buffers,
      lossSum: loss,
      metricSum: metric,
      lastLoss: last,
      millis: performance.now() - this.#began,
      busyMillis: millis,
    }
    this.#end(() => (this.#failure ? this.#reject(this.#failure.error) : this.#resolve(result)))
  }

  /** Restarts the clock of the step that the child should be doing. */
  #watch(): void {
    this.#stall.clear()
    if (this.#pending.length === 0 || this.#rest !== 'none') return
    const { stallMs } = this.#order
    this.#stall.start(stallMs, () =>
      this.#link.kill(
        new PinGoError(
          'ENGINE_TIMEOUT',
          `A training step took longer than ${stallMs} ms; the engine's process was killed.`,
          { hint: 'Raise runTimeoutMs or use a smaller batch.' },
        ),
      ),
    )
  }

  #end(settle: () => void): void {
    if (this.#ended) return
    this.#ended = true
    this.#stall.clear()
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    this.#link.leases.delete(this.#id)
    this.#free()
    this.#wake?.()
    settle()
  }
}

function batchesAhead({ inputs, target, batch }: TrainerProgram): number {
  const bytes = [...inputs, target].reduce((sum, { dtype, shape }) => sum + sizeOf(shape) * BYTES[dtype], 0) * batch
  return Math.min(Math.max(Math.floor(MAX_BYTES_AHEAD / bytes), MIN_BATCHES_AHEAD), MAX_BATCHES_AHEAD)
}

const BYTES = { float32: 4, uint8: 1, int32: 4, int64: 8 } as const
