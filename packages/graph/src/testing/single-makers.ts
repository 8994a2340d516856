import { type Attributes, int, ints } from '../model.ts'
import { constants, type SingleCase } from './single.ts'

const { ints: list, floats } = constants

/** Operators of one input. */
export const unary = (...ops: string[]): SingleCase[] => ops.map((op) => ({ op, inputs: [[2, 3]] }))

/** A reduction with its axes as an attribute, and as an input. */
export const reduce = (op: string, ...axes: number[]): SingleCase[] => [
  {
    op,
    inputs: [[2, 3, 2]],
    attributes: axes.length ? { axes: ints(axes) } : {},
    positive: true,
    opset: 12,
    epsilon: 4e-3,
  },
  {
    op,
    inputs: [[2, 3, 2], list(...(axes.length ? axes : [0, 1, 2]))],
    attributes: { keepdims: int(0) },
    opset: 18,
    positive: true,
    epsilon: 4e-3,
  },
]

/** Resize by scales. */
export const resize = (x: number[], scales: number[], attributes: Attributes, opset = 17): SingleCase => ({
  op: 'Resize',
  inputs: [x, undefined, floats(...scales)],
  attributes,
  opset,
})
