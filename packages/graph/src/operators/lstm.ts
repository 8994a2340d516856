import type { GraphBuilder } from '../builder.ts'
import { type Attributes, int, string, stringOf } from '../model.ts'
import type { GradientContext, InferContext, Operator, Type, Value } from '../operator.ts'
import { range } from '../shape.ts'

/** Inputs of the emitted form: X [T, B, I], W [1, 4H, I], R [1, 4H, H], bias [1, 8H], none, initial states [1, B, H]. */
type Inputs = [Value, Value, Value, Value | undefined, undefined, Value | undefined, Value | undefined]

/** Most time steps of one operation: its gradient computes their gates anew, and holds them. Half as many cost 3 % and save 5 %. */
const SPAN = 16

function sizesOf({ inputs }: Pick<InferContext, 'inputs'>) {
  const [steps, batch, width] = inputs[0]!.shape as [number, number, number]
  return { steps, batch, width, hidden: inputs[2]!.shape[2]! }
}

function infer(c: InferContext): Type[] {
  const { steps, batch, hidden } = sizesOf(c)
  const state: Type = { dtype: 'float32', shape: [1, batch, hidden] }
  return [{ dtype: 'float32', shape: [steps, 1, batch, hidden] }, state, state]
}

/** [n·rows, …] cut into n of [rows, …]. */
const cut = (b: GraphBuilder, x: Value, n: number): Value[] =>
  n === 1 ? [x] : b.emit('Split', [x, b.ints(range(n).map(() => x.shape[0]! / n))], { axis: int(0) })

const columns = (b: GraphBuilder, x: Value, widths: readonly number[]): Value[] =>
  b.emit('Split', [x, b.ints(widths)], { axis: int(1) })

/** y (1 - y), the derivative of the logistic function by its value. */
const logisticSlope = (b: GraphBuilder, y: Value): Value => b.mul(y, b.sub(b.scalar(1), y))
/** 1 - y², that of tanh. */
const tanhSlope = (b: GraphBuilder, y: Value): Value => b.sub(b.scalar(1), b.mul(y, y))

/**
 * dL/d inputs of an LSTM by back-propagation through time (Werbos 1990). What a step needs of its gates depends on hidden states alone, and those are the
 * layer's output: so the gates of all steps are computed again by one product, and all factors of the gradients at once. Only what is
 * sequential by nature goes step by step: cell states forward, their gradients and the hidden states' backward.
 */
function gradient({ b, attributes, inputs, outputs, grads, wants }: GradientContext): (Value | undefined)[] {
  const [X, W, R, bias, , h0, c0] = inputs as unknown as Inputs
  const { steps: T, batch: B, width: I, hidden: H } = sizesOf({ inputs })
  const rows = T * B
  /** In the order of computation, which is that of time reversed for a reverse layer. */
  const order = stringOf(attributes, 'direction', 'forward') === 'reverse' ? range(T).toReversed() : range(T)
  const zeros = b.filled([B, H])
  const state = (v: Value | undefined) => (v ? b.reshape(v, [B, H]) : zeros)
  const [w, r] = [b.reshape(W, [4 * H, I]), b.reshape(R, [4 * H, H])]
  const x = b.reshape(X, [rows, I])
  const y = b.reshape(outputs[0]!, [rows, H])
  /** What a step starts from, in the order of time: the value of the step before it. */
  const before = (steps: readonly Value[], first: Value): Value => {
    const at: Value[] = []
    for (const [n, t] of order.entries()) at[t] = n === 0 ? first : steps[order[n - 1]!]!
    return b.concat(at, 0)
  }
  const shifted = (v: Value, first: Value): Value => {
    if (T === 1) return first
    const rest = order[0] === 0 ? b.slice(v, [0], [0], [rows - B]) : b.slice(v, [0], [B], [rows])
    return b.concat(order[0] === 0 ? [first, rest] : [rest, first], 0)
  }

  // The gates of all steps, once more, by one product of all inputs and one of all states.
  const hBefore = T === 1 && !h0 ? undefined : shifted(y, state(h0))
  const halves = bias ? b.emit('Split', [b.reshape(bias, [8 * H]), b.ints([4 * H, 4 * H])], { axis: int(0) }) : []
  const product = (a: Value, weight: Value, transB: boolean, added?: Value) =>
    b.one('Gemm', added ? [a, weight, added] : [a, weight], { transB: int(+transB) })
  const ofInputs = product(x, w, true, bias && b.add(halves[0]!, halves[1]!))
  const z = hBefore ? product(hBefore, r, true, ofInputs) : ofInputs
  const [zInput, zOutput, zForget, zCandidate] = columns(b, z, [H, H, H, H]) as [Value, Value, Value, Value]
  const [input, output, forget] = [zInput, zOutput, zForget].map((gate) => b.one('Sigmoid', [gate])) as [
    Value,
    Value,
    Value,
  ]
  const candidate = b.one('Tanh', [zCandidate])

  // Factors of the gradients, dL/dz = [dc, dh, dc, dc] ∘ factors, each as soon as it can be, so that little is alive at once.
  const added = cut(b, b.mul(input, candidate), T)
  const ofInput = b.mul(candidate, logisticSlope(b, input))
  const ofCandidate = b.mul(input, tanhSlope(b, candidate))
  const forgets = cut(b, forget, T)
  const forgetSlope = logisticSlope(b, forget)
  // Cell states: the only thing that is sequential on the way forward.
  const cells: Value[] = []
  for (const [n, t] of order.entries()) {
    const last = n === 0 ? c0 && state(c0) : cells[order[n - 1]!]!
    cells[t] = last ? b.add(b.mul(forgets[t]!, last), added[t]!) : added[t]!
  }
  const ofForget = b.mul(before(cells, state(c0)), forgetSlope)
  const squashed = b.one('Tanh', [b.concat(cells, 0)])
  /** What dc gets of dh. */
  const through = cut(b, b.mul(output, tanhSlope(b, squashed)), T)
  const ofOutput = b.mul(squashed, logisticSlope(b, output))
  const factor = cut(b, b.concat([ofInput, ofOutput, ofForget, ofCandidate], 1), T)

  const given = grads[0] && cut(b, b.reshape(grads[0], [rows, H]), T)
  const plus = (p: Value | undefined, q: Value | undefined) => (p && q ? b.add(p, q) : (p ?? q))
  /** dL/dh of a step, or of the state before the first. */
  let dh = plus(given?.[order.at(-1)!], grads[1] && b.reshape(grads[1], [B, H]))
  let dc = grads[2] && b.reshape(grads[2], [B, H])
  const dz: Value[] = []
  for (const [n, t] of [...order.entries()].reverse()) {
    const own = dh ?? zeros
    const cell = plus(b.mul(own, through[t]!), dc)!
    dz[t] = b.mul(b.concat([cell, own, cell, cell], 1), factor[t]!)
    const before = n > 0 ? given?.[order[n - 1]!] : undefined
    dh = n > 0 || wants[5] ? product(dz[t]!, r, false, before) : undefined
    dc = n > 0 || wants[6] ? b.mul(cell, forgets[t]!) : undefined
  }
  const dZ = b.concat(dz, 0)
  const like = (g: Value, v: Value) => b.reshape(g, v.shape)
  const sums = () => {
    const sum = b.sum(dZ, [0])
    return like(b.concat([sum, sum], 0), bias!)
  }
  return [
    wants[0] ? like(b.gemm(dZ, w, false, false), X) : undefined,
    wants[1] ? like(b.gemm(dZ, x, true, false), W) : undefined,
    wants[2] ? like(hBefore ? b.gemm(dZ, hBefore, true, false) : b.filled([4 * H, H]), R) : undefined,
    wants[3] ? sums() : undefined,
    undefined,
    wants[5] ? like(dh!, h0!) : undefined,
    wants[6] ? like(dc!, c0!) : undefined,
  ]
}

/**
 * One direction of a layer as the runtime has it: for gates and states with the usual functions and sequences of one length. The others
 * are unrolled (recurrent.ts).
 */
export const lstm: Pick<Operator, 'infer' | 'gradient' | 'flops'> = {
  infer,
  gradient,
  flops: (c) => {
    const { steps, batch, width, hidden } = sizesOf(c)
    return 2 * steps * batch * 4 * hidden * (width + hidden)
  },
}

/**
 * A direction of a layer, in spans of time one after the other: a gradient holds what belongs to one span, not to the whole sequence.
 * @returns the outputs [T, B, H] and the last states [B, H]
 */
export function emitLstm(
  b: GraphBuilder,
  direction: 'forward' | 'reverse',
  inputs: { X: Value; W: Value; R: Value; bias: Value | undefined; h: Value | undefined; c: Value | undefined },
): { outputs: Value; last: { h: Value; c: Value } } {
  const { X, W, R, bias, h, c } = inputs
  const hidden = R.shape[1]!
  const steps = X.shape[0]!
  const count = Math.ceil(steps / SPAN)
  const lengths = range(count).map((i) => Math.floor(((i + 1) * steps) / count) - Math.floor((i * steps) / count))
  const spans = count === 1 ? [X] : b.emit('Split', [X, b.ints(lengths)], { axis: int(0) })
  const single = (v: Value | undefined) => v && b.reshape(v, [1, ...v.shape])
  const attributes: Attributes = { hidden_size: int(hidden), direction: string(direction) }
  const outputs: Value[] = []
  let [lastH, lastC] = [single(h), single(c)]
  for (const i of direction === 'reverse' ? range(count).toReversed() : range(count)) {
    const list = [spans[i]!, single(W)!, single(R)!, single(bias), undefined, lastH, lastC]
    ;[outputs[i], lastH, lastC] = b.emit('LSTM', list, attributes) as [Value, Value, Value]
  }
  const whole = b.concat(outputs, 0)
  const state = (v: Value) => b.reshape(v, v.shape.slice(1))
  return { outputs: b.reshape(whole, [steps, whole.shape[2]!, hidden]), last: { h: state(lastH!), c: state(lastC!) } }
}
