import { type DType, sizeOf, type Tensor } from '@pingo/wire'
import type { FoldContext, GradientContext, InferContext, Operator, Type, Value } from '../operator.ts'
import { broadcast, broadcastStrides, mismatch, stridesOf } from '../shape.ts'
import { isFloat, numbersOf, tensorOf } from '../tensors.ts'

/** The one input of an elementwise operator gives the output's type. */
export const sameType = ({ inputs }: InferContext): Type[] => [{ dtype: inputs[0]!.dtype, shape: inputs[0]!.shape }]

/** Applies `f` to broadcast elements. */
export function mapElements(tensors: readonly Tensor[], type: Type, f: (...xs: number[]) => number): Tensor {
  const size = sizeOf(type.shape)
  const sources = tensors.map(numbersOf)
  const out = new Float64Array(size)
  if (sources.every((source) => source.length === size || source.length === 1)) {
    for (let i = 0; i < size; i++) out[i] = f(...sources.map((source) => source[source.length === 1 ? 0 : i]!))
    return tensorOf(type.dtype, type.shape, out)
  }
  const strides = tensors.map((t) => broadcastStrides(t.shape, type.shape))
  const own = stridesOf(type.shape)
  const offsets = new Array<number>(tensors.length)
  for (let i = 0; i < size; i++) {
    for (let s = 0; s < sources.length; s++) {
      let offset = 0
      for (let d = 0; d < own.length; d++) offset += (Math.floor(i / own[d]!) % type.shape[d]!) * strides[s]![d]!
      offsets[s] = sources[s]![offset]!
    }
    out[i] = f(...offsets)
  }
  return tensorOf(type.dtype, type.shape, out)
}

export const foldWith =
  (f: (...xs: number[]) => number) =>
  ({ tensors, types }: FoldContext): Tensor =>
    mapElements(tensors as Tensor[], types[0]!, f)

/** One input, one output of the same type. `derivative` gives dL/dx from g = dL/dy, x and y. */
export const unary = (
  f: ((x: number) => number) | undefined,
  derivative?: (c: GradientContext, g: Value, x: Value, y: Value) => Value,
  flops = 1,
): Operator => ({
  infer: sameType,
  ...(f ? { fold: foldWith(f) } : {}),
  ...(derivative
    ? { gradient: (c: GradientContext) => [derivative(c, c.grads[0]!, c.inputs[0]!, c.outputs[0]!)] }
    : { stopsGradient: true }),
  flops: (_, [out]) => flops * sizeOf(out!.shape),
})

/** Inputs of one type, broadcast. */
export function broadcastType({ inputs }: InferContext, dtype?: DType): Type[] {
  const first = inputs[0]!
  for (const input of inputs)
    if (input!.dtype !== first.dtype) throw mismatch(`it mixes ${first.dtype} and ${input!.dtype}`)
  return [{ dtype: dtype ?? first.dtype, shape: broadcast(...inputs.map((v) => v!.shape)) }]
}

type Derivatives = (c: GradientContext, g: Value, a: Value, b: Value, y: Value) => [() => Value, () => Value]

/** Two broadcast inputs. `derivatives` gives dL/da and dL/db before the sums over broadcast axes. */
const binary = (f: (a: number, b: number, integer: boolean) => number, derivatives: Derivatives): Operator => ({
  infer: (c) => broadcastType(c),
  fold: (c) => {
    const integer = !isFloat(c.types[0]!.dtype)
    return mapElements(c.tensors as Tensor[], c.types[0]!, (a, b) => f(a!, b!, integer))
  },
  gradient: (c) => {
    const [a, b] = c.inputs as [Value, Value]
    const both = derivatives(c, c.grads[0]!, a, b, c.outputs[0]!)
    return both.map((d, i) => (c.wants[i] ? c.b.unbroadcast(d(), c.inputs[i]!.shape) : undefined))
  },
})

/** Where two equal candidates share the gradient half and half, as PyTorch's minimum and maximum do. */
const extremum = (compare: 'Greater' | 'Less'): Operator => ({
  ...binary(
    (a, b) => (compare === 'Greater' ? Math.max(a, b) : Math.min(a, b)),
    (c, g, a, b) => {
      const side = (x: Value, y: Value) => {
        const zero = c.b.scalar(0)
        const strict = c.b.where(c.b.one(compare, [x, y]), g, zero)
        return c.b.add(strict, c.b.where(c.b.one('Equal', [x, y]), c.b.scale(g, 0.5), zero))
      }
      return [() => side(a, b), () => side(b, a)]
    },
  ),
  lower: (c) => [c.inputs.reduce((x, y) => c.b.one(c.op, [x, y]))],
})

const divide = (a: number, b: number, integer: boolean) => (integer ? Math.trunc(a / b) : a / b)

export const elementwise: Record<string, Operator> = {
  Add: binary(
    (a, b) => a + b,
    (_, g) => [() => g, () => g],
  ),
  Sub: binary(
    (a, b) => a - b,
    (c, g) => [() => g, () => c.b.one('Neg', [g])],
  ),
  Mul: binary(
    (a, b) => a * b,
    (c, g, a, b) => [() => c.b.mul(g, b), () => c.b.mul(g, a)],
  ),
  Div: binary(divide, (c, g, _, b, y) => [() => c.b.div(g, b), () => c.b.one('Neg', [c.b.div(c.b.mul(g, y), b)])]),
  Max: extremum('Greater'),
  Min: extremum('Less'),
  Sum: { lower: (c) => [c.inputs.reduce((x, y) => c.b.add(x!, y!))] },
  Mean: {
    lower: (c) => [c.b.scale(c.inputs.reduce((x, y) => c.b.add(x!, y!))!, 1 / c.inputs.length)],
  },
  Mod: {
    infer: (c) => broadcastType(c),
    fold: (c) =>
      mapElements(c.tensors as Tensor[], c.types[0]!, (a, b) =>
        c.attributes.fmod?.value ? a! % b! : a! - b! * Math.floor(a! / b!),
      ),
    // x - y · trunc(x / y), where the quotient's whole part does not move; floats have no other form.
    gradient: ({ b, inputs: [x, y], grads: [g], wants }) => {
      const quotient = () => b.div(x!, y!)
      const whole = () => b.mul(b.one('Sign', [quotient()]), b.one('Floor', [b.one('Abs', [quotient()])]))
      return [
        wants[0] ? b.unbroadcast(g!, x!.shape) : undefined,
        wants[1] ? b.unbroadcast(b.one('Neg', [b.mul(g!, whole())]), y!.shape) : undefined,
      ]
    },
  },
  Pow: {
    infer: ({ inputs }) => [{ dtype: inputs[0]!.dtype, shape: broadcast(inputs[0]!.shape, inputs[1]!.shape) }],
    fold: foldWith((a, b) => a! ** b!),
    lower: ({ b, inputs }) => [power(b, inputs[0]!, inputs[1]!)],
    gradient: ({ b, inputs, outputs, grads, wants }) => {
      const [x, e] = inputs as [Value, Value]
      const g = grads[0]!
      const dx = () => b.mul(g, b.mul(e, b.one('Pow', [x, b.sub(e, b.scalar(1))])))
      // d/de x^e = x^e log x, taken as 0 at x = 0 (PyTorch's choice).
      const de = () => {
        const zero = b.scalar(0)
        const safe = b.where(b.one('Greater', [x, zero]), x, b.scalar(1))
        return b.mul(b.mul(g, outputs[0]!), b.one('Log', [safe]))
      }
      return [wants[0] ? b.unbroadcast(dx(), x.shape) : undefined, wants[1] ? b.unbroadcast(de(), e.shape) : undefined]
    },
    flops: (_, [out]) => 10 * sizeOf(out!.shape),
  },
  Neg: unary(
    (x) => -x,
    ({ b }, g) => b.one('Neg', [g]),
  ),
  Abs: unary(Math.abs, ({ b }, g, x) => b.mul(g, b.one('Sign', [x]))),
  Sqrt: unary(Math.sqrt, ({ b }, g, _, y) => b.scale(b.div(g, y), 0.5)),
  Exp: unary(Math.exp, ({ b }, g, _, y) => b.mul(g, y), 8),
  Log: unary(Math.log, ({ b }, g, x) => b.div(g, x), 8),
  Reciprocal: unary(
    (x) => 1 / x,
    ({ b }, g, _, y) => b.one('Neg', [b.mul(g, b.mul(y, y))]),
  ),
  Sin: unary(Math.sin, ({ b }, g, x) => b.mul(g, b.one('Cos', [x])), 8),
  Cos: unary(Math.cos, ({ b }, g, x) => b.one('Neg', [b.mul(g, b.one('Sin', [x]))]), 8),
  Sign: unary(Math.sign),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary((x) => {
    const r = Math.round(x)
    return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r
  }),
}

/** x^e for the exponents that have a faster kernel; the general Pow costs an order of magnitude more. */
function power(b: LowerBuilder, x: Value, e: Value): Value {
  const exponent =
    e.data && !e.variable && sizeOf(e.shape) === 1 && e.shape.length <= x.shape.length
      ? Number(e.data.data[0])
      : undefined
  if (x.dtype === 'float32') {
    if (exponent === 1) return x
    if (exponent === 2) return b.mul(x, x)
    if (exponent === 3) return b.mul(b.mul(x, x), x)
    if (exponent === 0.5) return b.one('Sqrt', [x])
    if (exponent === -1) return b.one('Reciprocal', [x])
    if (exponent === -0.5) return b.one('Reciprocal', [b.one('Sqrt', [x])])
  }
  return b.one('Pow', [x, e.dtype === x.dtype ? e : b.cast(e, x.dtype)])
}
type LowerBuilder = GradientContext['b']
