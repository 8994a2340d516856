import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { float, floatOf, intOf, stringOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { numbersOf } from '../tensors.ts'
import { mapElements, sameType, unary } from './elementwise.ts'
import { rowDots } from './row-dots.ts'

const SQRT_HALF = Math.SQRT1_2
const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI)
const LOG_ONE_OVER_SQRT_PI = -0.5 * Math.log(Math.PI)
/** Hendrycks and Gimpel 2016, the tanh form of GELU. */
const GELU_CUBE = 0.044715
const GELU_TANH = Math.sqrt(2 / Math.PI)

/** A line so steep that every positive float32 but the very smallest is above 1 on it. */
const STEEP = 2 ** 127

/** 1 where y is above 0, else 0, in one pass: a comparison and a Cast take twice the time. */
const isPositive = (b: GraphBuilder, y: Value) => b.one('HardSigmoid', [y], { alpha: float(STEEP), beta: float(0) })

/** g where the condition holds, else 0; a product with 0 and 1 takes half the time of Where. */
const mask = (b: GraphBuilder, condition: Value, g: Value) => b.mul(g, b.cast(condition, 'float32'))
const positive = (b: GraphBuilder, y: Value) => b.one('Greater', [y, b.scalar(0)])

/** Φ(x) = (1 + erf(x/√2)) / 2, the normal distribution's share below x. */
const normalShare = (b: GraphBuilder, x: Value) =>
  b.one('HardSigmoid', [b.one('Erf', [b.scale(x, SQRT_HALF)])], { alpha: float(0.5), beta: float(0.5) })

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** A bound of Clip: undefined when absent; else its number. */
function bound(c: LowerContext, i: number, name: string): Value | undefined {
  const input = c.inputs[i]
  if (input) return input
  const value = c.attributes[name] ? floatOf(c.attributes, name, 0) : undefined
  return value === undefined ? undefined : c.b.scalar(value)
}

/** Activation functions. Those without a kernel worth keeping are written as what they are. */
export const activation: Record<string, Operator> = {
  Relu: unary(
    (x) => Math.max(x, 0),
    ({ b }, g, _, y) => b.mul(g, isPositive(b, y)),
  ),
  Sigmoid: unary(sigmoid, ({ b }, g, _, y) => b.mul(g, b.mul(y, b.sub(b.scalar(1), y))), 8),
  Tanh: unary(Math.tanh, ({ b }, g, _, y) => b.mul(g, b.sub(b.scalar(1), b.mul(y, y))), 8),
  Erf: {
    infer: sameType,
    gradient: ({ b, inputs: [x], grads: [g] }) => [
      b.mul(g!, b.scale(b.one('Exp', [b.one('Neg', [b.mul(x!, x!)])]), TWO_OVER_SQRT_PI)),
    ],
    flops: (_, [y]) => 10 * sizeOf(y!.shape),
  },
  Softplus: unary(
    (x) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0),
    ({ b }, g, x) => b.mul(g, b.one('Sigmoid', [x])),
    16,
  ),
  LeakyRelu: {
    infer: sameType,
    gradient: ({ b, attributes, inputs: [x], grads: [g] }) => [
      b.where(positive(b, x!), g!, b.scale(g!, floatOf(attributes, 'alpha', 0.01))),
    ],
  },
  Elu: {
    infer: sameType,
    // y = alpha (e^x - 1) for x <= 0, so dy/dx = y + alpha there.
    gradient: ({ b, attributes, inputs: [x], outputs: [y], grads: [g] }) => {
      const alpha = b.scalar(floatOf(attributes, 'alpha', 1))
      return [b.where(positive(b, x!), g!, b.mul(g!, b.add(y!, alpha)))]
    },
    flops: (_, [y]) => 8 * sizeOf(y!.shape),
  },
  Selu: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const alpha = float(floatOf(attributes, 'alpha', 1.6732632423543772))
      return [b.scale(b.one('Elu', [x], { alpha }), floatOf(attributes, 'gamma', 1.0507009873554805))]
    },
  },
  Celu: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const alpha = floatOf(attributes, 'alpha', 1)
      return [b.scale(b.one('Elu', [b.scale(x!, 1 / alpha)], { alpha: float(1) }), alpha)]
    },
  },
  PRelu: {
    lower: ({ b, inputs: [x, slope] }) => [b.where(positive(b, x!), x!, b.mul(x!, slope!))],
  },
  ThresholdedRelu: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const above = b.one('Greater', [x, b.scalar(floatOf(attributes, 'alpha', 1))])
      return [mask(b, above, x!)]
    },
  },
  Softsign: { lower: ({ b, inputs: [x] }) => [b.div(x!, b.add(b.scalar(1), b.one('Abs', [x])))] },
  Mish: { lower: ({ b, inputs: [x] }) => [b.mul(x!, b.one('Tanh', [b.one('Softplus', [x])]))] },
  HardSigmoid: {
    infer: sameType,
    lower: ({ b, attributes, inputs: [x] }) => {
      const line = { alpha: float(floatOf(attributes, 'alpha', 0.2)), beta: float(floatOf(attributes, 'beta', 0.5)) }
      return [b.one('HardSigmoid', [x], line)]
    },
    // PyTorch's: the slope holds between 0 and 1, where y (1 - y) is positive.
    gradient: ({ b, attributes, outputs: [y], grads: [g] }) => {
      const inside = isPositive(b, b.mul(y!, b.sub(b.scalar(1), y!)))
      return [b.scale(b.mul(g!, inside), floatOf(attributes, 'alpha', 0.2))]
    },
  },
  HardSwish: {
    lower: ({ b, inputs: [x] }) => {
      const line = b.add(b.scale(x!, 1 / 6), b.scalar(0.5))
      return [b.mul(x!, b.one('Clip', [line, b.scalar(0), b.scalar(1)]))]
    },
  },
  Gelu: {
    infer: sameType,
    lower: ({ b, attributes, inputs: [x] }) => {
      if (stringOf(attributes, 'approximate', 'none') !== 'tanh') return [b.one('Gelu', [x])]
      const cube = b.mul(b.mul(x!, x!), x!)
      const t = b.one('Tanh', [b.scale(b.add(x!, b.scale(cube, GELU_CUBE)), GELU_TANH)])
      return [b.mul(x!, b.scale(b.add(b.scalar(1), t), 0.5))]
    },
    // With u = x/√2 and y = x Φ(x): dy/dx = Φ(x) + x φ(x), where x φ = u exp(-u²) / √π. Everything is computed from x anew, which is cheaper
    // than keeping it; 1/√π goes into the exponent.
    gradient: ({ b, inputs: [x], grads: [g] }) => {
      const u = b.scale(x!, SQRT_HALF)
      const bell = b.mul(u, b.one('Exp', [b.sub(b.scalar(LOG_ONE_OVER_SQRT_PI), b.mul(u, u))]))
      return [b.mul(g!, b.add(bell, normalShare(b, x!)))]
    },
    remade: ({ b, inputs: [x] }) => b.mul(x!, normalShare(b, x!)),
    flops: (_, [y]) => 20 * sizeOf(y!.shape),
  },
  Clip: {
    infer: sameType,
    fold: ({ tensors: [x, low, high], types }) => {
      const [from, to] = [low ? numbersOf(low)[0]! : -Infinity, high ? numbersOf(high)[0]! : Infinity]
      return mapElements([x!], types[0]!, (value) => Math.min(Math.max(value, from), to))
    },
    lower: (c) => {
      const [x] = c.inputs
      const low = bound(c, 1, 'min')
      const high = bound(c, 2, 'max')
      const isZero = low?.data && !low.variable && Number(low.data.data[0]) === 0
      if (isZero && !high && x!.dtype === 'float32') return [c.b.one('Relu', [x])]
      return [low || high ? c.b.one('Clip', high ? [x, low, high] : [x, low]) : x]
    },
    // PyTorch's hardtanh and clamp: the gradient passes where the value was not cut; where it was, it is the bound's.
    gradient: ({ b, inputs: [x, low, high], outputs: [y], grads: [g], wants }) => [
      wants[0] ? mask(b, b.one('Equal', [x, y]), g!) : undefined,
      wants[1] ? b.unbroadcast(mask(b, b.one('Less', [x, low]), g!), low!.shape) : undefined,
      wants[2] ? b.unbroadcast(mask(b, b.one('Greater', [x, high]), g!), high!.shape) : undefined,
    ],
  },
  Identity: { infer: sameType, fold: ({ tensors }) => tensors[0] },
}

const SOFTMAX = (exp: boolean): Operator => ({
  infer: sameType,
  lower: (c) => {
    const x = c.inputs[0]!
    const rank = x.shape.length
    const given = intOf(c.attributes, 'axis', c.opset < 13 ? 1 : -1)
    const axis = given < 0 ? given + rank : given
    if (rank === 0) throw new PinGoError('GRAPH_SHAPE_MISMATCH', 'a scalar has no axis')
    const attributes = { axis: { type: 'int' as const, value: axis } }
    if (c.opset >= 13 || axis === rank - 1) return [c.b.one(c.op, [x], attributes)]
    // Before opset 13, the tensor is seen as a matrix whose columns begin at `axis`.
    const rows = sizeOf(x.shape.slice(0, axis))
    const flat = c.b.reshape(x, [rows, sizeOf(x.shape.slice(axis))])
    return [c.b.reshape(c.b.one(c.op, [flat], { axis: { type: 'int', value: 1 } }), x.shape)]
  },
  gradient: ({ b, attributes, outputs: [y], grads: [g] }) => {
    const axis = [intOf(attributes, 'axis', -1)]
    const isLast = axis[0] === -1 || axis[0] === y!.shape.length - 1
    if (exp) return [b.mul(y!, b.sub(g!, isLast ? rowDots(b, y!, g!) : b.sum(b.mul(g!, y!), axis, true)))]
    return [b.sub(g!, b.mul(b.one('Exp', [y]), b.sum(g!, axis, true)))]
  },
  flops: (_, [y]) => 12 * sizeOf(y!.shape),
})

activation.Softmax = SOFTMAX(true)
activation.LogSoftmax = SOFTMAX(false)
