import { optimizerScalars, writeModel } from '@pingo/graph'
import {
  arrayOf,
  type BatchInput,
  type Optimizer,
  PinGoError,
  sizeOf,
  type TensorSpec,
  type TypedArray,
} from '@pingo/wire'
import { checkStepGraph } from './contract.ts'
import { inOrder } from './execution-order.ts'
import { Kernels } from './kernel/kernels.ts'
import { cutTail } from './kernel/tail.ts'
import { Lease } from './lease.ts'
import type { Link } from './link.ts'
import type { LoopProgram, OpenReply } from './protocol.ts'
import type { Admitted } from './screen.ts'

/**
 * What a trainer needs of a program; the contract of `step`'s inputs and outputs is the docstring of `ProgramManifestSchema` in
 * `@pingo/wire`. Parameters, buffers and state are float32; `inputs` and `target` have shapes without the batch axis.
 */
export interface TrainerProgram {
  step: Uint8Array
  parameters: TensorSpec[]
  buffers: TensorSpec[]
  state: TensorSpec[]
  inputs: BatchInput[]
  target: BatchInput
  batch: number
  optimizer: Optimizer
  /** Random numbers that a step takes, where it takes any. */
  noise?: { elements: number } | undefined
}

/** One batch. */
export interface TrainBatch {
  /**
   * By input name (and the target's), [samples, ...shape] row-major in the stored element type. They are sent from where they are, not copied
   * first: do not change them before their step is told of.
   */
  tensors: Record<string, TypedArray>
  /** Real samples, 1 … batch. A short batch is padded in the child with samples of weight 0. */
  samples: number
  /**
   * 64 bits that the step's noise follows from, for a program that has any: `batchSeed(job's seed, batch's number in the job's stream)` of
   * @pingo/graph, so that whoever repeats the batch gets the same bits.
   */
  seed?: bigint
}

export interface StepProgress {
  /** Steps and samples done so far in this lease. */
  steps: number
  samples: number
  /** Mean loss over the samples of this step; sum over them of the program's metric. */
  loss: number
  metricSum: number
  msPerStep: number
}

export interface TrainRequest {
  /**
   * Parameters, flat, in the program's order (see {@link TrainResult.theta}). They and the buffers are sent from where they are, not copied first:
   * do not change them before the first step is told of.
   */
  theta: Float32Array
  /** Buffers (running statistics), flat; empty when the program has none. */
  buffers: Float32Array
  /** Steps to do, each of one batch. */
  steps: number
  /**
   * The rate of step i (from 0) is `from + (to - from) * i / steps`, so that leases in a row with touching ends make one straight line; or
   * what a function says.
   */
  learningRate: { from: number; to: number } | ((i: number) => number)
  /** The batch of step `i`, 0 … steps - 1; asked for in order, some batches ahead of the step that runs. */
  batch(i: number): Promise<TrainBatch>
  /** Ends at the first step boundary after this much time, milliseconds from when the child has the parameters. */
  softMs?: number
  onStep?(progress: StepProgress): void
  /** Kills the child at once when it aborts. To end softly, use `stop`. */
  signal?: AbortSignal
}

export interface TrainResult {
  /** Steps and samples done; fewer than asked for after `stop` or `softMs`. */
  steps: number
  samples: number
  /** Parameters after the last step, flat, in the program's order; so for buffers. */
  theta: Float32Array
  buffers: Float32Array
  /** Sums over samples of the loss and of the metric. */
  lossSum: number
  metricSum: number
  /** Mean loss of the last step, 0 when no step was done. */
  lastLoss: number
  /** Time of the whole lease, and the part of it that was spent in steps. */
  millis: number
  busyMillis: number
}

export interface Training {
  /**
   * @throws PinGoError TRAINING_DIVERGED (a loss, parameter or buffer is not finite; `details.step`), TRAIN_REQUEST_INVALID,
   * ENGINE_RUN_FAILED, ENGINE_TIMEOUT, ENGINE_MEMORY, ENGINE_CRASHED, ENGINE_KILLED, ENGINE_ABORTED, ENGINE_CLOSED; what `batch` throws
   */
  result: Promise<TrainResult>
  /** Ends at the next step boundary; `result` resolves with what was done. */
  stop(): void
}

export interface OptimizerState {
  state: Float32Array
  /** Steps done since the optimiser began. */
  steps: number
}

/**
 * A training program loaded in a child. The optimiser's moments and its step count live there and go on from one `train` to
 * the next, even where parameters were replaced in between; after an error they start anew. One `train` at a time.
 */
export interface Trainer {
  train(request: TrainRequest): Training
  /** The optimiser's state between two trainings: moments, flat, in the program's order, and the steps they have seen. */
  saveState(): Promise<OptimizerState>
  /** Goes on from a state that was saved: the next step is the one that would have come. @throws PinGoError TRAIN_REQUEST_INVALID */
  loadState(state: OptimizerState): Promise<void>
  close(): Promise<void>
}

export class ChildTrainer implements Trainer {
  readonly #link: Link
  readonly #program: TrainerProgram
  readonly #session: number
  readonly #runTimeoutMs: number
  #stepsDone = 0
  #busy = false
  #closed = false

  static async open(
    link: Link,
    program: TrainerProgram,
    step: Pick<Admitted, 'model' | 'shapes'>,
    loadTimeoutMs: number,
    runTimeoutMs: number,
  ): Promise<ChildTrainer> {
    const loop = loopProgram(program)
    checkStepGraph(loop, step)
    const cut = cutTail(step.model, step.shapes, [...loop.parameters, ...loop.state], loop.scalars)
    const kept = [...loop.parameters, ...loop.state]
    const call =
      cut && Kernels.fits(kept, cut.tail)
        ? { type: 'openTrainer' as const, graph: writeModel(inOrder(cut.model)), program: { ...loop, tail: cut.tail } }
        : { type: 'openTrainer' as const, graph: writeModel(inOrder(step.model)), program: loop }
    const reply = (await link.call(call, loadTimeoutMs)) as OpenReply
    return new ChildTrainer(link, program, reply.session, runTimeoutMs)
  }

  private constructor(link: Link, program: TrainerProgram, session: number, runTimeoutMs: number) {
    this.#link = link
    this.#program = program
    this.#session = session
    this.#runTimeoutMs = runTimeoutMs
  }

  train(request: TrainRequest): Training {
    const refusal = this.#refusal(request)
    if (refusal) return { result: Promise.reject(refusal), stop: () => {} }
    this.#busy = true
    const lease = new Lease(this.#link, this.#program, request, {
      trainer: this.#session,
      firstStep: this.#stepsDone + 1,
      stallMs: this.#runTimeoutMs,
    })
    const result = lease.result.then(
      (done) => {
        this.#stepsDone += done.steps
        return done
      },
      (error) => {
        this.#stepsDone = lease.failedInChild ? 0 : this.#stepsDone + lease.stepsDone
        throw error
      },
    )
    return { result: result.finally(() => (this.#busy = false)), stop: () => lease.stop() }
  }

  async saveState(): Promise<OptimizerState> {
    this.#refuseUnlessIdle()
    const call = { type: 'saveState', trainer: this.#session } as const
    const state = (await this.#link.call(call, this.#runTimeoutMs)) as Float32Array
    if (!(state instanceof Float32Array) || state.length !== total(this.#program.state))
      throw new PinGoError('ENGINE_RUN_FAILED', "The engine returned no whole state of the program's optimiser.")
    return { state, steps: this.#stepsDone }
  }

  async loadState({ state, steps }: OptimizerState): Promise<void> {
    this.#refuseUnlessIdle()
    const wanted = total(this.#program.state)
    if (state.length !== wanted)
      throw invalid(`the optimiser's state has ${state.length} elements, the program's has ${wanted}`)
    if (!Number.isSafeInteger(steps) || steps < 0) throw invalid(`the optimiser's state has seen ${steps} steps`)
    await this.#link.call({ type: 'loadState', trainer: this.#session, state }, this.#runTimeoutMs)
    this.#stepsDone = steps
  }

  #refuseUnlessIdle(): void {
    if (this.#link.death) throw this.#link.death
    if (this.#closed) throw closed()
    if (this.#busy) throw invalid('the trainer is still training; wait for the result first')
  }

  async close(): Promise<void> {
    if (this.#closed || this.#link.death) return
    this.#closed = true
    await this.#link.call({ type: 'close', session: this.#session }, this.#runTimeoutMs)
  }

  #refusal(request: TrainRequest): PinGoError | undefined {
    if (this.#link.death) return this.#link.death
    if (this.#closed) return closed()
    if (this.#busy) return invalid('the trainer is still training; wait for the result first')
    if (request.signal?.aborted)
      return new PinGoError('ENGINE_ABORTED', "The engine's work was aborted.", { cause: request.signal.reason })
    const { parameters, buffers } = this.#program
    if (request.theta.length !== total(parameters))
      return invalid(`theta has ${request.theta.length} elements, the program's parameters have ${total(parameters)}`)
    if (request.buffers.length !== total(buffers))
      return invalid(`buffers have ${request.buffers.length} elements, the program's have ${total(buffers)}`)
    if (!Number.isSafeInteger(request.steps) || request.steps < 0) return invalid(`steps is ${request.steps}`)
    if (typeof request.learningRate !== 'function') {
      const { from, to } = request.learningRate
      if (!Number.isFinite(from) || !Number.isFinite(to)) return invalid(`the learning rate goes from ${from} to ${to}`)
    }
    if (request.softMs !== undefined && !(request.softMs >= 0)) return invalid(`softMs is ${request.softMs}`)
    return undefined
  }
}

/** What the child is told of a program. @throws PinGoError PROGRAM_INVALID */
function loopProgram(program: TrainerProgram): LoopProgram {
  const { parameters, buffers, state, batch } = program
  for (const spec of [...parameters, ...buffers, ...state])
    if (spec.dtype !== 'float32')
      throw new PinGoError(
        'PROGRAM_INVALID',
        `The program keeps '${spec.name}' as ${spec.dtype}; only float32 is trained.`,
      )
  return {
    parameters,
    buffers,
    state,
    feeds: [...program.inputs, program.target].map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    batch,
    scalars: optimizerScalars(program.optimizer).names,
    ...(program.noise ? { noise: program.noise.elements } : {}),
  }
}

/** The arrays of a batch in the order of the program's feeds, cut to its real samples. @throws PinGoError BATCH_MISMATCH */
export function batchArrays(program: TrainerProgram, { tensors, samples, seed }: TrainBatch): TypedArray[] {
  const mismatch = (why: string): PinGoError =>
    new PinGoError('BATCH_MISMATCH', `A batch does not fit the program: ${why}.`)
  if (!Number.isInteger(samples) || samples < 1 || samples > program.batch)
    throw mismatch(`it has ${samples} samples, the program takes 1 to ${program.batch}`)
  if (program.noise && typeof seed !== 'bigint')
    throw mismatch("the program has dropout or other noise, the batch gives no 'seed' for it")
  return [...program.inputs, program.target].map(({ name, dtype, shape }) => {
    const array = tensors[name]
    if (!(array instanceof arrayOf[dtype]))
      throw mismatch(`'${name}' is not given as ${arrayOf[dtype].name} (${dtype})`)
    const wanted = samples * sizeOf(shape)
    if (array.length !== wanted && array.length !== program.batch * sizeOf(shape))
      throw mismatch(`'${name}' has ${array.length} elements, ${samples} samples of [${shape}] have ${wanted}`)
    return array.length === wanted ? array : array.subarray(0, wanted)
  })
}

const total = (specs: TensorSpec[]): number => specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0)

const closed = (): PinGoError => new PinGoError('ENGINE_CLOSED', 'The trainer was closed. Open the program again.')

const invalid = (why: string): PinGoError => new PinGoError('TRAIN_REQUEST_INVALID', `Cannot train: ${why}.`)
