import { type Kernel, type Kernels, need, number, text } from './kernel.ts'
import { erf, roundHalfEven, sigmoid, softplus } from './special.ts'
import { count, type Kind, kindOf, map, ref, zip } from './tensor.ts'

const unary =
  (f: (x: number) => number): Kernel =>
  (c) => [map(need(c, 0), f)]

/** One input and the attributes alpha, beta or gamma with the defaults given. */
const shaped =
  (defaults: Record<string, number>, f: (x: number, p: Record<string, number>) => number): Kernel =>
  (c) => {
    const p = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, number(c, name, value)]))
    return [map(need(c, 0), (x) => f(x, p))]
  }

const binary =
  (f: (a: number, b: number, integer: boolean) => number, kind?: Kind): Kernel =>
  (c) => {
    const [a, b] = [need(c, 0), need(c, 1)]
    return [zip(kind ?? a.kind, [a, b], (x, y) => f(x, y, a.kind === 'int'))]
  }

const variadic =
  (f: (...xs: number[]) => number): Kernel =>
  (c) => [
    zip(
      need(c, 0).kind,
      c.inputs.map((_, i) => need(c, i)),
      f,
    ),
  ]

const sum = (...xs: number[]) => xs.reduce((a, x) => a + x, 0)

/** TensorProto.DataType to what the reference tells apart. */
const kindOfCode = (code: number): Kind => ([1, 10, 11, 16].includes(code) ? 'float' : code === 9 ? 'bool' : 'int')

const convert = (kind: Kind) => (x: number) => (kind === 'bool' ? +(x !== 0) : kind === 'int' ? Math.trunc(x) : x)

/** Arithmetic, comparisons, selection and activation functions. */
export const elementwise: Kernels = {
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b, integer) => (integer ? Math.trunc(a / b) : a / b)),
  // fmod = 1 has the sign of the dividend, 0 that of the divisor.
  Mod: (c) => [
    zip(need(c, 0).kind, [need(c, 0), need(c, 1)], (a, b) => (number(c, 'fmod', 0) ? a % b : ((a % b) + b) % b)),
  ],
  Pow: binary((a, b, integer) => (integer ? Math.trunc(a ** b) : a ** b)),
  Max: variadic(Math.max),
  Min: variadic(Math.min),
  Sum: variadic(sum),
  Mean: variadic((...xs) => sum(...xs) / xs.length),

  Identity: unary((x) => x),
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Sqrt: unary(Math.sqrt),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Reciprocal: unary((x) => 1 / x),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Tan: unary(Math.tan),
  Asin: unary(Math.asin),
  Acos: unary(Math.acos),
  Atan: unary(Math.atan),
  Sinh: unary(Math.sinh),
  Cosh: unary(Math.cosh),
  Asinh: unary(Math.asinh),
  Acosh: unary(Math.acosh),
  Atanh: unary(Math.atanh),
  Erf: unary(erf),
  Sign: unary(Math.sign),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(roundHalfEven),

  Relu: unary((x) => Math.max(x, 0)),
  Sigmoid: unary(sigmoid),
  Tanh: unary(Math.tanh),
  Softplus: unary(softplus),
  Softsign: unary((x) => x / (1 + Math.abs(x))),
  Mish: unary((x) => x * Math.tanh(softplus(x))),
  LeakyRelu: shaped({ alpha: 0.01 }, (x, { alpha }) => (x < 0 ? alpha! * x : x)),
  Elu: shaped({ alpha: 1 }, (x, { alpha }) => (x < 0 ? alpha! * Math.expm1(x) : x)),
  Selu: shaped({ alpha: 1.6732631921768188, gamma: 1.0507010221481323 }, (x, { alpha, gamma }) =>
    x <= 0 ? gamma! * alpha! * Math.expm1(x) : gamma! * x,
  ),
  Celu: shaped({ alpha: 1 }, (x, { alpha }) => Math.max(0, x) + Math.min(0, alpha! * Math.expm1(x / alpha!))),
  ThresholdedRelu: shaped({ alpha: 1 }, (x, { alpha }) => (x > alpha! ? x : 0)),
  HardSigmoid: shaped({ alpha: 0.2, beta: 0.5 }, (x, { alpha, beta }) => Math.max(0, Math.min(1, alpha! * x + beta!))),
  HardSwish: unary((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Shrink: shaped({ bias: 0, lambd: 0.5 }, (x, { bias, lambd }) =>
    x < -lambd! ? x + bias! : x > lambd! ? x - bias! : 0,
  ),
  Swish: shaped({ alpha: 1 }, (x, { alpha }) => x * sigmoid(alpha! * x)),
  PRelu: binary((x, slope) => (x < 0 ? slope * x : x)),
  Gelu: (c) => {
    const tanh = text(c, 'approximate', 'none') === 'tanh'
    return [
      map(need(c, 0), (x) =>
        tanh
          ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
          : 0.5 * x * (1 + erf(x / Math.SQRT2)),
      ),
    ]
  },
  Clip: (c) => {
    const low = c.inputs[1]?.data[0] ?? number(c, 'min', Number.NEGATIVE_INFINITY)
    const high = c.inputs[2]?.data[0] ?? number(c, 'max', Number.POSITIVE_INFINITY)
    return [map(need(c, 0), (x) => Math.min(Math.max(x, low), high))]
  },
  // Training passes dropout by: the input, and a mask that keeps all.
  Dropout: (c) => [need(c, 0), map(need(c, 0), () => 1, 'bool')],

  Equal: binary((a, b) => +(a === b), 'bool'),
  Greater: binary((a, b) => +(a > b), 'bool'),
  GreaterOrEqual: binary((a, b) => +(a >= b), 'bool'),
  Less: binary((a, b) => +(a < b), 'bool'),
  LessOrEqual: binary((a, b) => +(a <= b), 'bool'),
  And: binary((a, b) => +(a !== 0 && b !== 0), 'bool'),
  Or: binary((a, b) => +(a !== 0 || b !== 0), 'bool'),
  Xor: binary((a, b) => +((a !== 0) !== (b !== 0)), 'bool'),
  BitwiseAnd: binary((a, b) => Number(BigInt(a) & BigInt(b))),
  BitwiseOr: binary((a, b) => Number(BigInt(a) | BigInt(b))),
  BitwiseXor: binary((a, b) => Number(BigInt(a) ^ BigInt(b))),
  BitwiseNot: unary((x) => -x - 1),
  Not: (c) => [map(need(c, 0), (x) => +(x === 0), 'bool')],
  IsNaN: (c) => [map(need(c, 0), (x) => +Number.isNaN(x), 'bool')],
  IsInf: (c) => [
    map(
      need(c, 0),
      (x) =>
        +(
          (x === Number.POSITIVE_INFINITY && number(c, 'detect_positive', 1) === 1) ||
          (x === Number.NEGATIVE_INFINITY && number(c, 'detect_negative', 1) === 1)
        ),
      'bool',
    ),
  ],
  Where: (c) => [zip(need(c, 1).kind, [need(c, 0), need(c, 1), need(c, 2)], (p, a, b) => (p !== 0 ? a : b))],
  Cast: (c) => {
    const kind = kindOfCode(number(c, 'to', 1))
    return [map(need(c, 0), convert(kind), kind)]
  },
  CastLike: (c) => {
    const { kind } = need(c, 1)
    return [map(need(c, 0), convert(kind), kind)]
  },

  Constant: (c) => {
    const { value, value_float, value_int, value_floats, value_ints } = c.attributes
    if (value?.type === 'tensor') {
      const { dtype, shape, data } = value.value
      return [ref(kindOf(dtype), shape, Array.from(data as Iterable<number | bigint>, Number))]
    }
    if (value_float) return [ref('float', [], [value_float.value as number])]
    if (value_int) return [ref('int', [], [value_int.value as number])]
    const many = (value_floats ?? value_ints)!.value as number[]
    return [ref(value_floats ? 'float' : 'int', [many.length], many)]
  },
  ConstantOfShape: (c) => {
    const { value } = c.attributes
    const shape = Array.from(need(c, 0).data)
    const total = shape.reduce((a, n) => a * n, 1)
    const one = value?.type === 'tensor' ? value.value : undefined
    return [ref(one ? kindOf(one.dtype) : 'float', shape, new Array(total).fill(one ? Number(one.data[0]) : 0))]
  },
  Shape: (c) => {
    const { shape } = need(c, 0)
    const part = shape.slice(number(c, 'start', 0), number(c, 'end', shape.length))
    return [ref('int', [part.length], part)]
  },
  Size: (c) => [ref('int', [], [need(c, 0).data.length])],
  Range: (c) => {
    const [start, limit, delta] = [need(c, 0).data[0]!, need(c, 1).data[0]!, need(c, 2).data[0]!]
    const n = Math.max(Math.ceil((limit - start) / delta), 0)
    return [
      ref(
        need(c, 0).kind,
        [n],
        count(n).map((i) => start + i * delta),
      ),
    ]
  },
}
