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

/** The value whose memory each value of the operations lies in, by name: its own but for views. */
export function storagesOf(operations: readonly Operation[]): Map<string, Value> {
  const storages = new Map<string, Value>()
  for (const operation of operations)
    for (const v of operation.outputs) {
      const viewed = isView(operation) ? storages.get(operation.inputs[0]!.name) : undefined
      storages.set(v.name, viewed ?? v)
    }
  return storages
}

/**
 * Most bytes of the operations' results alive at once, when a result is freed after its last reader. What graphs are given (inputs, weights,
 * constants) does not count, nor does what has a place of its own.
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
  const freed = order.map((): number => 0)
  let [alive, most] = [0, 0]
  for (const [i, operation] of order.entries()) {
    for (const [k, v] of operation.outputs.entries()) {
      if (storages.get(v.name) !== v || placed.has(v.name) || (k > 0 && !read.has(v.name))) continue
      alive += bytesOfValue(v)
      freed[lastUse.get(v.name)!]! += bytesOfValue(v)
    }
    most = Math.max(most, alive)
    alive -= freed[i]!
  }
  return most
}
