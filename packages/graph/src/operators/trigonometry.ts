import type { GraphBuilder } from '../builder.ts'
import { floatOf } from '../model.ts'
import type { Operator, Value } from '../operator.ts'
import { unary } from './elementwise.ts'

const square = (b: GraphBuilder, x: Value) => b.mul(x, x)
/** sqrt(scale * x² + shift). */
const root = (b: GraphBuilder, x: Value, scale: number, shift: number) =>
  b.one('Sqrt', [b.add(b.scale(square(b, x), scale), b.scalar(shift))])

/** Trigonometric and hyperbolic functions and their inverses, and shrinking. */
export const trigonometry: Record<string, Operator> = {
  Tan: unary(Math.tan, ({ b }, g, _, y) => b.mul(g, b.add(square(b, y), b.scalar(1))), 8),
  Asin: unary(Math.asin, ({ b }, g, x) => b.div(g, root(b, x, -1, 1)), 8),
  Acos: unary(Math.acos, ({ b }, g, x) => b.one('Neg', [b.div(g, root(b, x, -1, 1))]), 8),
  Atan: unary(Math.atan, ({ b }, g, x) => b.div(g, b.add(square(b, x), b.scalar(1))), 8),
  Sinh: unary(Math.sinh, ({ b }, g, x) => b.mul(g, b.one('Cosh', [x])), 8),
  Cosh: unary(Math.cosh, ({ b }, g, x) => b.mul(g, b.one('Sinh', [x])), 8),
  Asinh: unary(Math.asinh, ({ b }, g, x) => b.div(g, root(b, x, 1, 1)), 8),
  Acosh: unary(Math.acosh, ({ b }, g, x) => b.div(g, root(b, x, 1, -1)), 8),
  Atanh: unary(Math.atanh, ({ b }, g, x) => b.div(g, b.sub(b.scalar(1), square(b, x))), 8),
  /** x + bias below -lambd, x - bias above lambd, else 0. */
  Shrink: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const [lambda, bias] = [floatOf(attributes, 'lambd', 0.5), floatOf(attributes, 'bias', 0)]
      const below = b.where(b.one('Less', [x, b.scalar(-lambda)]), b.add(x!, b.scalar(bias)), b.scalar(0))
      return [b.where(b.one('Greater', [x, b.scalar(lambda)]), b.sub(x!, b.scalar(bias)), below)]
    },
  },
}
