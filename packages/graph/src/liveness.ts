import { bytesOf, sizeOf } from '@pingo/wire'
import type { Operation } from './builder.ts'
import type { Value } from './operator.ts'

/** Operations that give their first input's memory another shape. */
const VIEWS = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity'])

export const isView = ({ op }: Operation): boolean => VIEWS.has(op)

export const bytesOfValue = ({ shape, dtype }: Pick<Value, 'shape' | 'dtype'>): number => sizeOf(shape) * bytesOf(dtype)

/**
 * Operations in the order in which ONNX Runtime runs them: depth first from the operations that nobody reads, of two the one that was
 * written first (the engine writes graphs for the runtime so that this holds). Operations given in this order keep it.
 */
export function executionOrder(operations: readonly Operation[]): Operation[] {
  const at = new Map(operations.flatMap((o, i) => o.outputs.map((v) => [v.name, i] as const)))
  const sources = operations.map(({ inputs }) => {
    const found = inputs.map((v) => (v ? at.get(v.name) : undefined)).filter((i) => i !== undefined)
    return [...new Set(found)].sort((a, b) => b - a)
  })
  const read = new Set(sources.flat())
  const stack = [...operations.keys()].filter((i) => !read.has(i)).reverse()
  const met = new Uint8Array(operations.length)
  const order: Operation[] = []
  while (stack.length) {
    const i = stack.pop()!
    // A number below zero closes an operation whose inputs are all there.
    if (i < 0) order.push(operations[~i]!)
    else if (!met[i]) {
      met[i] = 1
      stack.push(~i, ...sources[i]!.filter((source) => !met[source]))
    }
  }
  return order
}

/** The value whose memory each value of the operations lies in, by name: its own but for views, be they of results or of what a graph is given. */
export function storagesOf(operations: readonly Operation[]): Map<string, Value> {
  const storages = new Map<string, Value>()
  for (const operation of operations)
    for (const v of operation.outputs) {
      const viewed = isView(operation) ? operation.inputs[0] : undefined
      storages.set(v.name, viewed ? (storages.get(viewed.name) ?? viewed) : v)
    }
  return storages
}

/** A result of one run of an operation: what memory it takes, and in which run it is read for the last time. */
export interface Stay {
  /** Results of one kind can take each other's place: those of one shape and type. A number below the number of kinds. */
  kind: number
  bytes: number
  last: number
}

/** Memory that one result has after the other, and the runs in which it is taken and freed. */
interface Place {
  bytes: number
  kind: number
  first: number
  last: number
}

/**
 * Bytes held in each run. ONNX Runtime gives a result the memory of an earlier one of the same shape and type that nobody needs any more, and
 * frees memory after the last of all results that will lie in it: memory that waits for its next result is held.
 * @param born the results of each run, in order
 */
export function heldBytes(born: readonly (readonly Stay[])[], kinds: number): Float64Array {
  const free: Place[][] = Array.from({ length: kinds }, () => [])
  const left: Place[][] = born.map(() => [])
  const places: Place[] = []
  for (const [run, stays] of born.entries()) {
    for (const { kind, bytes, last } of stays) {
      let place = free[kind]!.pop()
      if (!place) places.push((place = { bytes, kind, first: run, last: run }))
      place.last = Math.max(last, run)
      left[place.last]!.push(place)
    }
    for (const place of left[run]!) free[place.kind]!.push(place)
  }
  const held = new Float64Array(born.length + 1)
  for (const { first, last, bytes } of places) {
    held[first]! += bytes
    held[last + 1]! -= bytes
  }
  for (let run = 1; run < held.length; run++) held[run]! += held[run - 1]!
  return held.subarray(0, born.length)
}

/** Numbers for shapes and types, as they come. */
export class Kinds {
  readonly #numbers = new Map<string, number>()

  of({ dtype, shape }: Pick<Value, 'shape' | 'dtype'>): number {
    const key = `${dtype} ${shape.join()}`
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    this.#numbers.set(key, this.#numbers.size)
    return this.#numbers.size - 1
  }

  get count(): number {
    return this.#numbers.size
  }
}

/**
 * Most bytes of the operations' results held at once. What graphs are given (inputs, weights, constants) does not count, nor does what has a
 * place of its own.
 * @param order as {@link executionOrder} gives it
 * @param placed names of results that are written to memory of the caller's
 */
export function peakOf(order: readonly Operation[], placed: ReadonlySet<string>): number {
  const storages = storagesOf(order)
  const lastUse = new Map<string, number>()
  for (const [i, { inputs, outputs }] of order.entries())
    for (const v of [...inputs, ...outputs]) {
      const storage = v && storages.get(v.name)
      if (storage) lastUse.set(storage.name, i)
    }
  const read = new Set(order.flatMap(({ inputs }) => inputs.map((v) => v?.name)))
  // What a result with a place of its own is a view of is written there at once.
  const elsewhere = new Set([...placed].map((name) => storages.get(name)?.name))
  const kinds = new Kinds()
  const born = order.map(({ outputs }) =>
    outputs.flatMap((v, k): Stay[] => {
      if (storages.get(v.name) !== v || elsewhere.has(v.name) || (k > 0 && !read.has(v.name))) return []
      return [{ kind: kinds.of(v), bytes: bytesOfValue(v), last: lastUse.get(v.name)! }]
    }),
  )
  return heldBytes(born, kinds.count).reduce((most, bytes) => Math.max(most, bytes), 0)
}
