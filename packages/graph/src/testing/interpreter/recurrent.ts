import { type Call, flag, type Kernels, need, number, text } from './kernel.ts'
import { sigmoid, softplus } from './special.ts'
import { build, count, type Ref } from './tensor.ts'

type Function1 = (x: number) => number

/** Activations of recurrent layers, with the alpha and beta that the node gives them. */
const FUNCTIONS: Record<string, (alpha: number | undefined, beta: number | undefined) => Function1> = {
  sigmoid: () => sigmoid,
  tanh: () => Math.tanh,
  relu: () => (x) => Math.max(x, 0),
  affine:
    (a = 1, b = 0) =>
    (x) =>
      a * x + b,
  leakyrelu:
    (a = 0.01) =>
    (x) =>
      x < 0 ? a * x : x,
  thresholdedrelu:
    (a = 1) =>
    (x) =>
      x >= a ? x : 0,
  scaledtanh:
    (a = 1, b = 1) =>
    (x) =>
      a * Math.tanh(b * x),
  hardsigmoid:
    (a = 0.2, b = 0.5) =>
    (x) =>
      Math.min(Math.max(a * x + b, 0), 1),
  elu:
    (a = 1) =>
    (x) =>
      x < 0 ? a * Math.expm1(x) : x,
  softsign: () => (x) => x / (1 + Math.abs(x)),
  softplus: () => softplus,
}

/** Those that take parameters take them from the lists in order. */
function functionsOf(c: Call, directions: number, fallback: readonly string[]): Function1[][] {
  const names = (c.attributes.activations?.value as string[] | undefined) ?? count(directions).flatMap(() => fallback)
  const alphas = [...((c.attributes.activation_alpha?.value as number[] | undefined) ?? [])]
  const betas = [...((c.attributes.activation_beta?.value as number[] | undefined) ?? [])]
  const takes = (name: string, second: boolean) =>
    (second
      ? ['affine', 'scaledtanh', 'hardsigmoid']
      : ['affine', 'scaledtanh', 'hardsigmoid', 'leakyrelu', 'thresholdedrelu', 'elu']
    ).includes(name)
  const limit = number(c, 'clip', 0)
  const made = names.map((name) => {
    const key = name.toLowerCase()
    const f = FUNCTIONS[key]!(
      takes(key, false) ? alphas.shift() : undefined,
      takes(key, true) ? betas.shift() : undefined,
    )
    return (x: number) => f(limit > 0 ? Math.min(Math.max(x, -limit), limit) : x)
  })
  return count(directions).map((d) => made.slice(d * fallback.length, (d + 1) * fallback.length))
}

interface Cell {
  gates: number
  functions: readonly string[]
  /** The next h and c of hidden unit k, from the gates' input parts (x W + Wb) and the state before. */
  step(
    k: number,
    state: { h: readonly number[]; c: readonly number[] },
    parts: {
      /** Input part of gate g of unit k. */
      x(g: number): number
      /** State part of gate g of unit k, of another state than h on request, without its bias. */
      h(g: number, of?: readonly number[]): number
      bias(g: number): number
      reset(j: number): number
    },
    f: readonly Function1[],
    linearBeforeReset: boolean,
  ): { h: number; c: number }
}

const CELLS: Record<string, Cell> = {
  RNN: {
    gates: 1,
    functions: ['Tanh'],
    step: (_, __, p, [f]) => ({ h: f!(p.x(0) + p.h(0) + p.bias(0)), c: 0 }),
  },
  // Gates i, o, f, c.
  LSTM: {
    gates: 4,
    functions: ['Sigmoid', 'Tanh', 'Tanh'],
    step: (k, state, p, [f, g, h]) => {
      const gate = (n: number) => p.x(n) + p.h(n) + p.bias(n)
      const c = f!(gate(2)) * state.c[k]! + f!(gate(0)) * g!(gate(3))
      return { h: f!(gate(1)) * h!(c), c }
    },
  },
  // Gates z, r, h.
  GRU: {
    gates: 3,
    functions: ['Sigmoid', 'Tanh'],
    step: (k, state, p, [f, g], linear) => {
      const z = f!(p.x(0) + p.h(0) + p.bias(0))
      const r = (j: number) => f!(p.reset(j))
      const inner = linear
        ? r(k) * (p.h(2) + p.bias(2))
        : p.h(
            2,
            state.h.map((v, j) => r(j) * v),
          ) + p.bias(2)
      return { h: (1 - z) * g!(p.x(2) + inner) + z * state.h[k]!, c: 0 }
    },
  },
}

function recurrent(c: Call): Ref[] {
  const cell = CELLS[c.op]!
  const [X, W, R, B] = [need(c, 0), need(c, 1), need(c, 2), c.inputs[3]]
  const batchFirst = flag(c, 'layout')
  const [steps, batch] = batchFirst ? [X.shape[1]!, X.shape[0]!] : [X.shape[0]!, X.shape[1]!]
  const width = X.shape[2]!
  const hidden = R.shape[2]!
  const directions = W.shape[0]!
  const direction = text(c, 'direction', 'forward')
  const functions = functionsOf(c, directions, cell.functions)
  const rows = cell.gates * hidden
  const linear = flag(c, 'linear_before_reset')
  const stateAt = (s: Ref | undefined, d: number, n: number) =>
    count(hidden).map((k) => (s ? s.data[(batchFirst ? n * directions + d : d * batch + n) * hidden + k]! : 0))
  const y = new Float64Array(steps * directions * batch * hidden)
  const lasts = { h: new Float64Array(directions * batch * hidden), c: new Float64Array(directions * batch * hidden) }
  for (let d = 0; d < directions; d++) {
    const backwards = direction === 'reverse' || (direction === 'bidirectional' && d === 1)
    for (let n = 0; n < batch; n++) {
      const length = c.inputs[4]?.data[n] ?? steps
      let h = stateAt(c.inputs[5], d, n)
      let cellState = stateAt(c.inputs[6], d, n)
      for (let i = 0; i < length; i++) {
        const t = backwards ? length - 1 - i : i
        const x = count(width).map((j) => X.data[(batchFirst ? n * steps + t : t * batch + n) * width + j]!)
        const dot = (m: Ref, row: number, v: readonly number[]) =>
          v.reduce((s, value, j) => s + value * m.data[(d * rows + row) * v.length + j]!, 0)
        const wb = (row: number) => B?.data[d * 2 * rows + row] ?? 0
        const rb = (row: number) => B?.data[d * 2 * rows + rows + row] ?? 0
        const before = { h, c: cellState }
        const next = count(hidden).map((k) =>
          cell.step(
            k,
            before,
            {
              x: (g) => dot(W, g * hidden + k, x) + wb(g * hidden + k),
              h: (g, of = before.h) => dot(R, g * hidden + k, of),
              bias: (g) => rb(g * hidden + k),
              reset: (j) => dot(W, hidden + j, x) + wb(hidden + j) + dot(R, hidden + j, before.h) + rb(hidden + j),
            },
            functions[d]!,
            linear,
          ),
        )
        h = next.map((s) => s.h)
        cellState = next.map((s) => s.c)
        y.set(h, ((t * directions + d) * batch + n) * hidden)
      }
      lasts.h.set(h, (d * batch + n) * hidden)
      lasts.c.set(cellState, (d * batch + n) * hidden)
    }
  }
  const Y: Ref = { kind: 'float', shape: [steps, directions, batch, hidden], data: y }
  const state = (data: Float64Array): Ref => ({ kind: 'float', shape: [directions, batch, hidden], data })
  if (!batchFirst) return [Y, state(lasts.h), state(lasts.c)]
  const turned = (data: Float64Array) =>
    build('float', [batch, directions, hidden], ([n, d, k]) => data[(d! * batch + n!) * hidden + k!]!)
  const whole = build(
    'float',
    [batch, steps, directions, hidden],
    ([n, t, d, k]) => y[((t! * directions + d!) * batch + n!) * hidden + k!]!,
  )
  return [whole, turned(lasts.h), turned(lasts.c)]
}

/** Recurrent layers, unit by unit. */
export const recurrences: Kernels = { RNN: recurrent, LSTM: recurrent, GRU: recurrent }
