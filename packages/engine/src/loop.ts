import type { TensorSpec, TypedArray } from '@pingo/wire'
import type { Tensor as OrtTensor } from 'onnxruntime-common'
import { Kernels } from './kernel/kernels.ts'
import { NoisePlace } from './kernel/noise.ts'
import type { PlacedSession, Runtime } from './port.ts'
import type { LoopProgram, Spread } from './protocol.ts'

/** A tensor that goes from step to step: the graph reads it, and a kernel or the graph gives its next value. */
interface Slot {
  spec: TensorSpec
  view: Float32Array
  tensor: OrtTensor
  /** Where the graph writes the next value; absent for what a kernel overwrites in place. */
  next?: { view: Float32Array; tensor: OrtTensor }
}

/** What one step reports: the mean loss over its real samples and the sum of their metric. */
export interface StepResult {
  loss: number
  metric: number
}

/**
 * Runs a training-step graph again and again, the outputs of a step being the inputs of the next, with nothing copied and nothing big
 * allocated while training. Where the program has a {@link Tail}, the graph ends in gradients and kernels overwrite parameters and state in
 * place; other tensors have two places that take turns.
 */
export class TrainingLoop {
  readonly #runtime: Runtime
  readonly #session: PlacedSession
  readonly #program: LoopProgram
  readonly #kernels: Kernels | undefined
  readonly #scalars: Map<string, Float32Array>
  readonly #noise: NoisePlace | undefined
  readonly #slots: Map<string, Slot>
  readonly #inputs: ReadonlySet<string>
  readonly #feeds: Record<string, OrtTensor> = {}
  /** Places of what the graph gives at every step: loss, metric, and gradients for kernels. */
  readonly #results: Record<string, OrtTensor> = {}
  #forgotten = false
  /** Whether the last step's update overwrote what it read. */
  overwrote = false

  constructor(runtime: Runtime, session: PlacedSession, program: LoopProgram) {
    this.#runtime = runtime
    this.#session = session
    this.#program = program
    this.#scalars = new Map(program.scalars.map((name) => [name, new Float32Array(1)]))
    this.#noise = program.noise === undefined ? undefined : new NoisePlace(program.noise)
    const { tail } = program
    const kept = [...program.parameters, ...program.state]
    if (tail) this.#kernels = new Kernels(kept, tail, this.#scalars)
    const overwritten = new Set(tail?.kernels.flatMap(({ writes }) => writes.map(({ name }) => name)))
    const place = (spec: TensorSpec, view = new Float32Array(elements(spec.shape))) => ({
      view,
      tensor: runtime.tensor({ dtype: 'float32', shape: spec.shape, data: view }),
    })
    this.#slots = new Map(
      [...kept, ...program.buffers].map((spec): [string, Slot] => [
        spec.name,
        {
          spec,
          ...place(spec, this.#kernels?.arrays.get(spec.name)),
          ...(overwritten.has(spec.name) ? {} : { next: place(spec) }),
        },
      ]),
    )
    for (const cut of tail?.cuts ?? []) this.#results[cut.name] = place(cut, this.#kernels!.arrays.get(cut.name)).tensor
    for (const name of ['loss', 'metric_sum']) this.#results[name] = place({ name, dtype: 'float32', shape: [] }).tensor
    // What kernels alone read is no input of the graph.
    this.#inputs = new Set(session.inputs.map(({ name }) => name))
    for (const [name, data] of this.#scalars) this.#feed(name, runtime.tensor({ dtype: 'float32', shape: [], data }))
    for (const { spec, tensor } of this.#slots.values()) this.#feed(spec.name, tensor)
  }

  /**
   * Where the weights from `at` on lie, at most `length` of them and none past the end: the parameters and then the buffers as one flat vector, in
   * the program's order. Valid until the next step.
   */
  weights(at: number, length: number): Float32Array[] {
    let first = 0
    return this.#weights().flatMap(({ view }) => {
      const [from, to] = [Math.max(at - first, 0), Math.min(at + length - first, view.length)]
      first += view.length
      return from < to ? [view.subarray(from, to)] : []
    })
  }

  /** The same, to be written to: those of a new lease. The optimiser's state stays as it is. */
  places(at: number, length: number): Float32Array[] {
    this.#forget()
    return this.weights(at, length)
  }

  /** Forgets the optimiser's state, as it was before the first step, once parameters are loaded: until then {@link probe} may want it. */
  reset(): void {
    this.#forgotten = true
  }

  #forget(): void {
    if (this.#forgotten) for (const { name } of this.#program.state) this.#slots.get(name)!.view.fill(0)
    this.#forgotten = false
  }

  /** The optimiser's state as a flat vector, copied; and back. */
  saveState(): Float32Array {
    this.#forget()
    return this.#gather(this.#program.state)
  }

  loadState(state: Float32Array): void {
    this.#forgotten = false
    this.#spread(this.#program.state, state)
  }

  /** True when no parameter or buffer holds a NaN or an infinity. */
  finite(): boolean {
    const apart = this.#weights().filter(({ spec }) => !this.#kernels?.arrays.has(spec.name))
    const together = this.#program.parameters.filter(({ name }) => this.#kernels?.arrays.has(name))
    return (
      apart.every(({ view }) => allFinite(view)) && (this.#kernels?.finite(together.map(({ name }) => name)) ?? true)
    )
  }

  #weights(): Slot[] {
    return [...this.#program.parameters, ...this.#program.buffers].map(({ name }) => this.#slots.get(name)!)
  }

  /**
   * One step. Where the loss or a gradient is not finite, parameters and state that kernels overwrite stay as they were, and the loss is NaN.
   * @param arrays one per feed of the program, `samples` samples long; padded with zeros of weight 0 up to the batch
   * @param scalars in the order of the program's scalar inputs
   * @param seed of the step's noise, where the program has any
   */
  async step(arrays: TypedArray[], samples: number, scalars: Float32Array, seed = 0n): Promise<StepResult> {
    const { feeds: specs, batch } = this.#program
    for (const [i, { name, dtype, shape }] of specs.entries())
      this.#feed(
        name,
        this.#runtime.tensor({
          dtype,
          shape: [batch, ...shape],
          data: padded(arrays[i]!, batch * elements(shape)),
        }),
      )
    const weights = new Float32Array(batch).fill(1, 0, samples)
    this.#feed('sample_weight', this.#runtime.tensor({ dtype: 'float32', shape: [batch], data: weights }))
    for (const [i, name] of this.#program.scalars.entries()) this.#scalars.get(name)![0] = scalars[i]!
    if (this.#noise) {
      const data = this.#noise.fill(seed)
      this.#feed('noise', this.#runtime.tensor({ dtype: 'float32', shape: [data.length], data }))
    }

    const places: Record<string, OrtTensor> = { ...this.#results }
    for (const { spec, next } of this.#slots.values()) if (next) places[`next.${spec.name}`] = next.tensor
    await this.#session.run(this.#feeds, places)
    let loss = scalarOf(places.loss!)
    if (this.#kernels) {
      this.overwrote = Number.isFinite(loss) && this.#kernels.finite()
      if (this.overwrote) this.#kernels.run()
      else loss = Number.NaN
    }
    for (const slot of this.#slots.values()) {
      if (!slot.next) continue
      const { view, tensor } = slot
      Object.assign(slot, slot.next)
      slot.next = { view, tensor }
      this.#feed(slot.spec.name, slot.tensor)
    }
    return { loss, metric: scalarOf(places.metric_sum!) }
  }

  /** Copies what the last step read of its batch, which is about to go: {@link probe} may want it. */
  keepBatch(): void {
    for (const { name, dtype } of this.#program.feeds) {
      const tensor = this.#feeds[name]
      if (!tensor) continue
      const data = (tensor.data as TypedArray).slice()
      this.#feed(name, this.#runtime.tensor({ dtype, shape: [...tensor.dims], data }))
    }
  }

  /**
   * For a step that went wrong: how the values lie that `graph` (the whole step graph or a part of it) computes from the inputs of the last
   * step; without a graph, how those inputs lie. Where kernels have stepped since, parameters and state are those after it.
   */
  async probe(graph?: Uint8Array): Promise<Record<string, Spread>> {
    const inputs = { ...this.#feeds }
    for (const [name, data] of this.#scalars) inputs[name] = this.#runtime.tensor({ dtype: 'float32', shape: [], data })
    // Places that take turns have done so: the step read what is next now.
    for (const { spec, tensor, next } of this.#slots.values()) inputs[spec.name] = next?.tensor ?? tensor
    if (!graph) return spreads(inputs)
    const session = await this.#runtime.open(graph)
    try {
      const feeds = Object.fromEntries(session.inputs.map(({ name }) => [name, inputs[name]!]))
      return spreads(await session.run(feeds, Object.fromEntries(session.outputs.map(({ name }) => [name, null]))))
    } finally {
      await session.release()
    }
  }

  async release(): Promise<void> {
    await this.#session.release()
  }

  #feed(name: string, tensor: OrtTensor): void {
    if (this.#inputs.has(name)) this.#feeds[name] = tensor
  }

  #spread(specs: readonly TensorSpec[], flat: Float32Array): void {
    let at = 0
    for (const { name } of specs) {
      const { view } = this.#slots.get(name)!
      view.set(flat.subarray(at, at + view.length))
      at += view.length
    }
  }

  #gather(specs: readonly TensorSpec[]): Float32Array {
    const flat = new Float32Array(specs.reduce((sum, { shape }) => sum + elements(shape), 0))
    let at = 0
    for (const { name } of specs) {
      const { view } = this.#slots.get(name)!
      flat.set(view, at)
      at += view.length
    }
    return flat
  }
}

function spreads(tensors: Record<string, OrtTensor>): Record<string, Spread> {
  const floats = Object.entries(tensors).filter(([, { type }]) => type === 'float32')
  return Object.fromEntries(floats.map(([name, { data }]) => [name, spreadOf(data as Float32Array)]))
}

function spreadOf(data: Float32Array): Spread {
  let [nan, infinite, largest] = [0, 0, 0]
  for (let i = 0; i < data.length; i++) {
    const size = Math.abs(data[i]!)
    if (Number.isNaN(size)) nan++
    else if (size === Number.POSITIVE_INFINITY) infinite++
    else if (size > largest) largest = size
  }
  return { size: data.length, nan, infinite, largest }
}

/** True when no element is NaN or infinite: such a value makes the sum NaN or infinite, and finite float32 cannot overflow it. */
function allFinite(values: Float32Array): boolean {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0
  return sum === 0
}

const elements = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1)

function padded(array: TypedArray, length: number): TypedArray {
  if (array.length === length) return array
  const full = new (array.constructor as new (length: number) => TypedArray)(length)
  full.set(array as never)
  return full
}

const scalarOf = (tensor: OrtTensor): number => Number((tensor.data as Float32Array)[0])
