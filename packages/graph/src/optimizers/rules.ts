import { type Optimizer, sizeOf, type TensorSpec } from '@pingo/wire'
import { matchesAny } from '../patterns.ts'

/** Prefix of the step graph's scalar inputs, and of the optimiser's state tensors. */
export const PREFIX = 'optimizer.'
const RATE = `${PREFIX}rate`
const DECAY = `${PREFIX}decay`
const EPSILON = `${PREFIX}epsilon`
/** Learning rate of the AdamW that steps what muon does not. */
const ADAMW_RATE = `${PREFIX}adamw_rate`
const ADAFACTOR_KEEP = `${PREFIX}keep`
const ADAFACTOR_TAKE = `${PREFIX}take`

export interface Scalars {
  names: string[]
  /** Values of the scalar inputs at a step (counted from 1) and learning rate. */
  at(step: number, learningRate: number): Record<string, number>
}

/** How one parameter is stepped: all that the emitted graph, or a kernel in its place, goes by. */
export interface UpdateRule {
  /** The parameter's. */
  name: string
  shape: readonly number[]
  /** That of the optimiser, but for muon's vectors and embeddings: those are adamw's. */
  kind: Optimizer['kind']
  /** Multiplies the learning rate; already part of the scalars. */
  lrScale: number
  /** Weight decay; 0: none. Already part of the scalars. */
  decay: number
  /** Names of the scalar inputs that it reads. */
  scalars: { rate: string; decay?: string; epsilon?: string; keep?: string; take?: string }
  /** State tensors in the order of the step graph. */
  state: TensorSpec[]
  /** sgd, muon. */
  momentum?: number
  nesterov?: boolean
  /** adam, adamw, lion. */
  beta1?: number
  beta2?: number
}

/** Whether weight decay shrinks the weights (Loshchilov and Hutter 2019) instead of being added to the gradient. */
const isDecoupled = (kind: Optimizer['kind']) => kind !== 'sgd' && kind !== 'adam'

/** A multiplier of the learning rate, or a weight decay, that parameters may have: named once. */
function namer(base: string, first: string | undefined) {
  const names = new Map<string, string>(first === undefined ? [] : [[first, base]])
  return (key: string): string => {
    const known = names.get(key)
    if (known) return known
    const name = `${base}.${names.size + (first === undefined ? 1 : 0)}`
    names.set(key, name)
    return name
  }
}

interface Treatment {
  lrScale: number
  decay: number
}

/** Every treatment that the optimiser's groups allow: the names of the scalars are the same for each model. */
function naming(optimizer: Optimizer) {
  const { weightDecay, groups = [] } = optimizer
  const rateKey = ({ lrScale }: Treatment) => `${lrScale}`
  const decayKey = ({ lrScale, decay }: Treatment) => (isDecoupled(optimizer.kind) ? `${lrScale * decay}` : `${decay}`)
  const usual = { lrScale: 1, decay: weightDecay }
  const [rate, adamw] = [namer(RATE, rateKey(usual)), namer(ADAMW_RATE, rateKey(usual))]
  const decay = namer(DECAY, weightDecay > 0 ? decayKey(usual) : undefined)
  const names = {
    rate: (t: Treatment) => rate(rateKey(t)),
    adamwRate: (t: Treatment) => adamw(rateKey(t)),
    decay: (t: Treatment) => (t.decay > 0 && t.lrScale * t.decay > 0 ? decay(decayKey(t)) : undefined),
  }
  const treatments = [
    usual,
    ...groups
      .filter(({ freeze }) => !freeze)
      .map((group) => ({ lrScale: group.rate ?? 1, decay: group.weightDecay ?? weightDecay })),
  ]
  for (const t of treatments) for (const name of Object.values(names)) name(t)
  return { ...names, treatments }
}

/**
 * The scalar inputs of the step graph, float32 []. `optimizer.rate` multiplies the update, `optimizer.decay` the weights (the decayed weights'
 * factor 1 - rate * decay; for SGD and Adam the decay itself, which is added to the gradient). Groups of another rate or decay have
 * scalars of their own, `optimizer.rate.1` and so on.
 *
 * Adam's bias correction is folded into rate and epsilon for moments kept as M = m/(1-b1), V = v/(1-b2) (Kingma and Ba 2015, section 2,
 * last paragraph, with the scaling taken one step further).
 */
export function optimizerScalars(optimizer: Optimizer): Scalars {
  const { kind } = optimizer
  const naming_ = naming(optimizer)
  const { treatments } = naming_
  const usesAdam = kind === 'adam' || kind === 'adamw' || kind === 'muon'
  const adamRate = (t: Treatment) => (kind === 'muon' ? naming_.adamwRate(t) : naming_.rate(t))
  const values = (step: number, rate: number): Record<string, number> => {
    const scalars: Record<string, number> = {}
    if (kind !== 'adam' && kind !== 'adamw') for (const t of treatments) scalars[naming_.rate(t)] = rate * t.lrScale
    if (usesAdam) {
      const { beta1, beta2, epsilon } = optimizer
      const root = Math.sqrt((1 - beta2 ** step) / (1 - beta2))
      const corrected = ((rate * (1 - beta1)) / (1 - beta1 ** step)) * root
      for (const t of treatments) scalars[adamRate(t)] = corrected * t.lrScale
      scalars[EPSILON] = epsilon * root
    }
    if (kind === 'adafactor') {
      scalars[ADAFACTOR_TAKE] = step ** -optimizer.decayExponent
      scalars[ADAFACTOR_KEEP] = 1 - scalars[ADAFACTOR_TAKE]
    }
    for (const t of treatments) {
      const name = naming_.decay(t)
      if (name) scalars[name] = isDecoupled(kind) ? 1 - rate * t.lrScale * t.decay : t.decay
    }
    return scalars
  }
  return { names: Object.keys(values(1, 1)), at: values }
}

/** Names that the optimiser's groups freeze. */
export const frozenBy = ({ groups = [] }: Optimizer, name: string): boolean =>
  groups.find(({ match }) => matchesAny(match, name))?.freeze === true

/** A tensor as a matrix: [first axis, all others]. */
export const matrixShape = (shape: readonly number[]): [number, number] => [shape[0]!, sizeOf(shape.slice(1))]

/**
 * How each parameter is stepped. Weight decay is for tensors of rank 2 and more unless a group gives it: biases and gains keep their
 * size. Of several groups that match a name the first counts.
 */
export function updateRules(
  optimizer: Optimizer,
  parameters: readonly { name: string; shape: readonly number[] }[],
): UpdateRule[] {
  const names = naming(optimizer)
  return parameters.map(({ name, shape }) => {
    const group = optimizer.groups?.find(({ match }) => matchesAny(match, name))
    const decay = group?.weightDecay ?? (shape.length >= 2 ? optimizer.weightDecay : 0)
    const t: Treatment = { lrScale: group?.rate ?? 1, decay }
    const isMatrix = shape.length >= 2 && Math.min(...matrixShape(shape)) > 1
    const byAdamw = optimizer.kind === 'muon' && (!isMatrix || group?.adamw === true)
    const kind = byAdamw ? 'adamw' : optimizer.kind
    const state = (slot: string, size: readonly number[] = shape): TensorSpec => ({
      name: `${PREFIX}${slot}.${name}`,
      dtype: 'float32',
      shape: [...size],
    })
    const decayName = names.decay(t)
    const rule: UpdateRule = {
      name,
      shape,
      kind,
      lrScale: t.lrScale,
      decay: decayName ? decay : 0,
      scalars: { rate: byAdamw ? names.adamwRate(t) : names.rate(t), ...(decayName ? { decay: decayName } : {}) },
      state: [],
    }
    if (kind === 'adam' || kind === 'adamw') {
      const { beta1, beta2 } = optimizer as Extract<Optimizer, { kind: 'adam' | 'adamw' }>
      rule.scalars.epsilon = EPSILON
      return { ...rule, beta1, beta2, state: [state('first'), state('second')] }
    }
    if (optimizer.kind === 'lion') {
      const { beta1, beta2 } = optimizer
      return { ...rule, beta1, beta2, state: [state('momentum')] }
    }
    if (optimizer.kind === 'adafactor') {
      const [rows, columns] = shape.length >= 2 ? matrixShape(shape) : [1, 1]
      rule.scalars = { ...rule.scalars, keep: ADAFACTOR_KEEP, take: ADAFACTOR_TAKE }
      return { ...rule, state: isMatrix ? [state('row', [rows]), state('column', [columns])] : [state('second')] }
    }
    const { momentum, nesterov } = optimizer as Extract<Optimizer, { kind: 'sgd' | 'muon' }>
    return { ...rule, momentum, nesterov, state: kind === 'muon' || momentum > 0 ? [state('momentum')] : [] }
  })
}
