import type { GraphBuilder, Operation } from './builder.ts'
import { float } from './model.ts'
import type { Value, Values } from './operator.ts'

/** Operations that were made for certain gradients alone, and how often they read each value. */
export class MadeFor {
  readonly #operations: ReadonlySet<Operation>
  readonly #readers = new Map<string, number>()
  readonly #gradients = new Map<string, number>()

  /**
   * @param from position in the builder's operations at which they begin
   * @param gradients all that they were made for, each as often as it is given to somebody
   */
  constructor(b: GraphBuilder, from: number, gradients: Values) {
    this.#operations = new Set(b.operations.slice(from))
    for (const { inputs } of this.#operations) for (const v of new Set(inputs)) count(this.#readers, v)
    for (const g of gradients) count(this.#gradients, g)
  }

  /** The product that g is, be it in another shape, where nobody else has or reads it; undefined where there is none. */
  productOf(b: GraphBuilder, g: Value): Operation | undefined {
    if (this.#gradients.get(g.name) !== 1 || this.#readers.has(g.name)) return undefined
    let made = b.producers.get(g.name)
    while (made?.op === 'Reshape' && this.#readers.get(made.inputs[0]!.name) === 1)
      made = b.producers.get(made.inputs[0]!.name)
    return made?.op === 'Gemm' && !made.inputs[2] && this.#operations.has(made) ? made : undefined
  }
}

function count(map: Map<string, number>, v: Value | undefined): void {
  if (v) map.set(v.name, (map.get(v.name) ?? 0) + 1)
}

/**
 * sum + g. A matrix product that was made for this sum alone takes the sum in as it is computed (Gemm's C), instead of being held beside it and added.
 * @param made absent where g may be another's, too
 */
export function plusGradient(b: GraphBuilder, sum: Value, g: Value, made?: MadeFor): Value {
  const product = made?.productOf(b, g)
  if (!product) return b.add(sum, g)
  const { attributes, inputs, outputs } = product
  const added = b.one('Gemm', [inputs[0], inputs[1], b.reshape(sum, outputs[0]!.shape)], {
    ...attributes,
    beta: float(1),
  })
  return b.reshape(added, g.shape)
}
