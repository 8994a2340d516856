import { PinGoError } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { type Attributes, float, int } from '../model.ts'
import type { Value } from '../operator.ts'
import { mismatch } from '../shape.ts'

/** An activation function of a recurrent cell. */
export type Activate = (b: GraphBuilder, x: Value) => Value

/** Their default alpha and beta (ONNX, "LSTM"); undefined where the function has none. */
const ALPHA: Readonly<Record<string, number | undefined>> = {
  affine: 1,
  leakyrelu: 0.01,
  thresholdedrelu: 1,
  scaledtanh: 1,
  hardsigmoid: 0.2,
  elu: 1,
}
const BETA: Readonly<Record<string, number | undefined>> = { affine: 0, scaledtanh: 1, hardsigmoid: 0.5 }

const FUNCTIONS: Readonly<Record<string, (alpha: number, beta: number) => Activate>> = {
  sigmoid: () => (b, x) => b.one('Sigmoid', [x]),
  tanh: () => (b, x) => b.one('Tanh', [x]),
  relu: () => (b, x) => b.one('Relu', [x]),
  softsign: () => (b, x) => b.div(x, b.add(b.scalar(1), b.one('Abs', [x]))),
  softplus: () => (b, x) => b.one('Softplus', [x]),
  affine: (alpha, beta) => (b, x) => b.add(b.scale(x, alpha), b.scalar(beta)),
  leakyrelu: (alpha) => (b, x) => b.one('LeakyRelu', [x], { alpha: float(alpha) }),
  elu: (alpha) => (b, x) => b.one('Elu', [x], { alpha: float(alpha) }),
  thresholdedrelu: (alpha) => (b, x) => b.where(b.one('Greater', [x, b.scalar(alpha)]), x, b.scalar(0)),
  scaledtanh: (alpha, beta) => (b, x) => b.scale(b.one('Tanh', [b.scale(x, beta)]), alpha),
  hardsigmoid: (alpha, beta) => (b, x) =>
    b.one('Clip', [b.add(b.scale(x, alpha), b.scalar(beta)), b.scalar(0), b.scalar(1)]),
}

/** The activation functions of every direction: those of the node, else `standard` for each. @returns [direction][function] */
export function activationsOf(attributes: Attributes, directions: number, standard: readonly string[]): Activate[][] {
  const given = attributes.activations
  const names = given?.type === 'strings' ? given.value : Array.from({ length: directions }, () => standard).flat()
  if (names.length !== directions * standard.length)
    throw mismatch(`it names ${names.length} activations and has ${directions * standard.length}`)
  const rest = (name: string) => {
    const list = attributes[name]
    return list?.type === 'floats' ? [...list.value] : []
  }
  // The lists hold numbers for the functions that have one, in order; the others are passed by.
  const [alphas, betas] = [rest('activation_alpha'), rest('activation_beta')]
  const functions = names.map((written) => {
    const name = written.toLowerCase()
    const make = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
    if (!make)
      throw new PinGoError('GRAPH_UNSUPPORTED', `the activation '${written}' is not supported`, {
        hint: `Use one of ${Object.keys(FUNCTIONS).join(', ')}.`,
      })
    const alpha = ALPHA[name] === undefined ? 0 : (alphas.shift() ?? ALPHA[name])
    const beta = BETA[name] === undefined ? 0 : (betas.shift() ?? BETA[name])
    return make(alpha, beta)
  })
  return Array.from({ length: directions }, (_, d) => functions.slice(d * standard.length, (d + 1) * standard.length))
}

/** The weights of one direction; gates are stacked in ONNX's order. */
export interface CellWeights {
  /** Input weights [G·H, I] and their bias [G·H] (undefined: none). */
  W: Value
  Wb: Value | undefined
  /** Recurrent weights [G·H, H] and their bias. */
  R: Value
  Rb: Value | undefined
  hidden: number
}

/** State of a cell: the hidden state, and for an LSTM the cell state, [B, H]. undefined stands for zeros. */
export interface State {
  h: Value | undefined
  c?: Value | undefined
}

/** A recurrent cell, made ready for all time steps: what `project` gives for a step is handed to `step`. */
export interface Cell {
  /** The inputs' part of the gates: [T·B, I] to one or more [T·B, …]. */
  project(x: Value): Value[]
  /** One step from the projections [B, …] and the state. */
  step(projected: readonly Value[], state: State): { h: Value; c?: Value }
}

const gemm = (b: GraphBuilder, x: Value, w: Value, c: Value | undefined): Value =>
  b.one('Gemm', c ? [x, w, c] : [x, w], { transA: int(0), transB: int(1), alpha: float(1), beta: float(1) })
const rows = (b: GraphBuilder, w: Value, from: number, to: number): Value => b.slice(w, [0], [from], [to])
const plus = (b: GraphBuilder, x: Value | undefined, y: Value | undefined) => (x && y ? b.add(x, y) : (x ?? y))

/** Cuts x [B, ΣS] into [B, S] each. */
const cut = (b: GraphBuilder, x: Value, sizes: readonly number[]): Value[] =>
  b.emit('Split', [x, b.ints(sizes)], { axis: int(1) })

/** h' = f(x Wᵀ + h Rᵀ + b). */
export function rnnCell(b: GraphBuilder, { W, Wb, R, Rb }: CellWeights, [f]: Activate[], bound: Activate): Cell {
  return {
    project: (x) => [gemm(b, x, W, plus(b, Wb, Rb))],
    step: ([x], { h }) => ({ h: f!(b, bound(b, h ? gemm(b, h, R, x) : x!)) }),
  }
}

/**
 * Gates in the order i, o, f, c (Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000):
 * c' = f ∘ c + i ∘ g, h' = o ∘ tanh(c').
 */
export function lstmCell(b: GraphBuilder, weights: CellWeights, functions: Activate[], bound: Activate): Cell {
  const { W, Wb, R, Rb, hidden: H } = weights
  const [f, g, h] = functions as [Activate, Activate, Activate]
  return {
    project: (x) => [gemm(b, x, W, plus(b, Wb, Rb))],
    step: ([x], state) => {
      const z = bound(b, state.h ? gemm(b, state.h, R, x) : x!)
      const [gates, candidate] = cut(b, z, [3 * H, H]) as [Value, Value]
      const [input, output, forget] = cut(b, f(b, gates), [H, H, H]) as [Value, Value, Value]
      const added = b.mul(input, g(b, candidate))
      const c = state.c ? b.add(b.mul(forget, state.c), added) : added
      return { h: b.mul(output, h(b, c)), c }
    },
  }
}

/**
 * Gates in the order z, r, h (Cho et al. 2014): h' = n + z ∘ (h - n), n = g(x Wnᵀ + b + (r ∘ h) Rnᵀ); `resetAfter` is ONNX's
 * linear_before_reset, PyTorch's form: n = g(x Wnᵀ + b + r ∘ (h Rnᵀ + bn)).
 */
export function gruCell(
  b: GraphBuilder,
  weights: CellWeights,
  functions: Activate[],
  bound: Activate,
  resetAfter: boolean,
): Cell {
  const { W, Wb, R, Rb, hidden: H } = weights
  const [f, g] = functions as [Activate, Activate]
  const part = (v: Value | undefined, from: number, to: number) => v && rows(b, v, from * H, to * H)
  const gateBias = plus(b, part(Wb, 0, 2), part(Rb, 0, 2))
  const newBias = part(Rb, 2, 3)
  const [gateR, newR] = [part(R, 0, 2)!, part(R, 2, 3)!]
  const [gateW, newW] = [part(W, 0, 2)!, part(W, 2, 3)!]
  return {
    project: (x) => [
      gemm(b, x, gateW, gateBias),
      gemm(b, x, newW, resetAfter ? part(Wb, 2, 3) : plus(b, part(Wb, 2, 3), newBias)),
    ],
    step: ([gates, x], { h }) => {
      const [z, r] = cut(b, f(b, bound(b, h ? gemm(b, h, gateR, gates) : gates!)), [H, H]) as [Value, Value]
      const inner = () => {
        if (!resetAfter) return h ? gemm(b, b.mul(r, h), newR, x) : x!
        if (!h) return newBias ? b.add(x!, b.mul(r, newBias)) : x!
        return b.add(x!, b.mul(r, gemm(b, h, newR, newBias)))
      }
      const n = g(b, bound(b, inner()))
      return { h: b.add(n, b.mul(z, h ? b.sub(h, n) : b.one('Neg', [n]))) }
    },
  }
}
