import type { GraphBuilder } from './builder.ts'
import { located, placeOf, unsupported } from './failures.ts'
import type { Value } from './operator.ts'
import { operators } from './operators/index.ts'

/**
 * Reverse-mode differentiation of what the builder holds so far: emits the operations that compute dL/dw.
 * @param seeds dL/dv for the values the loss is taken on
 * @param weights what to differentiate by
 * @returns dL/dw by the weight's name, for those weights that the loss depends on
 * @throws PinGoError GRAPH_UNSUPPORTED naming the user's node whose gradient is not known
 */
export function differentiate(
  b: GraphBuilder,
  seeds: readonly (readonly [Value, Value])[],
  weights: readonly Value[],
): Map<string, Value> {
  const operations = [...b.operations]
  const wanted = new Set(weights.map((w) => w.name))
  for (const { op, inputs, outputs } of operations) {
    if (operators.get(op)?.stopsGradient || !inputs.some((v) => v && wanted.has(v.name))) continue
    for (const v of outputs) if (v.dtype === 'float32') wanted.add(v.name)
  }
  const grads = new Map<string, Value>()
  const accumulate = (v: Value, g: Value) => {
    const sum = grads.get(v.name)
    grads.set(v.name, sum ? b.add(sum, g) : g)
  }
  for (const [v, g] of seeds) if (wanted.has(v.name)) accumulate(v, g)
  for (const operation of operations.reverse()) {
    const { op, attributes, inputs, outputs, origin } = operation
    const wants = inputs.map((v) => v !== undefined && v.dtype === 'float32' && wanted.has(v.name))
    const given = outputs.map((v) => grads.get(v.name))
    const rule = operators.get(op)!
    if (!wants.some(Boolean) || !given.some(Boolean) || rule.stopsGradient) continue
    const place = placeOf(origin, op, inputs)
    if (!rule.gradient) throw unsupported(place, 'its gradient is not supported')
    b.origin = origin
    try {
      const result = rule.gradient({ b, op, attributes, inputs, outputs, grads: given, wants })
      for (const [i, g] of result.entries()) if (g && wants[i]) accumulate(inputs[i]!, g)
    } catch (error) {
      throw located(error, place)
    }
  }
  return new Map(weights.flatMap((w) => (grads.has(w.name) ? [[w.name, grads.get(w.name)!]] : [])))
}
