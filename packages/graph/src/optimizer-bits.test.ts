import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type OptimizerInput, OptimizerSchema } from '@pingo/wire'
import { optimizerScalars, updateRules } from './index.ts'
import { gradientOf, initial, names, RATE, STEPS, shapes, train } from './testing/linear.ts'

const f = Math.fround
const add = (a: number, b: number) => f(a + b)
const sub = (a: number, b: number) => f(a - b)
const mul = (a: number, b: number) => f(a * b)

/** The operations that `emitUpdate` documents, one element at a time: what a kernel in the graph's place does. */
function stepped(input: OptimizerInput): Map<string, Float32Array> {
  const optimizer = OptimizerSchema.parse(input)
  const rules = updateRules(
    optimizer,
    names.map((name) => ({ name, shape: shapes[name]! })),
  )
  const held = new Map<string, Float32Array>()
  for (const { name, state } of rules) {
    held.set(name, Float32Array.from(initial.get(name)!.data as Float32Array))
    for (const slot of state) held.set(slot.name, new Float32Array(held.get(name)!.length))
  }
  for (let t = 1; t <= STEPS; t++) {
    const scalars = optimizerScalars(optimizer).at(t, RATE)
    for (const rule of rules) {
      const value = (name: string | undefined) => (name === undefined ? undefined : f(scalars[name]!))
      const [rate, epsilon, decay] = [rule.scalars.rate, rule.scalars.epsilon, rule.scalars.decay].map(value)
      const [b1, b2, mu] = [rule.beta1, rule.beta2, rule.momentum].map((x) => f(x ?? 0)) as [number, number, number]
      const p = held.get(rule.name)!
      const [m, v] = rule.state.map(({ name }) => held.get(name)!)
      for (const [i, gradient] of gradientOf(rule.name, t - 1).entries()) {
        const coupled = rule.kind === 'sgd' || rule.kind === 'adam'
        const g = decay !== undefined && coupled ? add(gradient, mul(p[i]!, decay)) : gradient
        const kept = decay !== undefined && !coupled ? mul(p[i]!, decay) : p[i]!
        if (rule.kind === 'sgd') {
          if (!m) p[i] = sub(p[i]!, mul(g, rate!))
          else {
            m[i] = add(mul(m[i]!, mu), g)
            p[i] = sub(p[i]!, mul(rule.nesterov ? add(g, mul(m[i]!, mu)) : m[i]!, rate!))
          }
        } else if (rule.kind === 'lion') {
          const apart = sub(m![i]!, g)
          p[i] = sub(kept, mul(Math.sign(add(g, mul(apart, b1))), rate!))
          m![i] = add(g, mul(apart, b2))
        } else {
          m![i] = add(mul(m![i]!, b1), g)
          v![i] = add(mul(v![i]!, b2), mul(g, g))
          p[i] = sub(kept, f(mul(m![i]!, rate!) / add(f(Math.sqrt(v![i]!)), epsilon!)))
        }
      }
    }
  }
  return held
}

const groups = [
  { match: ['bias'], weightDecay: 0.2 },
  { match: ['wide'], rate: 0.3 },
]
for (const input of [
  { kind: 'sgd' },
  { kind: 'sgd', weightDecay: 0.1 },
  { kind: 'sgd', momentum: 0.9, weightDecay: 0.1, groups },
  { kind: 'sgd', momentum: 0.9, nesterov: true },
  { kind: 'adam', weightDecay: 0.1, groups },
  { kind: 'adamw', weightDecay: 0.1 },
  { kind: 'adamw', weightDecay: 0.1, groups },
  { kind: 'lion', weightDecay: 0.1, groups },
] satisfies OptimizerInput[])
  test(`${JSON.stringify(input)}: the documented operations give the graph's bits`, async () => {
    const expected = stepped(input)
    const held = await train(input)
    assert.deepEqual([...held.keys()].sort(), [...expected.keys()].sort())
    for (const [name, data] of expected) assert.deepEqual(held.get(name)!.data, data, name)
  })
