import { bytesOf, isPinGoError, MAX_ACCUMULATE, PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder, Operation } from './builder.ts'
import { flopsOf } from './flops.ts'
import { bytesOfValue, executionOrder, peakOf } from './liveness.ts'
import type { Model } from './model.ts'
import type { Value } from './operator.ts'
import { recompute } from './recompute.ts'

/** Most operations of a step that is cut for the sake of memory: what the engine takes, with room. */
const MAX_CUT_OPERATIONS = 20_000

/** What a runtime keeps for an operation: its node, its kernel, its values' descriptions. Measured with ONNX Runtime 1.30. */
const OPERATION_BYTES = 4096

/** What is chosen one by one can end just above a limit: then it is chosen for a lower one. */
const LOWER_AIMS = [0.95, 0.9]

/** A training step up to its outputs. */
export interface StepGraph {
  b: GraphBuilder
  /** Results by their names in the graph. */
  outputs: readonly (readonly [string, Value])[]
  /** What the update is made from, and results that are not made by it: the pass. */
  pass: readonly Value[]
  gradients: readonly Value[]
  /** Parameters and buffers. */
  weights: readonly Value[]
}

/** A step as it is written. */
export interface Planned<T> {
  step: T
  graph: Model
  operations: readonly Operation[]
  /** Bytes of tensors: see {@link Program.peakBytes}. */
  bytes: number
  notes: string[]
}

/** What may be done to a step, and how much memory it may take. */
export interface MemorySettings {
  /** Bytes; undefined: as many as it takes. */
  limit: number | undefined
  batch: number
  /** Micro-batches that are asked for. */
  parts: number
  /** Whether more micro-batches give the same gradients. */
  cuts: boolean
}

/**
 * The cheapest way to take a step within a limit of memory: as it is; in micro-batches (a little slower, since operations get
 * smaller), as few as are enough; with values computed anew in the backward pass (a third slower at most, and often less); or both.
 * @param build the step in so many micro-batches
 * @throws PinGoError GRAPH_MEMORY when none is enough
 */
export function planned<T extends StepGraph>(
  build: (parts: number) => T,
  { limit = Number.POSITIVE_INFINITY, batch, parts, cuts }: MemorySettings,
): Planned<T> {
  const whole = new Plan(build(parts), parts)
  if (whole.bytes <= limit) return whole.written([])
  const told = (bytes: number) => `about ${megabytes(bytes)} instead of ${megabytes(whole.bytes)}`
  let [last, least] = [whole, whole.bytes]
  for (const k of cuts ? divisorsAbove(parts, batch, whole.order.length) : []) {
    // A micro-batch's share of what is alive is the least that can be hoped for.
    const isLast = k === batch || (k / parts) * whole.order.length * 2 > MAX_CUT_OPERATIONS
    if (!isLast && whole.held + (whole.peak * parts) / k > limit) continue
    const cut = cutInto(build, k)
    if (!cut) break
    const needed = cut.bytes + cut.addedTo(whole)
    if (needed >= least) break
    ;[last, least] = [cut, needed]
    if (needed <= limit) return cut.written([`${micro(k, batch)}: ${told(needed)}.`])
  }
  for (const plan of new Set([whole, last])) {
    const { b, gradients } = plan.step
    const added = plan.addedTo(whole)
    const room = limit - plan.held - added
    const placed = new Set(gradients.map(({ name }) => name))
    let again = recompute(b, plan.order, placed, room)
    for (const share of LOWER_AIMS)
      if (again.peak > room) {
        const other = recompute(b, plan.order, placed, share * room)
        if (other.peak < again.peak) again = other
      }
    const bytes = plan.held + again.peak
    least = Math.min(least, bytes + added)
    if (bytes + added > limit) continue
    const share = Math.max(0, flopsOf(again.operations) / flopsOf(plan.order) - 1)
    const values = `${again.values} values are computed again in the backward pass (${Math.ceil(100 * share)} % more work)`
    const note = plan === whole ? values : `${micro(plan.parts, batch)}, and ${values}`
    return plan.written([`${note}: ${told(bytes + added)}.`], again.operations, bytes)
  }
  throw tooMuch(least, limit, batch)
}

/** A step with what is known of its memory. */
class Plan<T extends StepGraph> {
  readonly step: T
  readonly parts: number
  /** The pass in the order in which it runs. */
  readonly order: Operation[]
  readonly #all: Operation[]
  /** Bytes that stay (parameters, state, gradients, the batch, constants), and most that come and go. */
  readonly held: number
  readonly peak: number

  constructor(step: T, parts: number) {
    const { b, outputs, pass, gradients } = step
    this.step = step
    this.parts = parts
    this.#all = b.live(outputs.map(([, v]) => v))
    const before = new Set(b.live(pass))
    // What the update needs of all gradients at once, as their norm, is one number.
    const scalars = this.#all.filter((o) => !before.has(o) && sizeOf(o.outputs[0]!.shape) === 1)
    const placed = new Set(gradients.map(({ name }) => name))
    this.order = executionOrder(b.live([...pass, ...scalars.flatMap((o) => o.outputs)]))
    this.peak = peakOf(this.order, placed)
    const { inputs, initializers } = this.#graph(this.#all).graph
    const given = inputs.reduce((sum, v) => sum + sizeOf(v.shape as number[]) * bytesOf(v.dtype), 0)
    const constants = [...initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0)
    this.held = given + constants + gradients.reduce((sum, v) => sum + bytesOfValue(v), 0)
  }

  get bytes(): number {
    return this.held + this.peak
  }

  /** What a runtime keeps for the operations that it has more than another plan. */
  addedTo(other: Plan<T>): number {
    return OPERATION_BYTES * (this.#all.length - other.#all.length)
  }

  /** The whole step, its pass as it stands or as given. */
  written(notes: string[], pass?: readonly Operation[], bytes = this.bytes): Planned<T> {
    const inPass = new Set(this.order.map(({ outputs }) => outputs[0]!.name))
    const operations = pass ? [...pass, ...this.#all.filter((o) => !inPass.has(o.outputs[0]!.name))] : this.#all
    return { step: this.step, graph: this.#graph(operations), operations, bytes, notes }
  }

  #graph(operations: readonly Operation[]): Model {
    const { b, outputs, weights } = this.step
    return b.finish('step', outputs, weights, operations)
  }
}

/** Micro-batches that a batch can be cut into, more than it is, by number. */
function divisorsAbove(parts: number, batch: number, operations: number): number[] {
  const most = Math.min(batch, MAX_ACCUMULATE, Math.floor((parts * MAX_CUT_OPERATIONS) / operations))
  const found: number[] = []
  for (let k = parts + 1; k <= most; k++) if (batch % k === 0) found.push(k)
  return found
}

/** The step in so many micro-batches; undefined for a model that cannot be given another batch. */
function cutInto<T extends StepGraph>(build: (parts: number) => T, parts: number): Plan<T> | undefined {
  try {
    return new Plan(build(parts), parts)
  } catch (error) {
    if (isPinGoError(error)) return undefined
    throw error
  }
}

const tooMuch = (least: number, limit: number, batch: number) =>
  new PinGoError(
    'GRAPH_MEMORY',
    `A step of ${batch} samples needs about ${megabytes(least)} at least; the limit is ${megabytes(limit)}.`,
    {
      details: { leastBytes: least },
      hint: 'Allow more memory, make the batch or the inputs smaller, or choose a smaller model or a leaner optimizer.',
    },
  )

const micro = (parts: number, batch: number): string =>
  `A step goes through its batch in ${parts} micro-batches of ${batch / parts} samples`

const megabytes = (bytes: number): string => {
  const millions = bytes / 1e6
  return `${millions < 10 ? millions.toFixed(1) : Math.round(millions)} MB`
}
