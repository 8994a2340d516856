import type { GraphBuilder, Operation } from './builder.ts'
import { float } from './model.ts'
import type { Value, Values } from './operator.ts'

/**
 * sum + g. A matrix product that nobody else reads takes the sum in as it is computed (Gemm's C), instead of being held beside it and added.
 * @param from position in the builder's operations since which all was made for `g` and what goes with it; undefined where `g` may be another's, too
 */
export function plusGradient(b: GraphBuilder, sum: Value, g: Value, from = b.operations.length): Value {
  const fresh = b.operations.slice(from)
  const isRead = (v: Value, by?: Operation) =>
    fresh.some((operation) => operation !== by && operation.inputs.some((input) => input?.name === v.name))
  let [v, reader]: [Value, Operation | undefined] = [g, undefined]
  let made = b.producers.get(v.name)
  while (made?.op === 'Reshape' && !isRead(v, reader)) {
    ;[v, reader] = [made.inputs[0]!, made]
    made = b.producers.get(v.name)
  }
  const isOwn = made?.op === 'Gemm' && !made.inputs[2] && fresh.includes(made) && !isRead(v, reader)
  if (!made || !isOwn) return b.add(sum, g)
  const added = b.one('Gemm', [made.inputs[0], made.inputs[1], b.reshape(sum, v.shape)], {
    ...made.attributes,
    beta: float(1),
  })
  return b.reshape(added, g.shape)
}

/** Whether g is one of the gradients only once. */
export const isOnce = (gradients: Values, g: Value): boolean =>
  gradients.filter((other) => other?.name === g.name).length === 1
