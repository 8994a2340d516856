import type { GraphBuilder, Operation } from './builder.ts'
import { floatOf, intOf } from './model.ts'
import type { Value } from './operator.ts'

/** One use of a weight: the other factor and dL/d product, and how they stand in it. */
interface Use {
  x: Value
  g: Value
  transB: boolean
  scale: number
}

/**
 * The gradients of weights and biases that many small products share, as the steps of an unrolled recurrent layer do. Their sum
 * Σ xₜᵀ gₜ is one product of the joined rows, [x₁; x₂; …]ᵀ [g₁; g₂; …]: one large Gemm instead of many small ones, each of which would be as
 * large as the weight when it is added.
 */
export class SharedProducts {
  readonly #b: GraphBuilder
  readonly #shared = new Set<string>()
  readonly #products = new Map<string, Use[]>()
  readonly #biases = new Map<string, Use[]>()

  /** @param operations what is going to be differentiated */
  constructor(b: GraphBuilder, operations: readonly Operation[]) {
    this.#b = b
    const rows = new Map<string, number[]>()
    for (const operation of operations) {
      const weight = factorsOf(operation)?.weight
      if (weight) rows.set(weight.name, [...(rows.get(weight.name) ?? []), operation.outputs[0]!.shape[0]!])
    }
    for (const operation of operations) {
      const factors = factorsOf(operation)
      const list = factors && rows.get(factors.weight.name)
      if (!factors || !list || list.length < 2) continue
      const [k, n] = factors.weight.shape as [number, number]
      const joined = list.reduce((sum, m) => sum + m, 0) * (k + n)
      if (joined > 2 * list.length * k * n) continue
      this.#shared.add(factors.weight.name)
      if (factors.bias) this.#shared.add(factors.bias.name)
    }
  }

  /** Keeps what `operation` adds to its weight's and bias's gradients for later; says which inputs it took. */
  take(operation: Operation, g: Value, wants: readonly boolean[]): boolean[] {
    const { attributes } = operation
    const factors = factorsOf(operation)
    if (!factors) return []
    const { x, weight, bias, transB } = factors
    const taken = [false, wants[1]! && this.#shared.has(weight.name), false]
    if (taken[1]) append(this.#products, weight.name, { x, g, transB, scale: floatOf(attributes, 'alpha', 1) })
    if (bias && wants[2] && this.#shared.has(bias.name)) {
      taken[2] = true
      append(this.#biases, bias.name, { x, g, transB, scale: floatOf(attributes, 'beta', 1) })
    }
    return taken
  }

  /** What was kept for a value, as one sum; undefined when nothing was. */
  flush(value: Value): Value | undefined {
    const b = this.#b
    const parts = [
      ...groups(this.#products.get(value.name)).map(([{ transB, scale }, x, g]) => {
        const [rows, grads] = [b.concat(x, 0), b.concat(g, 0)]
        return transB ? b.gemm(grads, rows, true, false, scale) : b.gemm(rows, grads, true, false, scale)
      }),
      ...groups(this.#biases.get(value.name)).map(([{ scale }, , g]) =>
        b.scale(b.reshape(b.sum(b.concat(g, 0), [0]), value.shape), scale),
      ),
    ]
    this.#products.delete(value.name)
    this.#biases.delete(value.name)
    return parts.length ? parts.reduce((a, p) => b.add(a, p)) : undefined
  }
}

const PRODUCTS = new Set(['Gemm', 'MatMul', 'FusedMatMul'])

/** x · weight (+ bias of one row) of two matrices, or undefined for anything else. */
function factorsOf({ op, attributes, inputs: [x, weight, bias] }: Operation) {
  if (!PRODUCTS.has(op) || x!.shape.length !== 2 || weight!.shape.length !== 2) return undefined
  if (intOf(attributes, 'transA', 0) === 1) return undefined
  const transB = intOf(attributes, 'transB', 0) === 1
  const width = weight!.shape[transB ? 0 : 1]!
  const row = bias?.shape.at(-1) === width && bias.shape.slice(0, -1).every((n) => n === 1) ? bias : undefined
  return { x: x!, weight: weight!, bias: row, transB }
}

function append(map: Map<string, Use[]>, name: string, use: Use): void {
  const list = map.get(name)
  if (list) list.push(use)
  else map.set(name, [use])
}

/** Uses that can be joined, in the order of the forward graph: [one of them, the other factors, the gradients]. */
function groups(uses: readonly Use[] = []): [Use, Value[], Value[]][] {
  const by = new Map<string, Use[]>()
  for (const use of uses) append(by, `${use.transB}|${use.scale}`, use)
  return [...by.values()].map((list) => {
    const forward = list.toReversed()
    return [list[0]!, forward.map(({ x }) => x), forward.map(({ g }) => g)]
  })
}
