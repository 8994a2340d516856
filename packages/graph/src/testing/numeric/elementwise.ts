import { float, int, string } from '../../model.ts'
import { tensorOf } from '../../tensors.ts'
import { type Draw, floats32, type Generator, type Generators, type Operand, type Reals } from './draw.ts'

const unary =
  (op: string, reals?: Reals): Generator =>
  (d) => ({ op, inputs: [d.real(d.shape(0, 3), reals)] })

const each = (ops: readonly string[], make: (op: string) => Generator): Generators =>
  Object.fromEntries(ops.map((op) => [op, make(op)]))

/** Attributes that may be left out, within the bounds given. */
const shaped =
  (op: string, bounds: Record<string, [number, number]>, reals?: (a: Record<string, number>) => Reals): Generator =>
  (d) => {
    const drawn = Object.entries(bounds).map(([name, [low, high]]) => [name, d.float(low, high)] as const)
    const given = Object.fromEntries(drawn.filter(() => d.flag()))
    const attributes = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, float(value)]))
    return { op, inputs: [d.real(d.shape(0, 3), reals?.(given))], attributes }
  }

const binary =
  (op: string, first?: Reals, second: Reals | undefined = first): Generator =>
  (d) => {
    const [a, b] = d.together(2) as [number[], number[]]
    const left = d.int(0, 3) ? d.real(a, first) : d.fixed(a, first)
    return { op, inputs: [left, left.role === 'constant' || d.int(0, 3) ? d.real(b, second) : d.fixed(b, second)] }
  }

const variadic =
  (op: string): Generator =>
  (d) => ({ op, inputs: d.together(d.int(1, 3)).map((shape) => d.real(shape)) })

const comparison =
  (op: string): Generator =>
  (d) => {
    const [a, b] = d.together(2) as [number[], number[]]
    // Whole numbers meet often, reals never.
    if (d.flag()) return { op, inputs: [d.whole(a, -1, 1), d.whole(b, -1, 1)] }
    return { op, inputs: [d.real(a), d.real(b)] }
  }

const boolean =
  (op: string): Generator =>
  (d) => ({ op, inputs: d.together(op === 'Not' ? 1 : 2).map((shape) => d.bools(shape)) })

const bitwise =
  (op: string): Generator =>
  (d) => ({ op, opset: 18, inputs: d.together(2).map((shape) => d.whole(shape, -9, 9)) })

const unusual = (op: string): Generator => {
  const values = [0, 1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  return (d) => ({
    op,
    inputs: [{ role: d.flag() ? 'input' : 'constant', tensor: tensorOf('float32', [5], d.shuffled(values)) }],
  })
}

/** Whole exponents take any base, others positive ones; lowering has a faster way for some. */
const power: Generator = (d) => {
  const kind = d.int(0, 3)
  if (kind === 0) {
    const [a, b] = d.together(2) as [number[], number[]]
    return { op: 'Pow', inputs: [d.real(a, { low: 0.3, high: 2.5 }), d.real(b)] }
  }
  const x = d.shape(0, 3)
  const shape = d.pick([], [1], [1, 1])
  const [base, exponent]: [Operand, number] =
    kind === 1
      ? [d.real(x, { gap: 0.3 }), d.pick(-2, -1, 0, 1, 2, 3, 4, 5)]
      : [d.real(x, { low: 0.3, high: 2.5 }), d.pick(0.5, -0.5, 1.5, 2.5, -1.5, 0.25)]
  const whole = kind === 1 && d.flag()
  return {
    op: 'Pow',
    inputs: [base, { role: 'constant', tensor: tensorOf(whole ? 'int64' : 'float32', shape, [exponent]) }],
  }
}

const modulo: Generator = (d) => {
  const [a, b] = d.together(2) as [number[], number[]]
  if (d.flag()) {
    const divisor = d.whole(b, 1, 4)
    if (d.flag())
      divisor.tensor = tensorOf(
        'int64',
        b,
        Array.from(divisor.tensor.data as BigInt64Array, (n) => -Number(n)),
      )
    return { op: 'Mod', inputs: [d.whole(a, -9, 9), divisor] }
  }
  // The quotients stay away from whole numbers: the dividends lie between the multiples of the only divisor.
  const by = d.pick(0.75, -0.75)
  const dividend = d.real(a, { avoid: [-1.5, -0.75, 0, 0.75, 1.5], gap: 0.05 })
  const divisor = { role: d.pick('weight', 'constant'), tensor: tensorOf('float32', [1], [by]) } as const
  return { op: 'Mod', inputs: [dividend, divisor], attributes: { fmod: int(1) } }
}

const clip: Generator = (d) => {
  const x = d.real(d.shape(0, 3), { avoid: [0, -0.5, 0.75], gap: 0.03 })
  const bound = (value: number): Operand | undefined => {
    const tensor = tensorOf('float32', [], [value])
    return d.pick(undefined, { role: 'constant' as const, tensor }, { role: 'weight' as const, tensor })
  }
  return { op: 'Clip', inputs: [x, bound(d.pick(0, -0.5)), bound(0.75)], opset: d.pick(11, 13, 18) }
}

const dropout: Generator = (d) => {
  const x = d.real(d.shape(1, 3))
  const outputs = d.int(1, 2)
  if (d.flag()) return { op: 'Dropout', inputs: [x], opset: 11, outputs, attributes: { ratio: float(0.5) } }
  const off: Operand = { role: 'constant', tensor: tensorOf('bool', [], [0]) }
  return { op: 'Dropout', inputs: [x, floats32([0.5], []), off], opset: d.pick(12, 13, 18), outputs }
}

const FLOAT = 1
const INT64 = 7
const BOOL = 9
const DOUBLE = 11

const cast: Generator = (d) => {
  const shape = d.shape(0, 2)
  const source = d.int(0, 2)
  if (source === 0) return { op: 'Cast', inputs: [d.whole(shape, -3, 3)], attributes: { to: int(d.pick(FLOAT, BOOL)) } }
  if (source === 1) return { op: 'Cast', inputs: [d.bools(shape)], attributes: { to: int(d.pick(FLOAT, INT64)) } }
  const whole = { avoid: [-2, -1, 0, 1, 2] }
  return { op: 'Cast', inputs: [d.real(shape, whole)], attributes: { to: int(d.pick(FLOAT, INT64, BOOL, DOUBLE)) } }
}

const choose: Generator = (d) => {
  const [c, a, b] = d.together(3) as [number[], number[], number[]]
  return { op: 'Where', inputs: [d.bools(c), d.real(a), d.int(0, 2) ? d.real(b) : d.fixed(b)] }
}

const softmax =
  (op: string): Generator =>
  (d) => {
    const shape = d.shape(1, 4, 3)
    const attributes = d.flag() ? { axis: int(d.axis(shape.length)) } : {}
    // Before opset 13 the axis is 1 unless told: it must be there.
    const opset = shape.length === 1 && !d.flag() ? 13 : d.pick(11, 12, 13, 18, 23)
    const wide = shape.length === 1 && opset < 13 ? { axis: int(0) } : attributes
    return { op, inputs: [d.real(shape, { low: -3, high: 3 })], attributes: wide, opset }
  }

const gelu: Generator = (d) => ({
  op: 'Gelu',
  inputs: [d.real(d.shape(0, 3), { low: -4, high: 4 })],
  opset: d.pick(20, 23),
  attributes: d.pick({}, { approximate: string('tanh') }, { approximate: string('none') }),
})

const prelu: Generator = (d) => {
  const x = d.shape(1, 3)
  return { op: 'PRelu', inputs: [d.real(x), d.real(d.narrower(x))], opset: d.pick(11, 16) }
}

const steps = { avoid: [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2] }
const poles = { gap: 0.3 }
const positive = { low: 0.3, high: 3 }

/** Arithmetic, comparisons, selection and activation functions. */
export const elementwise: Generators = {
  ...each(['Neg', 'Abs', 'Exp', 'Sin', 'Cos', 'Sign'], (op) => unary(op)),
  ...each(['Relu', 'Softsign', 'Elu', 'Celu'], (op) => unary(op)),
  ...each(['Sigmoid', 'Tanh', 'Softplus', 'Mish', 'Erf'], (op) => unary(op, { low: -4, high: 4 })),
  ...each(['Sqrt', 'Log'], (op) => unary(op, positive)),
  ...each(['Floor', 'Ceil', 'Round'], (op) => unary(op, steps)),
  // Of a weight, Identity may be the mark of a tie that the exporter made: see splitTie.
  Identity: (d) => ({ op: 'Identity', inputs: [{ ...d.real(d.shape(0, 3)), role: 'input' }] }),
  ...each(['Tan', 'Asin', 'Acos', 'Atanh'], (op) => unary(op, { low: -0.9, high: 0.9 })),
  ...each(['Atan', 'Sinh', 'Cosh', 'Asinh'], (op) => unary(op)),
  Acosh: unary('Acosh', { low: 1.2, high: 3 }),
  Shrink: shaped('Shrink', { lambd: [0.25, 1], bias: [0, 1] }, ({ lambd = 0.5 }) => ({ avoid: [-lambd, lambd] })),
  Reciprocal: unary('Reciprocal', poles),
  LeakyRelu: shaped('LeakyRelu', { alpha: [0.05, 1.5] }),
  Elu: shaped('Elu', { alpha: [0.1, 2] }),
  Celu: shaped('Celu', { alpha: [0.5, 2] }),
  Selu: shaped('Selu', { alpha: [0.5, 2], gamma: [0.5, 2] }),
  ThresholdedRelu: shaped('ThresholdedRelu', { alpha: [0.1, 1] }, ({ alpha = 1 }) => ({ avoid: [alpha] })),
  HardSigmoid: shaped('HardSigmoid', { alpha: [0.2, 1], beta: [0.2, 0.8] }, ({ alpha = 0.2, beta = 0.5 }) => ({
    low: -4,
    high: 4,
    avoid: [-beta / alpha, (1 - beta) / alpha],
  })),
  HardSwish: unary('HardSwish', { low: -5, high: 5, avoid: [-3, 3] }),
  ...each(['Add', 'Sub', 'Mul'], (op) => binary(op)),
  Div: binary('Div', {}, poles),
  Pow: power,
  Mod: modulo,
  ...each(['Max', 'Min', 'Sum', 'Mean'], variadic),
  ...each(['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'], comparison),
  ...each(['And', 'Or', 'Xor', 'Not'], boolean),
  ...each(['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'], bitwise),
  BitwiseNot: (d) => ({ op: 'BitwiseNot', inputs: [d.whole(d.shape(0, 2), -9, 9)] }),
  ...each(['IsNaN', 'IsInf'], unusual),
  Where: choose,
  Cast: cast,
  CastLike: (d: Draw) => {
    const like = d.pick(d.fixed([1]), d.whole([1], 0, 1, 'constant'))
    return { op: 'CastLike', inputs: [d.real(d.shape(0, 2), steps), like], opset: d.pick(15, 19) }
  },
  PRelu: prelu,
  Gelu: gelu,
  Clip: clip,
  Dropout: dropout,
  Softmax: softmax('Softmax'),
  LogSoftmax: softmax('LogSoftmax'),
}
