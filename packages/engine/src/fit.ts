import { batchSeed, buildProgram, type Model, type Program, withWeights } from '@pingo/graph'
import { type LossInput, type Metric, type OptimizerInput, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { flatten, readCheckpoint, unflatten, writeCheckpoint } from './checkpoint.ts'
import { Engine } from './engine.ts'
import { type Batches, batchesOf, type FitData, type FitTensors } from './fit-data.ts'
import type { Session } from './session.ts'
import type { TrainBatch, Trainer } from './trainer.ts'

/** Batches that go to the engine together: at most so many, and so many bytes. */
const MAX_STEPS_TOGETHER = 256
const MAX_BYTES_TOGETHER = 64 << 20

export interface FitOptions {
  data: FitData
  loss: LossInput
  /** Default: AdamW without weight decay. */
  optimizer?: OptimizerInput
  /** Samples of a step, default 32. */
  batch?: number
  /** Default 1. */
  epochs?: number
  /** The peak, default 0.001. */
  learningRate?: number
  /**
   * What the peak is multiplied by at a fraction of all steps, 0 … 1; default `cosine`, which falls to 0. For data that do not tell how many
   * batches they have, `steps` must be given unless it is `constant`.
   */
  schedule?: 'constant' | 'linear' | 'cosine' | ((progress: number) => number)
  /** Steps in all: training ends there, whatever the epochs; and the schedule's end. */
  steps?: number
  /** Of the order of samples and of dropout; default 0. Equal seeds give equal bits. */
  seed?: number
  /** Samples to evaluate on after each epoch. */
  validation?: FitTensors
  /** stored * scale + shift by input name, in front of the model while it is trained (not in the result). */
  logical?: Record<string, { scale?: number; shift?: number }>
  /** Names or patterns of weights that stay as they are. */
  frozen?: string[]
  /** The model's output that the loss is taken on; default: the first. */
  output?: string
  /** Called after each step, in bunches where steps are short. */
  onProgress?(progress: FitProgress): void
  /** Steps between two checkpoints handed to `onCheckpoint`. */
  checkpointEvery?: number
  onCheckpoint?(checkpoint: Uint8Array, step: number): void | Promise<void>
  /** Ends the training at the next step; `fit` then returns what was done, from which it can be resumed. */
  signal?: AbortSignal
  /** A checkpoint of a training with the same model, data and settings: the rest of it gives the bits that it would have given. */
  resume?: Uint8Array
  /** An engine of one's own, which stays open; default: one for this training. */
  engine?: Engine
}

export interface FitProgress {
  /** From 0. */
  epoch: number
  /** Steps done in all, and how many there will be where that is known. */
  step: number
  steps: number | undefined
  loss: number
  learningRate: number
}

export interface FitEpoch {
  epoch: number
  samples: number
  /** Means over the epoch's samples (after a resume: over those since). */
  loss: number
  metric: number
  validation?: { loss: number; metric: number }
}

export interface FitResult {
  /** The model with its trained weights. */
  model: Model
  history: FitEpoch[]
  /** What `metric` is: accuracy 0 … 1, mean absolute error, or the loss. */
  metric: Metric
  /** Weights and optimiser's state as one safetensors file, for `resume`. */
  checkpoint: Uint8Array
  /** Steps done in all. */
  steps: number
  /** True when the signal ended it before its time. */
  stopped: boolean
  /** What is allowed but may surprise. */
  notes: string[]
}

const invalid = (message: string, hint: string) => new PinGoError('FIT_OPTIONS_INVALID', message, { hint })

/**
 * Trains a model on this machine and returns it with its trained weights.
 *
 * ```ts
 * const { model } = await fit(parseModel(bytes), { data: { input, target }, loss: 'cross_entropy', epochs: 10 })
 * writeFileSync('trained.onnx', writeModel(model))
 * ```
 * @throws PinGoError FIT_OPTIONS_INVALID, FIT_DATA_INVALID, CHECKPOINT_MALFORMED, CHECKPOINT_MISMATCH, those of `buildProgram` (the model
 * cannot be trained so), TRAINING_DIVERGED naming the step, node and tensor where it began, and those of an engine's end
 */
export async function fit(model: Model, options: FitOptions): Promise<FitResult> {
  const { batch = 32, seed = 0, engine: given } = options
  checkOptions(options)
  const batches = await batchesOf(options.data, batch, seed)
  const program = buildProgram(model, {
    loss: options.loss,
    optimizer: options.optimizer ?? { kind: 'adamw' },
    batch,
    inputs: batches.inputs,
    target: batches.target,
    ...(options.logical ? { logical: options.logical } : {}),
    ...(options.frozen ? { frozen: options.frozen } : {}),
    ...(options.output ? { output: options.output } : {}),
  })
  const engine = given ?? (await Engine.start())
  try {
    const trainer = await engine.openTrainer({ ...program, batch })
    const evaluation = options.validation && (await engine.open(program.evaluate))
    try {
      const run = new Fit(program, batches, trainer, evaluation, options)
      return await run.all(model)
    } finally {
      if (engine.alive) await Promise.all([trainer.close(), evaluation?.close()])
    }
  } finally {
    if (!given) await engine.close()
  }
}

function checkOptions({
  batch = 32,
  epochs = 1,
  learningRate = 1e-3,
  steps,
  seed = 0,
  checkpointEvery,
}: FitOptions): void {
  const whole = (name: string, value: number | undefined) => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
      throw invalid(`${name} is ${value}.`, 'Give a whole number from 1.')
  }
  whole('batch', batch)
  whole('epochs', epochs)
  whole('steps', steps)
  whole('checkpointEvery', checkpointEvery)
  if (!Number.isSafeInteger(seed) || seed < 0) throw invalid(`seed is ${seed}.`, 'Give a whole number from 0.')
  if (!(learningRate >= 0 && Number.isFinite(learningRate)))
    throw invalid(`learningRate is ${learningRate}.`, 'Give a small number such as 0.001.')
}

/** One training: what moves while it runs. */
class Fit {
  readonly #program: Program
  readonly #batches: Batches
  readonly #trainer: Trainer
  readonly #evaluation: Session | undefined
  readonly #options: FitOptions
  /** Steps in all, where they are known. */
  readonly #steps: number | undefined
  readonly #history: FitEpoch[] = []
  #theta: Float32Array
  #buffers: Float32Array
  #step = 0

  constructor(
    program: Program,
    batches: Batches,
    trainer: Trainer,
    evaluation: Session | undefined,
    options: FitOptions,
  ) {
    this.#program = program
    this.#batches = batches
    this.#trainer = trainer
    this.#evaluation = evaluation
    this.#options = options
    const { epochs = 1, steps, schedule = 'cosine' } = options
    const all = batches.stepsPerEpoch === undefined ? undefined : batches.stepsPerEpoch * epochs
    this.#steps = steps === undefined ? all : Math.min(steps, all ?? steps)
    if (this.#steps === undefined && schedule !== 'constant')
      throw invalid(
        'How many steps there will be is not known, so the schedule has no end.',
        "Give `steps`, or the schedule 'constant'.",
      )
    this.#theta = flatten(program.parameters, program.initial)
    this.#buffers = flatten(program.buffers, program.initial)
  }

  async all(model: Model): Promise<FitResult> {
    const { resume, epochs = 1 } = this.#options
    if (resume) await this.#restore(resume)
    // Batches done before a resume are passed over.
    let passed = this.#step
    for (let epoch = 0; epoch < epochs && !this.#over; epoch++) passed -= await this.#epoch(epoch, passed)
    const weights = this.#weights()
    return {
      model: withWeights(model, weights),
      history: this.#history,
      metric: this.#program.metric,
      checkpoint: await this.#checkpoint(),
      steps: this.#step,
      stopped: this.#options.signal?.aborted === true,
      notes: this.#program.notes,
    }
  }

  get #over(): boolean {
    return this.#options.signal?.aborted === true || (this.#steps !== undefined && this.#step >= this.#steps)
  }

  /** One epoch without its first `skip` batches; returns how many of those it had. */
  async #epoch(epoch: number, skip: number): Promise<number> {
    const sums = { samples: 0, loss: 0, metric: 0 }
    let together: TrainBatch[] = []
    let bytes = 0
    let read = 0
    let skipped = 0
    for await (const batch of this.#batches.epoch(epoch, skip, (n) => (skipped += n))) {
      read++
      together.push(batch)
      bytes += Object.values(batch.tensors).reduce((sum, { byteLength }) => sum + byteLength, 0)
      const due = together.length >= this.#untilPause()
      if (!due && together.length < MAX_STEPS_TOGETHER && bytes < MAX_BYTES_TOGETHER) continue
      await this.#train(epoch, together, sums)
      ;[together, bytes] = [[], 0]
      if (this.#over) break
    }
    if (together.length && !this.#over) await this.#train(epoch, together, sums)
    if (read + skipped === 0) throw new PinGoError('FIT_DATA_INVALID', `Epoch ${epoch + 1} of the data has no batch.`)
    if (sums.samples) {
      const per = sums.samples * this.#program.predictionsPerSample
      const validation = this.#over && this.#options.signal?.aborted ? undefined : await this.#evaluate()
      this.#history.push({
        epoch,
        samples: sums.samples,
        loss: sums.loss / sums.samples,
        metric: sums.metric / per,
        ...(validation ? { validation } : {}),
      })
    }
    return skipped
  }

  /** Steps that may be done before training is over or a checkpoint is due. */
  #untilPause(): number {
    const { checkpointEvery, onCheckpoint } = this.#options
    const due =
      checkpointEvery && onCheckpoint ? checkpointEvery - (this.#step % checkpointEvery) : Number.POSITIVE_INFINITY
    return Math.min(due, (this.#steps ?? Number.POSITIVE_INFINITY) - this.#step)
  }

  async #train(
    epoch: number,
    together: TrainBatch[],
    sums: { samples: number; loss: number; metric: number },
  ): Promise<void> {
    const { signal, seed = 0, onProgress, onCheckpoint, checkpointEvery } = this.#options
    const first = this.#step
    const training = this.#trainer.train({
      theta: this.#theta,
      buffers: this.#buffers,
      steps: together.length,
      learningRate: (i) => this.#rateAt(first + i),
      batch: async (i) => (this.#program.noise ? { ...together[i]!, seed: batchSeed(seed, first + i) } : together[i]!),
      onStep: ({ steps, loss }) =>
        onProgress?.({
          epoch,
          step: first + steps,
          steps: this.#steps,
          loss,
          learningRate: this.#rateAt(first + steps - 1),
        }),
    })
    const stop = () => training.stop()
    signal?.addEventListener('abort', stop, { once: true })
    try {
      const done = await training.result
      this.#step += done.steps
      this.#theta = done.theta
      this.#buffers = done.buffers
      sums.samples += done.samples
      sums.loss += done.lossSum
      sums.metric += done.metricSum
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    if (onCheckpoint && checkpointEvery && this.#step % checkpointEvery === 0)
      await onCheckpoint(await this.#checkpoint(), this.#step)
  }

  #rateAt(step: number): number {
    const { learningRate = 1e-3, schedule = 'cosine' } = this.#options
    const progress = this.#steps === undefined ? 0 : step / this.#steps
    if (typeof schedule === 'function') return learningRate * schedule(progress)
    if (schedule === 'constant') return learningRate
    return learningRate * (schedule === 'linear' ? 1 - progress : (1 + Math.cos(Math.PI * progress)) / 2)
  }

  #weights(): Map<string, Tensor> {
    const { parameters, buffers } = this.#program
    return new Map([...unflatten(parameters, this.#theta), ...unflatten(buffers, this.#buffers)])
  }

  async #checkpoint(): Promise<Uint8Array> {
    const { state } = await this.#trainer.saveState()
    return writeCheckpoint({ weights: this.#weights(), state: unflatten(this.#program.state, state), step: this.#step })
  }

  async #restore(bytes: Uint8Array): Promise<void> {
    const { weights, state, step } = readCheckpoint(bytes)
    const { parameters, buffers, state: kept } = this.#program
    const foreign = [...weights.keys(), ...state.keys()].find(
      (name) => ![...parameters, ...buffers, ...kept].some((spec) => spec.name === name),
    )
    if (foreign !== undefined)
      throw new PinGoError(
        'CHECKPOINT_MISMATCH',
        `The checkpoint holds '${foreign}', which this training does not have.`,
        {
          hint: 'Resume with the model, the optimiser and the frozen weights that it was made with.',
        },
      )
    this.#theta = flatten(parameters, weights)
    this.#buffers = flatten(buffers, weights)
    await this.#trainer.loadState({ state: flatten(kept, state), steps: step })
    this.#step = step
  }

  async #evaluate(): Promise<{ loss: number; metric: number } | undefined> {
    const { validation, batch = 32, seed = 0 } = this.#options
    if (!validation || !this.#evaluation) return undefined
    const { epoch, inputs, target } = await batchesOf(validation, batch, seed)
    const specs = [...inputs, target]
    let [samples, loss, metric] = [0, 0, 0]
    for await (const given of epoch(0)) {
      const feeds: Record<string, Tensor> = Object.fromEntries(this.#weights())
      for (const { name, dtype, shape } of specs) {
        const data = new (given.tensors[name]!.constructor as Float32ArrayConstructor)(batch * sizeOf(shape))
        data.set(given.tensors[name] as never)
        feeds[name] = { dtype, shape: [batch, ...shape], data }
      }
      feeds.sample_weight = {
        dtype: 'float32',
        shape: [batch],
        data: new Float32Array(batch).fill(1, 0, given.samples),
      }
      const sums = await this.#evaluation.run(feeds, ['loss_sum', 'metric_sum'])
      samples += given.samples
      loss += Number(sums.loss_sum!.data[0])
      metric += Number(sums.metric_sum!.data[0])
    }
    return { loss: loss / samples, metric: metric / samples / this.#program.predictionsPerSample }
  }
}
