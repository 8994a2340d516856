import type { Optimizer } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import type { Value } from './operator.ts'
import { range } from './shape.ts'

/** Prefix of the step graph's scalar inputs, and of the optimiser's state tensors. */
const PREFIX = 'optimizer.'
const RATE = `${PREFIX}rate`
const DECAY = `${PREFIX}decay`
const EPSILON = `${PREFIX}epsilon`
/** Added to the norm so that a zero gradient divides by something (PyTorch's clip_grad_norm_). */
const CLIP_EPSILON = 1e-6

export interface Scalars {
  names: string[]
  /** Values of the scalar inputs at a step (counted from 1) and learning rate. */
  at(step: number, learningRate: number): Record<string, number>
}

/**
 * The scalar inputs of the step graph, float32 []. `optimizer.rate` multiplies the update, `optimizer.decay` the weights; Adam's
 * bias correction is folded into rate and epsilon for moments kept as M = m/(1-b1), V = v/(1-b2) (Kingma and Ba 2015, section 2, last
 * paragraph, with the scaling taken one step further).
 */
export function optimizerScalars(optimizer: Optimizer): Scalars {
  const decays = optimizer.weightDecay > 0
  if (optimizer.kind === 'sgd') {
    const names = decays ? [RATE, DECAY] : [RATE]
    // Decay is part of the gradient here, not of the weights: see update().
    return {
      names,
      at: (_, rate): Record<string, number> =>
        decays ? { [RATE]: rate, [DECAY]: optimizer.weightDecay } : { [RATE]: rate },
    }
  }
  const { beta1, beta2, epsilon, weightDecay, kind } = optimizer
  return {
    names: decays ? [RATE, EPSILON, DECAY] : [RATE, EPSILON],
    at: (step, rate) => {
      const root = Math.sqrt((1 - beta2 ** step) / (1 - beta2))
      const scalars = { [RATE]: ((rate * (1 - beta1)) / (1 - beta1 ** step)) * root, [EPSILON]: epsilon * root }
      if (!decays) return scalars
      return { ...scalars, [DECAY]: kind === 'adamw' ? 1 - rate * weightDecay : weightDecay }
    },
  }
}

export interface Update {
  /** Next value of each parameter, in order. */
  parameters: Value[]
  /** State tensors (inputs) with their next values. */
  state: { value: Value; next: Value }[]
}

/**
 * Emits one optimiser step. Weight decay works on tensors of rank 2 and more only: biases and gains keep their size.
 * SGD and Adam add it to the gradient (L2), AdamW shrinks the weights (Loshchilov and Hutter 2019).
 */
export function emitUpdate(
  b: GraphBuilder,
  optimizer: Optimizer,
  parameters: readonly Value[],
  gradients: readonly Value[],
): Update {
  const { names } = optimizerScalars(optimizer)
  const scalars = new Map(names.map((name) => [name, b.input(name, 'float32', [])]))
  const state: Update['state'] = []
  const slot = (kind: string, p: Value, next: (old: Value) => Value) => {
    const value = b.input(`${PREFIX}${kind}.${p.name}`, 'float32', p.shape)
    state.push({ value, next: next(value) })
    return state.at(-1)!.next
  }
  const clipped = optimizer.clip === undefined ? gradients : clip(b, gradients, optimizer.clip)
  const next = parameters.map((p, i) => {
    const rate = scalars.get(RATE)!
    const decay = p.shape.length >= 2 ? scalars.get(DECAY) : undefined
    let g = clipped[i]!
    if (decay && optimizer.kind !== 'adamw') g = b.add(g, b.mul(p, decay))
    if (optimizer.kind === 'sgd') {
      const { momentum, nesterov } = optimizer
      if (momentum === 0) return b.sub(p, b.mul(g, rate))
      const moved = slot('momentum', p, (old) => b.add(b.scale(old, momentum), g))
      return b.sub(p, b.mul(nesterov ? b.add(g, b.scale(moved, momentum)) : moved, rate))
    }
    const first = slot('first', p, (old) => b.add(b.scale(old, optimizer.beta1), g))
    const second = slot('second', p, (old) => b.add(b.scale(old, optimizer.beta2), b.mul(g, g)))
    const step = b.div(b.mul(first, rate), b.add(b.one('Sqrt', [second]), scalars.get(EPSILON)!))
    return b.sub(decay && optimizer.kind === 'adamw' ? b.mul(p, decay) : p, step)
  })
  return { parameters: next, state }
}

/** All gradients scaled so that their joint norm is at most `limit`. */
function clip(b: GraphBuilder, gradients: readonly Value[], limit: number): Value[] {
  const squares = gradients.map((g) => b.reshape(b.sum(b.mul(g, g), range(g.shape.length)), [1]))
  const norm = b.one('Sqrt', [b.sum(b.concat(squares, 0))])
  const factor = b.one('Min', [b.div(b.scalar(limit), b.add(norm, b.scalar(CLIP_EPSILON))), b.scalar(1)])
  return gradients.map((g) => b.mul(g, factor))
}
