import type { Optimizer } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import type { Value } from './operator.ts'
import { adafactorDirection, muonDirection } from './optimizers/matrices.ts'
import { optimizerScalars, type UpdateRule, updateRules } from './optimizers/rules.ts'
import { range } from './shape.ts'

export { optimizerScalars, type Scalars, type UpdateRule, updateRules } from './optimizers/rules.ts'

/** Added to the norm so that a zero gradient divides by something (PyTorch's clip_grad_norm_). */
const CLIP_EPSILON = 1e-6

export interface Update {
  /** Next value of each parameter, in order. */
  parameters: Value[]
  /** State tensors (inputs) with their next values. */
  state: { value: Value; next: Value }[]
}

/**
 * Emits one optimiser step: first the gradients are cut (`clipValue`, then `clip`, over all of them), then each parameter p with its
 * gradient g is stepped by its rule ({@link updateRules}), which consumes the cut gradient.
 *
 * The rules of sgd, adam, adamw and lion are these elementwise float32 operations, each rounded, in this order (a kernel in the graph's place
 * must round where they do). Products and sums are written as computed: (a*b)+c is a Mul and an Add. rate, decay and epsilon are the
 * rule's scalars, mu, b1 and b2 its constants as float32.
 * ```
 * sgd, adam with decay   g' = g + (p*decay)                    (else g' = g)
 * sgd                    p' = p - (g'*rate)
 * sgd with momentum      m' = (m*mu) + g';                     p' = p - (m'*rate)
 * sgd, Nesterov          m' = (m*mu) + g';                     p' = p - ((g' + (m'*mu))*rate)
 * adam                   m' = (m*b1) + g'; v' = (v*b2) + (g'*g'); p' = p - ((m'*rate) / (sqrt(v') + epsilon))
 * adamw                  the same with g' = g and, with decay, (p*decay) in place of p in the last line
 * lion                   u = sign(g + ((m-g)*b1));              m' = g + ((m-g)*b2);        p' = [(p*decay) or p] - (u*rate)
 * ```
 * Lion is Chen et al. 2023 ("Symbolic discovery of optimization algorithms").
 */
export function emitUpdate(
  b: GraphBuilder,
  optimizer: Optimizer,
  parameters: readonly Value[],
  gradients: readonly Value[],
): Update {
  const { names } = optimizerScalars(optimizer)
  const scalars = new Map(names.map((name) => [name, b.input(name, 'float32', [])]))
  const cut = clipped(b, optimizer, gradients)
  const state: Update['state'] = []
  const rules = updateRules(optimizer, parameters)
  const next = parameters.map((p, i) => {
    const rule = rules[i]!
    const old = rule.state.map(({ name, dtype, shape }) => b.input(name, dtype, shape))
    const stepped = step(b, optimizer, rule, p, cut[i]!, old, (name) => scalars.get(name)!)
    for (const [k, value] of old.entries()) state.push({ value, next: stepped.state[k]! })
    return stepped.p
  })
  return { parameters: next, state }
}

function step(
  b: GraphBuilder,
  optimizer: Optimizer,
  rule: UpdateRule,
  p: Value,
  gradient: Value,
  old: readonly Value[],
  scalar: (name: string) => Value,
): { p: Value; state: Value[] } {
  const rate = scalar(rule.scalars.rate)
  const decay = rule.scalars.decay === undefined ? undefined : scalar(rule.scalars.decay)
  const coupled = rule.kind === 'sgd' || rule.kind === 'adam'
  const g = decay && coupled ? b.add(gradient, b.mul(p, decay)) : gradient
  const kept = decay && !coupled ? b.mul(p, decay) : p
  const moved = (i: number, by: number, added: Value) => b.add(b.scale(old[i]!, by), added)
  switch (rule.kind) {
    case 'sgd': {
      if (!old.length) return { p: b.sub(p, b.mul(g, rate)), state: [] }
      const m = moved(0, rule.momentum!, g)
      const direction = rule.nesterov ? b.add(g, b.scale(m, rule.momentum!)) : m
      return { p: b.sub(p, b.mul(direction, rate)), state: [m] }
    }
    case 'adam':
    case 'adamw': {
      const m = moved(0, rule.beta1!, g)
      const v = moved(1, rule.beta2!, b.mul(g, g))
      const update = b.div(b.mul(m, rate), b.add(b.one('Sqrt', [v]), scalar(rule.scalars.epsilon!)))
      return { p: b.sub(kept, update), state: [m, v] }
    }
    case 'lion': {
      const between = (beta: number) => b.add(g, b.scale(b.sub(old[0]!, g), beta))
      const direction = b.one('Sign', [between(rule.beta1!)])
      return { p: b.sub(kept, b.mul(direction, rate)), state: [between(rule.beta2!)] }
    }
    case 'adafactor': {
      const settings = optimizer as Extract<Optimizer, { kind: 'adafactor' }>
      const [keep, take] = [scalar(rule.scalars.keep!), scalar(rule.scalars.take!)]
      const { direction, next } = adafactorDirection(b, settings, g, old, keep, take)
      return { p: b.sub(kept, b.mul(direction, rate)), state: next }
    }
    case 'muon': {
      const settings = optimizer as Extract<Optimizer, { kind: 'muon' }>
      const m = moved(0, rule.momentum!, g)
      return { p: b.sub(kept, b.mul(muonDirection(b, settings, g, m), rate)), state: [m] }
    }
  }
}

/** Gradients after clipping: each element to ±`clipValue`, then all scaled so that their joint norm is at most `clip`. */
function clipped(b: GraphBuilder, { clip, clipValue }: Optimizer, gradients: readonly Value[]): readonly Value[] {
  const cut =
    clipValue === undefined
      ? gradients
      : gradients.map((g) => b.one('Max', [b.one('Min', [g, b.scalar(clipValue)]), b.scalar(-clipValue)]))
  return clip === undefined ? cut : scaled(b, cut, clip)
}

function scaled(b: GraphBuilder, gradients: readonly Value[], limit: number): Value[] {
  // Written from the last weight's, whose gradient is there first: the runtime works its way to them in this order.
  const squares = gradients
    .toReversed()
    .map((g) => b.reshape(b.sum(b.mul(g, g), range(g.shape.length)), [1]))
    .reverse()
  const norm = b.one('Sqrt', [b.sum(b.concat(squares, 0))])
  const factor = b.one('Min', [b.div(b.scalar(limit), b.add(norm, b.scalar(CLIP_EPSILON))), b.scalar(1)])
  return gradients.map((g) => b.mul(g, factor))
}
