import type { GraphBuilder } from './builder.ts'
import { located, placeOf, unsupported } from './failures.ts'
import { JoinedGathers } from './joined-gathers.ts'
import { JoinedSlices } from './joined-slices.ts'
import type { Value } from './operator.ts'
import { operators } from './operators/index.ts'
import { SharedProducts } from './shared-products.ts'
import { MadeFor, plusGradient } from './sum-of-gradients.ts'

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
  const accumulate = (v: Value, g: Value, made?: MadeFor) => {
    const sum = grads.get(v.name)
    grads.set(v.name, sum ? plusGradient(b, sum, g, made) : g)
  }
  const products = new SharedProducts(b, operations)
  const slices = new JoinedSlices(b)
  const gathers = new JoinedGathers(b)
  // Whatever reads a value comes after what makes it, so all that was kept for it is there by now.
  const gradientOf = (v: Value) => {
    for (const kept of [products, slices, gathers]) {
      const g = kept.flush(v)
      if (g) accumulate(v, g)
    }
    return grads.get(v.name)
  }
  const latest = operations.findLast(({ op, outputs }) => operators.get(op)?.remade && wanted.has(outputs[0]!.name))
  for (const [v, g] of seeds) if (wanted.has(v.name)) accumulate(v, g)
  for (const operation of operations.reverse()) {
    const { op, attributes, inputs, outputs, origin } = operation
    const wants = inputs.map((v) => v !== undefined && v.dtype === 'float32' && wanted.has(v.name))
    const given = outputs.map(gradientOf)
    const rule = operators.get(op)!
    if (!wants.some(Boolean) || !given.some(Boolean) || rule.stopsGradient) continue
    const place = placeOf(origin, op, inputs)
    if (!rule.gradient) throw unsupported(place, 'its gradient is not supported')
    b.origin = origin ? `${origin}/grad` : 'grad'
    for (const [i, v] of outputs.entries()) nameGradient(b, v, given[i])
    if (slices.take(operation, given[0]!) || gathers.take(operation, given[0]!)) continue
    try {
      const taken = products.take(operation, given[0]!, wants)
      const open = wants.map((want, i) => want && !taken[i])
      const read = inputs.map((v) => v && (wanted.has(v.name) && v !== latest?.outputs[0] ? remade(b, v) : v))
      const from = b.operations.length
      const result = rule.gradient({ b, op, attributes, inputs: read, outputs, grads: given, wants: open })
      const made = new MadeFor(b, from, result)
      for (const [i, g] of result.entries()) if (g && open[i]) accumulate(inputs[i]!, g, made)
    } catch (error) {
      throw located(error, place)
    }
  }
  b.origin = ''
  return new Map(
    weights.flatMap((w): [string, Value][] => {
      const g = gradientOf(w)
      return g ? [[w.name, g]] : []
    }),
  )
}

/** What a gradient reads for `v`. */
function remade(b: GraphBuilder, v: Value): Value {
  const made = b.producers.get(v.name)
  return (made && operators.get(made.op)?.remade?.({ ...made, b })) ?? v
}

function nameGradient(b: GraphBuilder, v: Value, g: Value | undefined): void {
  const name = b.labelOf(v)
  if (g && name !== undefined) b.label(g, `${name}/grad`)
}
