import { sizeOf } from '@pingo/wire'
import { intsFrom, known } from '../known.ts'
import { intOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { rebatchedShapes } from '../rebatch.ts'
import { axisOf, mismatch, sameShape, shapeText } from '../shape.ts'

/** ONNX's Reshape rule: 0 copies (unless allowzero), one -1 is what is left. */
export function reshapedTo(from: readonly number[], wanted: readonly number[], allowZero: boolean): number[] {
  const shape = wanted.map((n, i) => (n === 0 && !allowZero ? (from[i] ?? 0) : n))
  const free = shape.indexOf(-1)
  const rest = shape.reduce((product, n, i) => (i === free ? product : product * n), 1)
  if (free >= 0) shape[free] = rest === 0 ? 0 : sizeOf(from) / rest
  if (shape.some((n) => n < 0 || !Number.isInteger(n)) || sizeOf(shape) !== sizeOf(from))
    throw mismatch(`${shapeText(from)} cannot be reshaped to ${shapeText(wanted)}`)
  return shape
}

/** The target of a Reshape whose numbers were written for another batch size. */
function rebatched({ exported }: LowerContext, x: Value, wanted: readonly number[]): readonly number[] {
  const before = exported?.input(0)
  const after = exported?.output(0)
  if (!before || !after || sameShape(before, x.shape) || before.length !== x.shape.length) return wanted
  // Numbers that were worked out from the new batch, or leave the first axis open, are right already.
  const open = wanted.indexOf(-1)
  const explicit = wanted.map((n, i) => (n === 0 ? (x.shape[i] ?? 0) : n))
  if (open < 0 && sizeOf(explicit) === sizeOf(x.shape)) return wanted
  const within = exported!.within(0)
  if (within === undefined && open === 0 && sizeOf(x.shape) % sizeOf(explicit.slice(1)) === 0) return wanted
  const grown = before.findIndex((n, i) => n !== x.shape[i])
  const candidates = rebatchedShapes(exported!, before, grown, after, within)
  return candidates.length ? candidates[exported!.choose(candidates.length)]! : wanted
}

const back =
  (): Operator['gradient'] =>
  ({ b, inputs: [x], grads: [g] }) => [b.reshape(g!, x!.shape)]

/** Operators that keep the elements' order in memory: all become Reshape with a constant shape. */
export const reshape: Record<string, Operator> = {
  Reshape: {
    infer: (c) => {
      const wanted = known(c.inputs[1]!, 'shape')
      return [
        {
          dtype: c.inputs[0]!.dtype,
          shape: reshapedTo(c.inputs[0]!.shape, wanted, intOf(c.attributes, 'allowzero', 0) === 1),
        },
      ]
    },
    fold: ({ tensors, types }) => ({ ...tensors[0]!, shape: types[0]!.shape }),
    lower: (c) => {
      const x = c.inputs[0]!
      const wanted = rebatched(c, x, known(c.inputs[1]!, 'shape'))
      return [c.b.reshape(x, reshapedTo(x.shape, wanted, intOf(c.attributes, 'allowzero', 0) === 1))]
    },
    gradient: back(),
    flops: () => 0,
  },
  Flatten: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const given = intOf(attributes, 'axis', 1)
      const axis = given < 0 ? given + x!.shape.length : given
      return [b.reshape(x!, [sizeOf(x!.shape.slice(0, axis)), sizeOf(x!.shape.slice(axis))])]
    },
  },
  Squeeze: {
    lower: (c) => {
      const x = c.inputs[0]!
      const axes = intsFrom(c, 1, 'axes')?.map((axis) => axisOf(axis, x.shape.length))
      if (axes?.some((axis) => x.shape[axis] !== 1))
        throw mismatch(`an axis to squeeze is not 1 in ${shapeText(x.shape)}`)
      return [
        c.b.reshape(
          x,
          x.shape.filter((n, i) => (axes ? !axes.includes(i) : n !== 1)),
        ),
      ]
    },
  },
  Unsqueeze: {
    lower: (c) => {
      const x = c.inputs[0]!
      const given = intsFrom(c, 1, 'axes') ?? []
      const rank = x.shape.length + given.length
      const axes = given.map((axis) => axisOf(axis, rank))
      const rest = [...x.shape]
      return [
        c.b.reshape(
          x,
          Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : rest.shift()!)),
        ),
      ]
    },
  },
}
