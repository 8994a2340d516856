import { type DType, PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { known } from '../known.ts'
import { type Attributes, int, intOf, string, stringOf } from '../model.ts'
import type { Operator, Value } from '../operator.ts'
import { axisOf, mismatch, range, stridesOf } from '../shape.ts'
import { numbersOf, tensorOf } from '../tensors.ts'
import { batchedGatherND } from './selection.ts'

const int64 = (b: GraphBuilder, x: Value) => (x.dtype === 'int64' ? x : b.cast(x, 'int64'))
const add = { reduction: string('add') }

/** Adds rows of g into zeros at `indices` of the first axis. */
export function scatterRows(b: GraphBuilder, shape: readonly number[], indices: Value, g: Value): Value {
  return b.one('ScatterND', [b.filled(shape), b.reshape(int64(b, indices), [...indices.shape, 1]), g], add)
}

const axisFrom = (attributes: Attributes): Attributes => ({ axis: int(intOf(attributes, 'axis', 0)) })

/**
 * The gradient of writing `updates` into x at `indices`: of the old elements where nothing was written, and of what was. Where a
 * reduction keeps the greatest or least, those that are equal to the result share its gradient, as in PyTorch.
 */
const scatterGradient =
  (
    scatter: (b: GraphBuilder, x: Value, indices: Value, updates: Value, more: Attributes, own: Attributes) => Value,
    gather: (b: GraphBuilder, x: Value, indices: Value, own: Attributes) => Value,
  ): Operator['gradient'] =>
  ({ b, attributes, inputs, outputs: [y], grads: [g], wants }) => {
    const [x, indices, updates] = inputs as [Value, Value, Value]
    const reduction = stringOf(attributes, 'reduction', 'none')
    if (reduction === 'none' || reduction === 'add') {
      const kept = () => (reduction === 'add' ? g! : scatter(b, g!, indices, b.filled(updates.shape), {}, attributes))
      return [wants[0] ? kept() : undefined, undefined, wants[2] ? gather(b, g!, indices, attributes) : undefined]
    }
    if (reduction !== 'max' && reduction !== 'min')
      throw new PinGoError('GRAPH_UNSUPPORTED', `its gradient with the reduction '${reduction}' is not supported`, {
        hint: 'Use add, max or min.',
      })
    const equal = (v: Value, w: Value) => b.cast(b.one('Equal', [v, w]), 'float32')
    const [old, written] = [equal(x, y!), equal(updates, gather(b, y!, indices, attributes))]
    const share = b.div(g!, scatter(b, old, indices, written, add, attributes))
    return [
      wants[0] ? b.mul(old, share) : undefined,
      undefined,
      wants[2] ? b.mul(written, gather(b, share, indices, attributes)) : undefined,
    ]
  }

/** The places of the elements that are not zero, when they are known while the graph is built: [rank, count]. */
function nonZero(x: Value): number[] {
  if (!x.data || x.variable) throw new PinGoError('GRAPH_UNSUPPORTED', 'how many elements it finds depends on the data')
  const list = numbersOf(x.data)
  const found = range(list.length).filter((i) => list[i] !== 0)
  return stridesOf(x.shape).flatMap((stride, d) => found.map((i) => Math.floor(i / stride) % x.shape[d]!))
}

/** Operators that read or write at given positions. */
export const indexing: Record<string, Operator> = {
  Gather: {
    infer: ({ inputs: [x, indices], attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), x!.shape.length)
      return [{ dtype: x!.dtype, shape: [...x!.shape.slice(0, axis), ...indices!.shape, ...x!.shape.slice(axis + 1)] }]
    },
    fold: ({ tensors: [x, indices], types, attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), x!.shape.length)
      const [outer, inner, size] = [sizeOf(x!.shape.slice(0, axis)), sizeOf(x!.shape.slice(axis + 1)), x!.shape[axis]!]
      const from = numbersOf(x!)
      const list = Array.from(numbersOf(indices!), (n) => (n < 0 ? n + size : n))
      if (list.some((n) => n < 0 || n >= size)) throw mismatch(`an index is outside an axis of ${size}`)
      const out: number[] = []
      for (let o = 0; o < outer; o++)
        for (const n of list) for (let i = 0; i < inner; i++) out.push(from[(o * size + n) * inner + i]!)
      return tensorOf(types[0]!.dtype, types[0]!.shape, out)
    },
    // One constant index is a slice, whose gradient is a cheap padding.
    lower: (c) => {
      const [x, indices] = c.inputs as [Value, Value]
      const axis = axisOf(intOf(c.attributes, 'axis', 0), x.shape.length)
      if (indices.data && !indices.variable && sizeOf(indices.shape) === 1 && x.variable) {
        const given = Number(indices.data.data[0])
        const at = given < 0 ? given + x.shape[axis]! : given
        if (at < 0 || at >= x.shape[axis]!) throw mismatch(`the index ${given} is outside an axis of ${x.shape[axis]}`)
        const part = c.b.slice(x, [axis], [at], [at + 1])
        return [c.b.reshape(part, [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)])]
      }
      return [c.b.one('Gather', [x, indices], { axis: int(axis) })]
    },
    gradient: ({ b, attributes, inputs: [x, indices], grads: [g] }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), x!.shape.length)
      if (axis === 0) return [scatterRows(b, x!.shape, indices!, g!)]
      const rank = x!.shape.length
      const n = indices!.shape.length
      const gPerm = [
        ...range(n).map((i) => axis + i),
        ...range(axis),
        ...range(rank - axis - 1).map((i) => axis + n + i),
      ]
      const front = [axis, ...range(rank).filter((i) => i !== axis)]
      const rows = scatterRows(
        b,
        front.map((i) => x!.shape[i]!),
        indices!,
        b.transpose(g!, gPerm),
      )
      return [
        b.transpose(
          rows,
          front.map((_, i) => front.indexOf(i)),
        ),
      ]
    },
    flops: () => 0,
  },
  GatherElements: {
    infer: ({ inputs: [x, indices] }) => [{ dtype: x!.dtype, shape: indices!.shape }],
    gradient: ({ b, attributes, inputs: [x, indices], grads: [g] }) => [
      b.one('ScatterElements', [b.filled(x!.shape), indices, g], { axis: int(intOf(attributes, 'axis', 0)), ...add }),
    ],
    flops: () => 0,
  },
  GatherND: {
    infer: ({ inputs: [x, indices] }) => [
      { dtype: x!.dtype, shape: [...indices!.shape.slice(0, -1), ...x!.shape.slice(indices!.shape.at(-1)!)] },
    ],
    lower: batchedGatherND,
    gradient: ({ b, inputs: [x, indices], grads: [g] }) => [b.one('ScatterND', [b.filled(x!.shape), indices, g], add)],
    flops: () => 0,
  },
  ScatterND: {
    infer: ({ inputs: [x] }) => [{ dtype: x!.dtype, shape: x!.shape }],
    fold: ({ tensors: [x, indices, updates], types, attributes }) => {
      if (stringOf(attributes, 'reduction', 'none') !== 'none') return undefined
      const out = Array.from(numbersOf(x!))
      const depth = indices!.shape.at(-1)!
      const strides = stridesOf(x!.shape)
      const inner = sizeOf(x!.shape.slice(depth))
      const [at, from] = [numbersOf(indices!), numbersOf(updates!)]
      for (let i = 0; i < at.length / depth; i++) {
        let offset = 0
        for (let d = 0; d < depth; d++)
          offset += (at[i * depth + d]! < 0 ? at[i * depth + d]! + x!.shape[d]! : at[i * depth + d]!) * strides[d]!
        for (let j = 0; j < inner; j++) out[offset + j] = from[i * inner + j]!
      }
      return tensorOf(types[0]!.dtype, types[0]!.shape, out)
    },
    gradient: scatterGradient(
      (b, x, indices, updates, attributes) => b.one('ScatterND', [x, indices, updates], attributes),
      (b, x, indices) => b.one('GatherND', [x, indices]),
    ),
  },
  ScatterElements: {
    infer: ({ inputs: [x] }) => [{ dtype: x!.dtype, shape: x!.shape }],
    gradient: scatterGradient(
      (b, x, indices, updates, attributes, own) =>
        b.one('ScatterElements', [x, indices, updates], { ...axisFrom(own), ...attributes }),
      (b, x, indices, own) => b.one('GatherElements', [x, indices], axisFrom(own)),
    ),
  },
  OneHot: {
    infer: ({ inputs: [indices, depth, values], attributes }) => {
      const rank = indices!.shape.length + 1
      const axis = axisOf(intOf(attributes, 'axis', -1), rank)
      const shape = [...indices!.shape]
      shape.splice(axis, 0, Number(depth!.data!.data[0]))
      return [{ dtype: values!.dtype, shape }]
    },
    stopsGradient: true,
  },
  NonZero: {
    lower: ({ b, inputs: [x] }) => {
      const list = nonZero(x!)
      const rank = x!.shape.length
      return [b.constant(tensorOf('int64', [rank, rank ? list.length / rank : 0], list))]
    },
    stopsGradient: true,
  },
  /** What a condition that is known leaves of an axis, or of all elements. */
  Compress: {
    lower: ({ b, attributes, inputs: [x, condition] }) => {
      const indices = b.ints(nonZero(condition!))
      const flat = attributes.axis ? x! : b.reshape(x!, [sizeOf(x!.shape)])
      return [b.one('Gather', [flat, indices], { axis: int(axisOf(intOf(attributes, 'axis', 0), flat.shape.length)) })]
    },
  },
  /** Turns the first `length` steps of each sequence round. */
  ReverseSequence: {
    lower: ({ b, attributes, inputs: [x, lengths] }) => {
      const [time, batch] = [intOf(attributes, 'time_axis', 0), intOf(attributes, 'batch_axis', 1)]
      const [steps, count] = [x!.shape[time]!, x!.shape[batch]!]
      const own = known(lengths!, 'sequence_lens')
      const shape = x!.shape.map((n, d) => (d === time || d === batch ? n : 1))
      const strides = stridesOf(shape)
      const places = range(steps * count).map((flat) => {
        const [t, i] = [Math.floor(flat / strides[time]!) % steps, Math.floor(flat / strides[batch]!) % count]
        return t < own[i]! ? own[i]! - 1 - t : t
      })
      const indices = b.expand(b.constant(tensorOf('int64', shape, places)), x!.shape)
      return [b.one('GatherElements', [x, indices], { axis: int(time) })]
    },
  },
  ArgMax: argument(),
  ArgMin: argument(),
}

function argument(): Operator {
  return {
    infer: ({ inputs: [x], attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), x!.shape.length)
      const keep = intOf(attributes, 'keepdims', 1) === 1
      const dtype: DType = 'int64'
      return [
        { dtype, shape: keep ? x!.shape.map((n, i) => (i === axis ? 1 : n)) : x!.shape.filter((_, i) => i !== axis) },
      ]
    },
    stopsGradient: true,
    flops: ({ inputs }) => sizeOf(inputs[0]!.shape),
  }
}
