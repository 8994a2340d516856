import { fillNoise } from '@pingo/graph/noise'
import type { TensorSpec, TypedArray } from '@pingo/wire'
import type { Tensor as OrtTensor } from 'onnxruntime-common'
import type { LoopProgram } from './protocol.ts'
import type { Runtime, RuntimeSession } from './runtime.ts'

/** Tensors of a set start at multiples of this many elements (64 bytes, a cache line), so that kernels load whole lines. */
const ALIGN_ELEMENTS = 16

/** Parameters, buffers and optimiser state, each set in one array, with the tensors that view it. */
interface Bank {
  parameters: Float32Array
  buffers: Float32Array
  state: Float32Array
  feeds: Record<string, OrtTensor>
  fetches: Record<string, OrtTensor>
}

/** What one step reports: the mean loss over its real samples and the sum of their metric. */
export interface StepResult {
  loss: number
  metric: number
}

/**
 * Runs a training-step graph again and again, the outputs of a step being the inputs of the next. Two banks of tensors take
 * turns: a step reads one and writes the other, so that nothing is copied and nothing big is allocated while training.
 */
export class TrainingLoop {
  readonly #runtime: Runtime
  readonly #session: RuntimeSession
  readonly #program: LoopProgram
  readonly #scalars: Float32Array[]
  readonly #noise: Float32Array | undefined
  readonly #scalarFeeds: Record<string, OrtTensor> = {}
  #current: Bank
  #other: Bank

  constructor(runtime: Runtime, session: RuntimeSession, program: LoopProgram) {
    this.#runtime = runtime
    this.#session = session
    this.#program = program
    this.#scalars = program.scalars.map(() => new Float32Array(1))
    this.#noise = program.noise === undefined ? undefined : new Float32Array(program.noise)
    for (const [i, name] of program.scalars.entries())
      this.#scalarFeeds[name] = runtime.tensor({ dtype: 'float32', shape: [], data: this.#scalars[i]! })
    this.#current = this.#bank()
    this.#other = this.#bank()
  }

  /** Sets parameters and buffers from flat vectors in the program's order. The optimiser's state stays as it is. */
  load(theta: Float32Array, buffers: Float32Array): void {
    spread(this.#program.parameters, theta, this.#current.parameters)
    spread(this.#program.buffers, buffers, this.#current.buffers)
  }

  /** Forgets the optimiser's state, as it was before the first step. */
  reset(): void {
    this.#current.state.fill(0)
  }

  /** The parameters and buffers as flat vectors, copied. */
  save(): { theta: Float32Array; buffers: Float32Array } {
    return {
      theta: gather(this.#program.parameters, this.#current.parameters),
      buffers: gather(this.#program.buffers, this.#current.buffers),
    }
  }

  /**
   * One step.
   * @param arrays one per feed of the program, `samples` samples long; padded with zeros of weight 0 up to the batch
   * @param scalars in the order of the program's scalar inputs
   * @param seed of the step's noise, where the program has any
   */
  async step(arrays: TypedArray[], samples: number, scalars: Float32Array, seed = 0n): Promise<StepResult> {
    const { feeds: specs, batch } = this.#program
    const feeds: Record<string, OrtTensor> = { ...this.#current.feeds, ...this.#scalarFeeds }
    for (const [i, { name, dtype, shape }] of specs.entries())
      feeds[name] = this.#runtime.tensor({
        dtype,
        shape: [batch, ...shape],
        data: padded(arrays[i]!, batch * elements(shape)),
      })
    const weights = new Float32Array(batch).fill(1, 0, samples)
    feeds.sample_weight = this.#runtime.tensor({ dtype: 'float32', shape: [batch], data: weights })
    for (const [i, scalar] of this.#scalars.entries()) scalar[0] = scalars[i]!
    if (this.#noise)
      feeds.noise = this.#runtime.tensor({
        dtype: 'float32',
        shape: [this.#noise.length],
        data: fillNoise(this.#noise, seed),
      })

    const results = await this.#session.run(
      feeds,
      this.#runtime.writesOutputs ? { loss: null, metric_sum: null, ...this.#other.fetches } : fetchAll(this.#other),
    )
    if (!this.#runtime.writesOutputs)
      for (const [name, tensor] of Object.entries(this.#other.fetches))
        (tensor.data as Float32Array).set(results[name]!.data as Float32Array)
    ;[this.#current, this.#other] = [this.#other, this.#current]
    return { loss: scalarOf(results.loss!), metric: scalarOf(results.metric_sum!) }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }

  #bank(): Bank {
    const { parameters, buffers, state } = this.#program
    const bank: Bank = {
      parameters: arena(parameters),
      buffers: arena(buffers),
      state: arena(state),
      feeds: {},
      fetches: {},
    }
    const sets: [TensorSpec[], Float32Array][] = [
      [parameters, bank.parameters],
      [buffers, bank.buffers],
      [state, bank.state],
    ]
    for (const [specs, array] of sets)
      for (const [spec, at] of placed(specs)) {
        const view = array.subarray(at, at + elements(spec.shape))
        const tensor = this.#runtime.tensor({ dtype: 'float32', shape: spec.shape, data: view })
        bank.feeds[spec.name] = tensor
        bank.fetches[`next.${spec.name}`] = tensor
      }
    return bank
  }
}

/** True when no element is NaN or infinite: such a value makes the sum NaN or infinite, and finite float32 cannot overflow it. */
export function allFinite(values: Float32Array): boolean {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0
  return sum === 0
}

const elements = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

const stride = (spec: TensorSpec): number => Math.ceil(elements(spec.shape) / ALIGN_ELEMENTS) * ALIGN_ELEMENTS

function* placed(specs: TensorSpec[]): Generator<[TensorSpec, number]> {
  let at = 0
  for (const spec of specs) {
    yield [spec, at]
    at += stride(spec)
  }
}

const arena = (specs: TensorSpec[]): Float32Array =>
  new Float32Array(specs.reduce((sum, spec) => sum + stride(spec), 0))

function spread(specs: TensorSpec[], flat: Float32Array, into: Float32Array): void {
  let from = 0
  for (const [spec, at] of placed(specs)) {
    const length = elements(spec.shape)
    into.set(flat.subarray(from, from + length), at)
    from += length
  }
}

function gather(specs: TensorSpec[], from: Float32Array): Float32Array {
  const flat = new Float32Array(specs.reduce((sum, { shape }) => sum + elements(shape), 0))
  let to = 0
  for (const [spec, at] of placed(specs)) {
    const length = elements(spec.shape)
    flat.set(from.subarray(at, at + length), to)
    to += length
  }
  return flat
}

function padded(array: TypedArray, length: number): TypedArray {
  if (array.length === length) return array
  const full = new (array.constructor as new (length: number) => TypedArray)(length)
  full.set(array as never)
  return full
}

const fetchAll = (bank: Bank): Record<string, null> =>
  Object.fromEntries(['loss', 'metric_sum', ...Object.keys(bank.fetches)].map((name) => [name, null]))

const scalarOf = (tensor: OrtTensor): number => Number((tensor.data as Float32Array)[0])
