import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from './builder.ts'
import { type Attributes, intOf, intsOf } from './model.ts'
import type { Value, Values } from './operator.ts'
import { axisOf, range, reducedShape, sameShape } from './shape.ts'
import { numbersOf } from './tensors.ts'

type Rule = (b: GraphBuilder, inputs: Values, attributes: Attributes) => Value | undefined

const constantOf = (v: Value | undefined): number | undefined =>
  v?.data && !v.variable && sizeOf(v.shape) === 1 ? Number(v.data.data[0]) : undefined

const listOf = (v: Value | undefined): number[] | undefined =>
  v?.data && !v.variable ? Array.from(numbersOf(v.data)) : undefined

/** x when a scalar constant on one side leaves it as it is. */
const neutral =
  (value: number, bothSides: boolean): Rule =>
  (_, [a, b]) => {
    if (!a || !b || a.dtype !== 'float32') return undefined
    if (constantOf(b) === value && b.shape.length <= a.shape.length) return a
    if (bothSides && constantOf(a) === value && a.shape.length <= b.shape.length) return b
    return undefined
  }

/** A value as a number times values: products and quotients by numbers are taken apart. */
function factorsOf(b: GraphBuilder, v: Value, depth = 4): { scale: number; values: Value[] } {
  const number = v.shape.length === 0 || sizeOf(v.shape) === 1 ? constantOf(v) : undefined
  if (number !== undefined) return { scale: number, values: [] }
  const operation = depth > 0 ? b.producers.get(v.name) : undefined
  const [p, q] = operation?.inputs ?? []
  if (operation?.op === 'Mul') {
    const [left, right] = [factorsOf(b, p!, depth - 1), factorsOf(b, q!, depth - 1)]
    return { scale: left.scale * right.scale, values: [...left.values, ...right.values] }
  }
  const divisor = operation?.op === 'Div' ? constantOf(q) : undefined
  if (divisor === undefined) return { scale: 1, values: [v] }
  const { scale, values } = factorsOf(b, p!, depth - 1)
  return { scale: scale / divisor, values }
}

/** How far exporters' √½ may be off. */
const GELU_TOLERANCE = 1e-4

/**
 * x (1 + erf(x/√2)) times a number, however its factors are ordered, as the one operator it is: the runtime has a kernel for it, and its
 * gradient needs x alone where those of the parts would keep four tensors.
 */
function gelu(b: GraphBuilder, p: Value, q: Value): Value | undefined {
  const [left, right] = [factorsOf(b, p), factorsOf(b, q)]
  const values = [...left.values, ...right.values]
  if (values.length !== 2) return undefined
  for (const [x, sum] of [values, values.toReversed()] as [Value, Value][]) {
    const add = b.producers.get(sum.name)
    if (add?.op !== 'Add' || !add.inputs.some((v) => constantOf(v) === 1)) continue
    const erf = add.inputs.map((v) => b.producers.get(v!.name)).find((operation) => operation?.op === 'Erf')
    if (!erf || !sameShape(sum.shape, x.shape)) continue
    const inner = factorsOf(b, erf.inputs[0]!)
    const fits = inner.values.length === 1 && inner.values[0]!.name === x.name
    if (!fits || Math.abs(inner.scale / Math.SQRT1_2 - 1) > GELU_TOLERANCE) continue
    return b.scale(b.one('Gelu', [x]), 2 * left.scale * right.scale)
  }
  return undefined
}

const mul: Rule = (b, inputs, attributes) => {
  const same = neutral(1, true)(b, inputs, attributes)
  if (same) return same
  if (inputs[0]?.dtype === 'float32') {
    const whole = gelu(b, inputs[0], inputs[1]!)
    if (whole) return whole
  }
  const [x, y] = inputs
  if (!x || !y || x.dtype !== 'float32') return undefined
  const [factor, rest] = constantOf(y) !== undefined ? [y, x] : [x, y]
  const outer = constantOf(factor)
  if (outer === undefined || factor!.shape.length > 0) return undefined
  const inner = b.producers.get(rest!.name)
  if (inner?.op !== 'Mul') return undefined
  const [p, q] = inner.inputs
  const known = constantOf(q) !== undefined ? q : p
  const scale = constantOf(known)
  if (scale === undefined || known!.shape.length > 0 || known!.dtype !== 'float32') return undefined
  return b.one('Mul', [known === q ? p : q, b.scalar(scale * outer)])
}

const reduce: Rule = (b, [x, axes], attributes) => {
  const list = listOf(axes)
  if (!x || !list) return undefined
  const where = list.map((axis) => axisOf(axis, x.shape.length))
  if (where.some((axis) => x.shape[axis] !== 1)) return undefined
  if (!where.length && intOf(attributes, 'noop_with_empty_axes', 0) === 0 && x.shape.length && axes!.shape[0] === 0)
    return x
  return b.reshape(x, reducedShape(x.shape, where, intOf(attributes, 'keepdims', 1) === 1))
}

const rules: Record<string, Rule> = {
  Identity: (_, [x]) => x,
  Add: neutral(0, true),
  Sub: neutral(0, false),
  Mul: mul,
  Div: neutral(1, false),
  Cast: (_, [x], attributes) => (x && intOf(attributes, 'to', 0) === 1 && x.dtype === 'float32' ? x : undefined),
  Concat: (_, inputs) => (inputs.length === 1 ? inputs[0] : undefined),
  Reshape: (b, [x, shape], attributes) => {
    const dims = listOf(shape)
    if (!x || !dims || intOf(attributes, 'allowzero', 0) || dims.some((n) => n < 0)) return undefined
    if (sameShape(x.shape, dims)) return x
    const inner = b.producers.get(x.name)
    if (inner?.op !== 'Reshape' || dims.includes(0) || sizeOf(dims) !== sizeOf(x.shape)) return undefined
    return b.reshape(inner.inputs[0]!, dims)
  },
  Expand: (_, [x, shape]) => {
    const dims = listOf(shape)
    return x && dims && sameShape(x.shape, dims) ? x : undefined
  },
  Transpose: (b, [x], attributes) => {
    const perm = intsOf(attributes, 'perm')
    if (!x || !perm) return undefined
    const moved = perm.filter((axis) => x.shape[axis] !== 1)
    if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!))
      return b.reshape(
        x,
        perm.map((axis) => x.shape[axis]!),
      )
    const inner = b.producers.get(x.name)
    const before = inner?.op === 'Transpose' ? intsOf(inner.attributes, 'perm') : undefined
    return (
      before &&
      b.transpose(
        inner!.inputs[0]!,
        perm.map((axis) => before[axis]!),
      )
    )
  },
  Pad: (_, [x, pads]) => (listOf(pads)?.every((n) => n === 0) ? x : undefined),
  Slice: (_, [x, starts, ends, axes, steps]) => {
    const [from, to, where, by] = [listOf(starts), listOf(ends), listOf(axes), listOf(steps)]
    if (!x || !from || !to || !where || !by) return undefined
    const whole = range(where.length).every((i) => from[i] === 0 && by[i] === 1 && to[i] === x.shape[where[i]!])
    return whole ? x : undefined
  },
  ReduceSum: reduce,
  ReduceMean: reduce,
  ReduceMax: reduce,
  ReduceMin: reduce,
}

/** A value that already holds (or more cheaply gives) what the operation would, or undefined. */
export function simplify(b: GraphBuilder, op: string, inputs: Values, attributes: Attributes): Value | undefined {
  return rules[op]?.(b, inputs, attributes)
}
