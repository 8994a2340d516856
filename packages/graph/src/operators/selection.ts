import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { known } from '../known.ts'
import { int, intOf, string } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { axisOf, mismatch, range } from '../shape.ts'
import { tensorOf } from '../tensors.ts'

const add = { reduction: string('add') }

/** 1 where `position` is the index along an axis of `size`, else 0; the axis is added at `axis`. */
function oneHot(b: GraphBuilder, position: Value, size: number, axis: number): Value {
  const depth = b.constant(tensorOf('int64', [], [size]))
  return b.one('OneHot', [position, depth, b.constant(tensorOf('float32', [2], [0, 1]))], { axis: int(axis) })
}

/** Each row of the first axis put in front of its own indices, so that a GatherND without batch axes finds it. */
function withBatch(b: GraphBuilder, indices: Value, batchDims: number): Value {
  const lead = indices.shape.slice(0, batchDims)
  const parts = range(batchDims).map((d) => {
    const shape = indices.shape.map((_, i) => (i === d ? lead[d]! : 1))
    const count = b.constant(tensorOf('int64', shape, range(lead[d]!)))
    return b.one('Expand', [count, b.ints([...indices.shape.slice(0, -1), 1])])
  })
  return b.concat([...parts, indices.dtype === 'int64' ? indices : b.cast(indices, 'int64')], indices.shape.length - 1)
}

/** A pooling's maxima put back where its indices (flat over the whole tensor) say. */
function unpooled(c: LowerContext): Value {
  const { b, attributes } = c
  const [x, indices] = c.inputs as [Value, Value]
  const list = (name: string, fallback: number) => {
    const a = attributes[name]
    return a?.type === 'ints' ? a.value : range(x.shape.length - 2).map(() => fallback)
  }
  const [kernel, strides] = [list('kernel_shape', 1), list('strides', 1)]
  const given = attributes.pads
  const pads = given?.type === 'ints' ? given.value : range(2 * kernel.length).map(() => 0)
  const natural = [
    ...x.shape.slice(0, 2),
    ...kernel.map((k, i) => (x.shape[i + 2]! - 1) * strides[i]! + k - pads[i]! - pads[kernel.length + i]!),
  ]
  const shape = c.inputs[2] ? known(c.inputs[2], 'output_shape').map((n, i) => (i === 0 ? x.shape[0]! : n)) : natural
  if (shape.slice(2).join() !== natural.slice(2).join())
    throw new PinGoError('GRAPH_UNSUPPORTED', 'an output_shape other than that of its window is not supported', {
      hint: 'Use Resize or ConvTranspose.',
    })
  const flat = (v: Value) => b.reshape(v, [sizeOf(v.shape)])
  const zeros = b.filled([sizeOf(shape)])
  return b.reshape(b.one('ScatterElements', [zeros, flat(indices), flat(x)], { axis: int(0) }), shape)
}

/** Operators that pick out elements by their size or by computed places. */
export const selection: Record<string, Operator> = {
  TopK: {
    infer: ({ inputs: [x, k], attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', -1), x!.shape.length)
      const n = known(k!, 'k')[0]!
      if (n < 0 || n > x!.shape[axis]!) throw mismatch(`${n} of ${x!.shape[axis]} elements cannot be picked`)
      const shape = x!.shape.map((size, i) => (i === axis ? n : size))
      return [
        { dtype: x!.dtype, shape },
        { dtype: 'int64', shape },
      ]
    },
    lower: (c) => {
      const [x, k] = c.inputs as [Value, Value]
      const attributes = {
        axis: int(axisOf(intOf(c.attributes, 'axis', -1), x.shape.length)),
        largest: int(intOf(c.attributes, 'largest', 1)),
        sorted: int(intOf(c.attributes, 'sorted', 1)),
      }
      return c.b.emit('TopK', [x, c.b.ints(known(k, 'k'))], attributes)
    },
    gradient: ({ b, attributes, inputs: [x], outputs: [, indices], grads: [g] }) => [
      g &&
        b.one('ScatterElements', [b.filled(x!.shape), indices, g], {
          axis: int(intOf(attributes, 'axis', -1)),
          ...add,
        }),
    ],
    flops: ({ inputs: [x] }) => sizeOf(x!.shape) * 8,
  },
  /** 1 at the (first) greatest element of an axis, else 0. */
  Hardmax: {
    lower: (c) => {
      const { b } = c
      const x = c.inputs[0]!
      const given = intOf(c.attributes, 'axis', c.opset < 13 ? 1 : -1)
      const axis = axisOf(given, x.shape.length)
      // Before opset 13, the tensor is seen as a matrix whose columns begin at `axis`; a vector is one row (OneHot takes no scalar).
      const old = (c.opset < 13 && axis < x.shape.length - 1) || x.shape.length === 1
      const flat = old ? b.reshape(x, [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]) : x
      const at = old ? 1 : axis
      const best = b.one('ArgMax', [flat], { axis: int(at), keepdims: int(0) })
      return [b.reshape(oneHot(b, best, flat.shape[at]!, at), x.shape)]
    },
    stopsGradient: true,
  },
  MaxUnpool: { lower: (c) => [unpooled(c)] },
}

/** GatherND whose first axes are batch axes, written without them. */
export function batchedGatherND(c: LowerContext): Value[] {
  const [x, indices] = c.inputs as [Value, Value]
  const batchDims = intOf(c.attributes, 'batch_dims', 0)
  return [c.b.one('GatherND', [x, batchDims ? withBatch(c.b, indices, batchDims) : indices])]
}
