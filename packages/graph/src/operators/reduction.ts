import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { intsFrom, known } from '../known.ts'
import { int, intOf } from '../model.ts'
import type { FoldContext, InferContext, LowerContext, Operator, Value } from '../operator.ts'
import { axisOf, range, reducedShape, stridesOf } from '../shape.ts'
import { numbersOf, tensorOf } from '../tensors.ts'

function axesOf({ inputs: [x, axes], attributes }: InferContext): number[] {
  const list = axes ? known(axes, 'axes') : []
  if (!list.length) return intOf(attributes, 'noop_with_empty_axes', 0) ? [] : range(x!.shape.length)
  return list.map((axis) => axisOf(axis, x!.shape.length))
}

const infer = (c: InferContext) => [
  {
    dtype: c.inputs[0]!.dtype,
    shape: reducedShape(c.inputs[0]!.shape, axesOf(c), intOf(c.attributes, 'keepdims', 1) === 1),
  },
]

/** Axes by attribute (before opset 18; ReduceSum before 13) or input, and whether they stay as 1. */
function lowered(c: LowerContext): { x: Value; axes: number[]; keep: boolean } {
  const x = c.inputs[0]!
  const given = intsFrom(c, 1, 'axes')
  const all = range(x.shape.length)
  const axes = given?.length
    ? given.map((axis) => axisOf(axis, x.shape.length))
    : intOf(c.attributes, 'noop_with_empty_axes', 0)
      ? []
      : all
  return { x, axes, keep: intOf(c.attributes, 'keepdims', 1) === 1 }
}

const emit = (b: GraphBuilder, op: string, x: Value, axes: number[], keep: boolean) =>
  axes.length ? b.one(op, [x, b.ints(axes)], { keepdims: int(+keep) }) : x

/** g spread back over the axes that were reduced. */
function spread(b: GraphBuilder, g: Value, x: Value, axes: number[]): Value {
  return b.reshape(g, reducedShape(x.shape, axes, true))
}

const folded =
  (start: number, step: (a: number, x: number) => number, finish: (a: number, n: number) => number = (a) => a) =>
  (c: FoldContext) => {
    const { shape } = c.tensors[0]!
    const axes = axesOf(c)
    const strides = stridesOf(reducedShape(shape, axes, true)).map((s, d) => (axes.includes(d) ? 0 : s))
    const own = stridesOf(shape)
    const from = numbersOf(c.tensors[0]!)
    const out = new Float64Array(sizeOf(c.types[0]!.shape)).fill(start)
    for (let i = 0; i < from.length; i++) {
      const at = own.reduce((sum, s, d) => sum + (Math.floor(i / s) % shape[d]!) * strides[d]!, 0)
      out[at] = step(out[at]!, from[i]!)
    }
    const n = from.length / Math.max(1, out.length)
    return tensorOf(
      c.types[0]!.dtype,
      c.types[0]!.shape,
      out.map((a) => finish(a, n)),
    )
  }

const flops: Operator['flops'] = ({ inputs }) => sizeOf(inputs[0]!.shape)
const lower = (c: LowerContext) => {
  const { x, axes, keep } = lowered(c)
  return [emit(c.b, c.op, x, axes, keep)]
}

const extremum = (start: number, pick: (...xs: number[]) => number): Operator => ({
  infer,
  lower,
  flops,
  fold: folded(start, pick),
  // Equal extremes share the gradient, as PyTorch's amax does.
  gradient: ({ b, op, attributes, inputs, outputs, grads }) => {
    const x = inputs[0]!
    const axes = axesOf({ op, inputs, attributes })
    const hit = b.one('Equal', [x, spread(b, outputs[0]!, x, axes)])
    const ones = b.cast(hit, 'float32')
    return [b.mul(ones, b.div(spread(b, grads[0]!, x, axes), b.sum(ones, axes, true)))]
  },
})

/** A reduction that is written with simpler operators: before and after a sum. */
const composed = (
  before: (b: GraphBuilder, x: Value) => Value,
  after: (b: GraphBuilder, s: Value) => Value,
): Operator => ({
  lower: (c) => {
    const { x, axes, keep } = lowered(c)
    return [after(c.b, emit(c.b, 'ReduceSum', before(c.b, x), axes, keep))]
  },
})

const same = (_: GraphBuilder, x: Value) => x
const square = (b: GraphBuilder, x: Value) => b.mul(x, x)

/** Reductions over axes. */
export const reduction: Record<string, Operator> = {
  ReduceSum: {
    infer,
    lower,
    flops,
    fold: folded(0, (a, x) => a + x),
    gradient: ({ b, op, attributes, inputs, grads }) => {
      const x = inputs[0]!
      return [b.expand(spread(b, grads[0]!, x, axesOf({ op, inputs, attributes })), x.shape)]
    },
  },
  ReduceMean: {
    infer,
    lower,
    flops,
    fold: folded(
      0,
      (a, x) => a + x,
      (a, n) => a / n,
    ),
    gradient: ({ b, op, attributes, inputs, outputs, grads }) => {
      const x = inputs[0]!
      const g = b.scale(grads[0]!, sizeOf(outputs[0]!.shape) / sizeOf(x.shape))
      return [b.expand(spread(b, g, x, axesOf({ op, inputs, attributes })), x.shape)]
    },
  },
  ReduceMax: extremum(Number.NEGATIVE_INFINITY, Math.max),
  ReduceMin: extremum(Number.POSITIVE_INFINITY, Math.min),
  ReduceProd: {
    infer,
    lower,
    flops,
    fold: folded(1, (a, x) => a * x),
    // The product of the others: the product by the element, or, at the only zero, the product of the rest; 0 beside a zero.
    gradient: ({ b, op, attributes, inputs, grads }) => {
      const x = inputs[0]!
      const axes = axesOf({ op, inputs, attributes })
      const zero = b.scalar(0)
      const isZero = b.one('Equal', [x, zero])
      const filled = b.where(isZero, b.scalar(1), x)
      const rest = b.one('ReduceProd', [filled, b.ints(axes)], { keepdims: int(1) })
      const zeros = b.sum(b.cast(isZero, 'float32'), axes, true)
      const atZero = b.where(b.one('Equal', [zeros, b.scalar(1)]), rest, zero)
      const elsewhere = b.where(b.one('Equal', [zeros, zero]), b.div(rest, filled), zero)
      return [b.mul(spread(b, grads[0]!, x, axes), b.where(isZero, atZero, elsewhere))]
    },
  },
  ReduceL1: composed((b, x) => b.one('Abs', [x]), same),
  ReduceL2: composed(square, (b, s) => b.one('Sqrt', [s])),
  ReduceSumSquare: composed(square, same),
  ReduceLogSum: composed(same, (b, s) => b.one('Log', [s])),
  ReduceLogSumExp: {
    lower: (c) => {
      const { x, axes, keep } = lowered(c)
      if (!axes.length) return [x]
      // Shifted by the greatest value so that nothing overflows; its gradient cancels out of the sum.
      const top = emit(c.b, 'ReduceMax', x, axes, true)
      const sum = c.b.sum(c.b.one('Exp', [c.b.sub(x, top)]), axes, true)
      return [c.b.reshape(c.b.add(c.b.one('Log', [sum]), top), reducedShape(x.shape, axes, keep))]
    },
  },
}
