import { sizeOf } from '@pingo/wire'
import type { GraphBuilder, Operation } from './builder.ts'
import { bytesOfValue, heldBytes, isView, Kinds, type Stay, storagesOf } from './liveness.ts'
import type { Value } from './operator.ts'
import { operators } from './operators/index.ts'

/** Smallest value that is worth an operation of its own, bytes. */
const MIN_BYTES = 4096
/** Most operations that one value is computed anew by. */
const MAX_CHAIN = 24
/** Operations looked at in all trials together: what is found by then is taken. About a second. */
const MAX_WORK = 4e6
/** What operations take, as ONNX Runtime was measured on one core: products a second, and seconds an element for those that compute much of each and for the others. */
const SPEED = { flops: 1.6e11, slow: 3.5e-10, fast: 1.4e-10 }
const SLOW = new Set([
  'LayerNormalization',
  'Transpose',
  'Gelu',
  'Erf',
  'Exp',
  'Log',
  'Tanh',
  'Sigmoid',
  'Softmax',
  'LogSoftmax',
  'Softplus',
  'Pow',
])

/** A step with values that are computed twice. */
export interface Recomputed {
  operations: Operation[]
  /** Most bytes held at once (see {@link heldBytes}). */
  peak: number
  /** Values computed anew. */
  values: number
}

/** Seconds of an operation, roughly: only their proportions matter. */
function secondsOf(operation: Operation): number {
  if (isView(operation)) return 0
  const { op, inputs, attributes, outputs } = operation
  const flops = operators.get(op)?.flops?.({ op, inputs, attributes }, outputs) ?? 0
  const elements = sizeOf(outputs[0]!.shape)
  return flops / SPEED.flops + elements * (SLOW.has(op) ? SPEED.slow : SPEED.fast)
}

/**
 * Trades time for memory: values of the forward pass that wait for the backward pass while more than `limit` bytes are alive are freed
 * after their last reader before the wait and computed anew, from the same inputs by the same operations (so to the same bits), before the first
 * after it. Chen et al. 2016 ("Training deep nets with sublinear memory cost"); which ones is chosen by bytes freed for a second of
 * recomputing, as in Jain et al. 2020 ("Checkmate") but greedily: whatever brings the bytes above the limit, summed over the step, down.
 * @param order of a step, as `executionOrder` gives it
 * @param placed names of results with places of their own, which stay
 */
export function recompute(
  b: GraphBuilder,
  order: readonly Operation[],
  placed: ReadonlySet<string>,
  limit: number,
): Recomputed {
  const step = new Step(order, placed)
  const chosen: Chosen = new Map()
  let now = step.measure(chosen, limit)
  let work = 0
  for (let improved = true; improved && now.excess > 0 && work < MAX_WORK; ) {
    improved = false
    for (const candidate of step.candidates(chosen, now.above)) {
      if (chosen.has(candidate)) continue
      const chain = step.chainOf(candidate, chosen)
      if (!chain) continue
      const trial = new Map([...chosen, ...chain])
      const then = step.measure(trial, limit)
      work += order.length
      if (then.excess < now.excess) {
        for (const [storage, leaves] of chain) chosen.set(storage, leaves)
        now = then
        improved = true
      }
      if (now.excess === 0 || work >= MAX_WORK) break
    }
  }
  return { operations: step.write(b, chosen), peak: now.peak, values: chosen.size }
}

/** Storages that are computed again, each with the operation that reads the first one last. */
type Chosen = Map<number, number>

/** One run of an operation: the first, or again. */
interface Run {
  at: number
  again: boolean
}

interface Measured {
  peak: number
  /** Sum over all runs of the bytes above the limit, of those held and of those still read. */
  excess: number
  /** Whether more than the limit is alive, by the operation's place in the order. */
  above: Uint8Array
}

/** Numbers for everything in a step: operations by their place in the order, values as they come. */
class Step {
  readonly #order: readonly Operation[]
  readonly #seconds: number[]
  readonly #values: Value[] = []
  readonly #producer: number[] = []
  readonly #storage: number[] = []
  readonly #bytes: number[] = []
  readonly #kinds = new Kinds()
  readonly #kind: number[] = []
  readonly #stays: boolean[] = []
  /** Values read and made by each operation. */
  readonly #inputs: number[][]
  readonly #outputs: number[][]
  /** By storage: the last reader before the longest wait, the first after it, and the last of all. */
  readonly #leaves: number[] = []
  readonly #returns: number[] = []
  readonly #last: number[] = []

  constructor(order: readonly Operation[], placed: ReadonlySet<string>) {
    this.#order = order
    this.#seconds = order.map(secondsOf)
    const numbers = new Map<string, number>()
    const storages = storagesOf(order)
    const read = new Set(order.flatMap(({ inputs }) => inputs.map((v) => v?.name)))
    // What lies in one memory with a result stays, too.
    const fixed = new Set([...placed].map((name) => storages.get(name)?.name))
    this.#outputs = order.map(({ outputs }, at) =>
      outputs.map((v, k) => {
        const number = this.#values.push(v) - 1
        numbers.set(v.name, number)
        const storage = storages.get(v.name)!
        const counts = storage === v && !fixed.has(v.name) && (k === 0 || read.has(v.name))
        this.#producer.push(at)
        // A view of what the graph is given takes no memory.
        this.#storage.push(numbers.get(storage.name) ?? number)
        this.#bytes.push(counts ? bytesOfValue(v) : 0)
        this.#kind.push(this.#kinds.of(v))
        this.#stays.push(fixed.has(storage.name))
        return number
      }),
    )
    this.#inputs = order.map(({ inputs }) =>
      inputs.flatMap((v) => (v && numbers.has(v.name) ? [numbers.get(v.name)!] : [])),
    )
    const uses: number[][] = this.#values.map(() => [])
    for (const [at, operation] of order.entries())
      if (!isView(operation)) for (const v of this.#inputs[at]!) uses[this.#storage[v]!]!.push(at)
    for (const [v, list] of uses.entries()) {
      let [leaves, returns] = [list.at(-1) ?? this.#producer[v]!, Number.POSITIVE_INFINITY]
      let longest = 0
      for (const [k, at] of list.entries()) {
        const before = k > 0 ? list[k - 1]! : this.#producer[v]!
        if (at - before > longest) [leaves, returns, longest] = [before, at, at - before]
      }
      this.#leaves.push(leaves)
      this.#returns.push(returns)
      this.#last.push(list.at(-1) ?? this.#producer[v]!)
    }
  }

  /** Storages that wait while too much is alive, those first that free most for the time they take. */
  candidates(chosen: Chosen, above: Uint8Array): number[] {
    const sums = [0]
    for (const [i, flag] of above.entries()) sums.push(sums[i]! + flag)
    return [...this.#values.keys()]
      .flatMap((v) => {
        const [leaves, returns] = [this.#leaves[v]!, this.#returns[v]!]
        if (this.#bytes[v]! < MIN_BYTES || this.#stays[v] || !Number.isFinite(returns) || chosen.has(v)) return []
        const crowded = sums[returns]! - sums[leaves + 1]!
        const seconds = [...(this.chainOf(v, chosen)?.keys() ?? [])].reduce(
          (sum, s) => sum + this.#seconds[this.#producer[s]!]!,
          0,
        )
        return crowded > 0 ? [{ v, worth: (this.#bytes[v]! * crowded) / (seconds + 1e-7) }] : []
      })
      .sort((a, b) => b.worth - a.worth)
      .map(({ v }) => v)
  }

  /** The storage and all that would have to be computed anew with it because it is gone by then; undefined when that is too much. */
  chainOf(storage: number, chosen: Chosen): Chosen | undefined {
    const until = this.#returns[storage]!
    const chain: Chosen = new Map([[storage, this.#leaves[storage]!]])
    for (const [s] of chain) {
      for (const v of this.#inputs[this.#producer[s]!]!) {
        const from = this.#storage[v]!
        if (chosen.has(from) || this.#last[from]! >= until || this.#bytes[from]! < MIN_BYTES) continue
        if (this.#stays[from]) return undefined
        chain.set(from, this.#last[from]!)
      }
      if (chain.size > MAX_CHAIN) return undefined
    }
    return chain
  }

  /** All runs in order, with what is chosen run again where it is needed; `read` is told of every value that a run reads. */
  #runs(chosen: Chosen, read: (run: number, value: number, again: boolean) => void): Run[] {
    const runs: Run[] = []
    const made = new Set<number>()
    const isAgain = (v: number, at: number) => {
      const leaves = chosen.get(this.#storage[v]!)
      return leaves !== undefined && at > leaves
    }
    const add = (operation: number, at: number, again: boolean) => {
      for (const v of this.#inputs[operation]!) if (isAgain(v, at) && !made.has(v)) add(this.#producer[v]!, at, true)
      const run = runs.push({ at: operation, again }) - 1
      for (const v of this.#inputs[operation]!) read(run, v, isAgain(v, at))
      if (again) for (const v of this.#outputs[operation]!) made.add(v)
    }
    // A view of what is gone by then is made again where it is read.
    for (const [at, operation] of this.#order.entries())
      if (!isView(operation) || !isAgain(this.#outputs[at]![0]!, at)) add(at, at, false)
    return runs
  }

  measure(chosen: Chosen, limit: number): Measured {
    const count = this.#values.length
    const lastRead = new Int32Array(2 * count).fill(-1)
    const runs = this.#runs(chosen, (run, v, again) => {
      lastRead[this.#storage[v]! + (again ? count : 0)] = run
    })
    const freed = new Float64Array(runs.length)
    const above = new Uint8Array(this.#order.length)
    const born = runs.map(({ at, again }, run): Stay[] => {
      const stays: Stay[] = []
      for (const v of this.#outputs[at]!) {
        const bytes = this.#bytes[v]!
        const last = lastRead[v + (again ? count : 0)]!
        // A second run's further results are left out where nobody reads them.
        if (bytes > 0 && (!again || last >= 0)) stays.push({ kind: this.#kind[v]!, bytes, last: Math.max(last, run) })
      }
      return stays
    })
    const held = heldBytes(born, this.#kinds.count)
    let [alive, peak, excess] = [0, 0, 0]
    for (const [run, { at, again }] of runs.entries()) {
      for (const { bytes, last } of born[run]!) {
        alive += bytes
        freed[last]! += bytes
      }
      peak = Math.max(peak, held[run]!)
      if (held[run]! > limit) {
        // Of several of one kind that are too many at several times, the first that goes lessens what is read later, not yet what is held.
        excess += held[run]! - limit + Math.max(0, alive - limit)
        if (!again) above[at] = 1
      }
      alive -= freed[run]!
    }
    return { peak, excess, above }
  }

  /** The operations, with those that are run again as operations of their own. */
  write(b: GraphBuilder, chosen: Chosen): Operation[] {
    const reads = new Map<string, boolean>()
    const runs = this.#runs(chosen, (run, v, again) => reads.set(`${run}|${v}`, again))
    const copies = new Map<string, Value>()
    const numbers = new Map(this.#values.map((v, i) => [v.name, i]))
    return runs.map(({ at, again }, run) => {
      const operation = this.#order[at]!
      const inputs = operation.inputs.map((v) => {
        const number = v && numbers.get(v.name)
        return number !== undefined && reads.get(`${run}|${number}`) ? copies.get(v!.name)! : v
      })
      if (!again) return { ...operation, inputs }
      const copy = b.repeat(operation, inputs)
      for (const [k, v] of operation.outputs.entries()) copies.set(v.name, copy.outputs[k]!)
      return copy
    })
  }
}
