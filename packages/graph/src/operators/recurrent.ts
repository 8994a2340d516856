import { PinGoError } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { floatOf, int, intOf, stringOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { mismatch, range, sameShape, shapeText } from '../shape.ts'
import { numbersOf, tensorOf } from '../tensors.ts'
import {
  type Activate,
  activationsOf,
  type Cell,
  type CellWeights,
  gruCell,
  lstmCell,
  rnnCell,
  type State,
} from './cells.ts'
import { emitLstm, lstm } from './lstm.ts'

/** Most time steps, both directions counted, that one node is unrolled into (some 30 operations each). */
export const MAX_UNROLLED_STEPS = 2048

/** A kind of recurrent layer: gates a step, default activations, and how a cell is made. */
interface Kind {
  gates: number
  activations: readonly string[]
  make(
    b: GraphBuilder,
    weights: CellWeights,
    functions: Activate[],
    bound: Activate,
    attributes: LowerContext['attributes'],
  ): Cell
  /** What the runtime does in one operation, where nothing unusual is asked for. */
  emit?: typeof emitLstm
}

/** A direction's outputs [T, B, H] and its last states. */
interface Run {
  outputs: Value
  last: State
}

const DIRECTIONS: Readonly<Record<string, readonly ('forward' | 'reverse')[]>> = {
  forward: ['forward'],
  reverse: ['reverse'],
  bidirectional: ['forward', 'reverse'],
}

/** Whether a value is known to be zeros all through: exporters write the initial state so. */
function isZero(b: GraphBuilder, v: Value): boolean {
  if (v.data && !v.variable) {
    const list = numbersOf(v.data)
    for (let i = 0; i < list.length; i++) if (list[i] !== 0) return false
    return true
  }
  const made = b.producers.get(v.name)
  if (made?.op === 'ConstantOfShape') {
    const value = made.attributes.value
    return value?.type !== 'tensor' || Number(value.value.data[0]) === 0
  }
  const passes = ['Expand', 'Reshape', 'Slice', 'Transpose', 'Tile', 'Split']
  if (made && passes.includes(made.op)) return isZero(b, made.inputs[0]!)
  return made?.op === 'Concat' && made.inputs.every((x) => isZero(b, x!))
}

/** The d-th of the first axis, which is dropped. */
function pick(b: GraphBuilder, v: Value, d: number): Value {
  return b.reshape(v.shape[0] === 1 ? v : b.slice(v, [0], [d], [d + 1]), v.shape.slice(1))
}

/** The d-th initial state [B, H], undefined for zeros. One state for a batch of another size is repeated. */
function initial(b: GraphBuilder, v: Value | undefined, d: number, batch: number, hidden: number): Value | undefined {
  if (!v || isZero(b, v)) return undefined
  const state = pick(b, v, d)
  if (state.shape[1] !== hidden || (state.shape[0] !== batch && state.shape[0] !== 1))
    throw mismatch(
      `an initial state of ${shapeText(v.shape)} does not fit a batch of ${batch} and ${hidden} hidden values`,
    )
  return b.expand(state, [batch, hidden])
}

/** For every time step, which samples are still in their sequence ([B, 1], bool); undefined when all are. */
function masks(b: GraphBuilder, lengths: Value | undefined, steps: number): (Value | undefined)[] {
  const known = lengths?.data && !lengths.variable ? Array.from(numbersOf(lengths.data)) : undefined
  if (!lengths || known?.every((n) => n >= steps)) return range(steps).map(() => undefined)
  const column = b.reshape(lengths, [lengths.shape[0]!, 1])
  return range(steps).map((t) =>
    known?.every((n) => n > t) ? undefined : b.one('Greater', [column, b.constant(tensorOf(lengths.dtype, [], [t]))]),
  )
}

/** Runs a cell over time. */
function unroll(
  b: GraphBuilder,
  cell: Cell,
  x: Value,
  [steps, batch, hidden]: readonly [number, number, number],
  start: State,
  reverse: boolean,
  alive: readonly (Value | undefined)[],
): Run {
  const sizes = b.ints(range(steps).map(() => batch))
  const projected = cell.project(x).map((p) => (steps === 1 ? [p] : b.emit('Split', [p, sizes], { axis: int(0) })))
  const zeros = () => b.filled([batch, hidden])
  const outputs: Value[] = []
  let state = start
  for (const i of range(steps)) {
    const t = reverse ? steps - 1 - i : i
    const next = cell.step(
      projected.map((list) => list[t]!),
      state,
    )
    const mask = alive[t]
    // Past its end, a sequence keeps its state and puts out zeros (ONNX, "LSTM": sequence_lens).
    const held = (now: Value, old: Value | undefined) => (mask ? b.where(mask, now, old ?? zeros()) : now)
    outputs[t] = mask ? b.where(mask, next.h, b.scalar(0)) : next.h
    state = { h: held(next.h, state.h), ...(next.c ? { c: held(next.c, state.c) } : {}) }
  }
  return { outputs: b.reshape(b.concat(outputs, 0), [steps, batch, hidden]), last: state }
}

/** dtype float32 [B, H] states of all directions as [D, B, H], or [B, D, H] in layout 1. */
function stacked(b: GraphBuilder, states: readonly Value[], batchFirst: boolean): Value {
  const axis = batchFirst ? 1 : 0
  return b.concat(
    states.map((s) => b.reshape(s, batchFirst ? [s.shape[0]!, 1, s.shape[1]!] : [1, ...s.shape])),
    axis,
  )
}

function lower(c: LowerContext, kind: Kind): (Value | undefined)[] {
  const { b, attributes } = c
  const batchFirst = intOf(attributes, 'layout', 0) === 1
  const [given, W, R, bias, lengths, h0, c0, peepholes] = c.inputs as [Value, Value, Value, ...(Value | undefined)[]]
  if (peepholes && !isZero(b, peepholes))
    throw unsupported('peepholes are not supported', 'Export it without the input P.')
  if (intOf(attributes, 'input_forget', 0))
    throw unsupported('coupled input and forget gates are not supported', 'Export it with input_forget 0.')
  const directions = DIRECTIONS[stringOf(attributes, 'direction', 'forward')]
  if (!directions) throw mismatch('its direction is not one of forward, reverse, bidirectional')
  if (given.shape.length !== 3 || W.shape.length !== 3 || R.shape.length !== 3)
    throw mismatch('it wants X [T, B, I], W [D, G·H, I] and R [D, G·H, H]')
  const time = batchFirst ? 1 : 0
  if (c.exported && c.exported.input(0)?.[time] !== given.shape[time])
    throw new PinGoError('GRAPH_BATCH_FIXED', 'it runs over the axis on which samples follow each other', {
      hint: 'Export the model with the batch as the first axis of its input (batch_first in PyTorch).',
    })
  const X = batchFirst ? b.transpose(given, [1, 0, 2]) : given
  const [steps, batch, width] = X.shape as [number, number, number]
  const hidden = R.shape[2]!
  const [D, G] = [directions.length, kind.gates]
  const fits = sameShape(W.shape, [D, G * hidden, width]) && sameShape(R.shape, [D, G * hidden, hidden])
  if (!fits || (bias && !sameShape(bias.shape, [D, 2 * G * hidden])))
    throw mismatch(`its weights do not fit an input of ${width}, ${hidden} hidden values and ${D} directions`)
  if (steps < 1 || steps * D > MAX_UNROLLED_STEPS)
    throw unsupported(
      `${steps} time steps in ${D} directions cannot be unrolled: the limit is ${MAX_UNROLLED_STEPS} in all`,
      'Cut the sequences into shorter ones.',
    )
  const limit = floatOf(attributes, 'clip', 0)
  const bound: Activate = (_, z) => (limit > 0 ? b.one('Clip', [z, b.scalar(-limit), b.scalar(limit)]) : z)
  const functions = activationsOf(attributes, D, kind.activations)
  const alive = masks(b, lengths, steps)
  const byDirection = batchFirst
    ? (v: Value | undefined) => v && b.transpose(v, [1, 0, 2])
    : (v: Value | undefined) => v
  const [first, firstCell] = [byDirection(h0), byDirection(c0)]
  const isUsual = limit === 0 && alive.every((mask) => !mask) && usesDefaults(attributes, kind.activations)
  const flat = b.reshape(X, [steps * batch, width])
  const runs = directions.map((direction, d): Run => {
    const both = bias && pick(b, bias, d)
    const half = (i: number) => both && b.slice(both, [0], [i * G * hidden], [(i + 1) * G * hidden])
    const weights = { W: pick(b, W, d), R: pick(b, R, d), Wb: half(0), Rb: half(1), hidden }
    const start = { h: initial(b, first, d, batch, hidden), c: initial(b, firstCell, d, batch, hidden) }
    if (kind.emit && isUsual) return kind.emit(b, direction, { X, W: weights.W, R: weights.R, bias: both, ...start })
    const cell = kind.make(b, weights, functions[d]!, bound, attributes)
    return unroll(b, cell, flat, [steps, batch, hidden], start, direction === 'reverse', alive)
  })
  const whole = runs.map(({ outputs }) => b.reshape(outputs, [steps, 1, batch, hidden]))
  const Y = b.concat(whole, 1)
  const last = (name: 'h' | 'c') =>
    stacked(
      b,
      runs.map(({ last }) => last[name]!),
      batchFirst,
    )
  return [batchFirst ? b.transpose(Y, [2, 0, 1, 3]) : Y, last('h'), runs[0]!.last.c ? last('c') : undefined]
}

/** Whether the activations are those that the operator has by itself. */
function usesDefaults(attributes: LowerContext['attributes'], standard: readonly string[]): boolean {
  const given = attributes.activations
  return given?.type !== 'strings' || given.value.every((name, i) => name === standard[i % standard.length])
}

const unsupported = (why: string, hint: string) => new PinGoError('GRAPH_UNSUPPORTED', why, { hint })

const recurrentOf = (kind: Kind): Operator => ({ lower: (c) => lower(c, kind) })

/**
 * Recurrent layers. An LSTM of the usual kind is one operation with a gradient of its own (lstm.ts). The others are
 * unrolled over their time axis, whose length is fixed in a training graph: one product gives the inputs' part of all steps'
 * gates, and each step adds its state's by one more. Gradients follow from those of the operators it is written with; see
 * `SharedProducts` for how those of the weights are joined.
 */
export const recurrent: Record<string, Operator> = {
  RNN: recurrentOf({ gates: 1, activations: ['Tanh'], make: rnnCell }),
  GRU: recurrentOf({
    gates: 3,
    activations: ['Sigmoid', 'Tanh'],
    make: (b, weights, functions, bound, attributes) =>
      gruCell(b, weights, functions, bound, intOf(attributes, 'linear_before_reset', 0) === 1),
  }),
  LSTM: {
    ...recurrentOf({ gates: 4, activations: ['Sigmoid', 'Tanh', 'Tanh'], make: lstmCell, emit: emitLstm }),
    ...lstm,
  },
}
