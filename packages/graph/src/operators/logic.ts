import { PinGoError, type Tensor } from '@pingo/wire'
import { CAST_CODES } from '../casts.ts'
import { intOf } from '../model.ts'
import type { InferContext, Operator, Type, Value } from '../operator.ts'
import { broadcast } from '../shape.ts'
import { castTensor, isFloat } from '../tensors.ts'
import { broadcastType, foldWith, mapElements, sameType } from './elementwise.ts'

const comparison = (f: (a: number, b: number) => boolean): Operator => ({
  infer: (c) => broadcastType(c, 'bool'),
  fold: foldWith((a, b) => +f(a!, b!)),
  stopsGradient: true,
})

/** Integers bit by bit. */
const bitwise = (f: (a: number, b: number) => number): Operator => ({
  infer: (c) => broadcastType(c),
  fold: foldWith((a, b) => f(a!, b!)),
  stopsGradient: true,
})

const castTarget = (c: InferContext) => {
  const code = intOf(c.attributes, 'to', 0)
  const dtype = (Object.keys(CAST_CODES) as (keyof typeof CAST_CODES)[]).find((name) => CAST_CODES[name] === code)
  if (!dtype) throw new PinGoError('GRAPH_UNSUPPORTED', `A Cast to the ONNX element type ${code} is not supported.`)
  return dtype
}

/** Comparisons, boolean algebra, selection and casts. */
export const logic: Record<string, Operator> = {
  Equal: comparison((a, b) => a === b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  And: comparison((a, b) => !!a && !!b),
  Or: comparison((a, b) => !!a || !!b),
  Xor: comparison((a, b) => !!a !== !!b),
  Not: { infer: sameType, fold: foldWith((a) => +!a), stopsGradient: true },
  BitwiseAnd: bitwise((a, b) => a & b),
  BitwiseOr: bitwise((a, b) => a | b),
  BitwiseXor: bitwise((a, b) => a ^ b),
  BitwiseNot: { infer: sameType, stopsGradient: true },
  IsNaN: { infer: ({ inputs }) => [{ dtype: 'bool', shape: inputs[0]!.shape }], stopsGradient: true },
  IsInf: { infer: ({ inputs }) => [{ dtype: 'bool', shape: inputs[0]!.shape }], stopsGradient: true },
  Where: {
    infer: ({ inputs }): Type[] => [{ dtype: inputs[1]!.dtype, shape: broadcast(...inputs.map((v) => v!.shape)) }],
    fold: ({ tensors, types }) => mapElements(tensors as Tensor[], types[0]!, (c, a, b) => (c ? a! : b!)),
    gradient: ({ b, inputs, grads, wants }) => {
      const [condition, x, y] = inputs as [Value, Value, Value]
      const g = grads[0]!
      const zero = b.scalar(0)
      return [
        undefined,
        wants[1] ? b.unbroadcast(b.where(condition, g, zero), x.shape) : undefined,
        wants[2] ? b.unbroadcast(b.where(condition, zero, g), y.shape) : undefined,
      ]
    },
  },
  Cast: {
    infer: (c) => [{ dtype: castTarget(c), shape: c.inputs[0]!.shape }],
    fold: (c) => castTensor(c.tensors[0]!, castTarget(c)),
    // Training is in float32 throughout: half and double precision of the user's graph become float32.
    lower: (c) => {
      const x = c.inputs[0]!
      const code = intOf(c.attributes, 'to', 0)
      if (code === 1 || code === 10 || code === 11 || code === 16)
        return [isFloat(x.dtype) ? x : c.b.cast(x, 'float32')]
      return [c.b.one('Cast', [x], { to: { type: 'int', value: code } })]
    },
    gradient: ({ b, inputs, outputs, grads }) => [
      isFloat(outputs[0]!.dtype) && isFloat(inputs[0]!.dtype) ? b.cast(grads[0]!, inputs[0]!.dtype) : undefined,
    ],
  },
  CastLike: {
    lower: (c) => [
      c.inputs[0]!.dtype === c.inputs[1]!.dtype ? c.inputs[0] : c.b.cast(c.inputs[0]!, c.inputs[1]!.dtype),
    ],
  },
}
