import { type DType, PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import { CAST_CODES } from '../casts.ts'
import { known } from '../known.ts'
import { int, intOf } from '../model.ts'
import type { Operator } from '../operator.ts'
import { MAX_TENSOR_ELEMENTS } from '../proto/tensor.ts'
import { rebatchedConstant } from '../rebatch.ts'
import { axisOf, mismatch, range, stridesOf } from '../shape.ts'
import { numbersOf, tensorOf } from '../tensors.ts'
import { gatherElements } from './movement.ts'

function constantOf(attributes: Parameters<NonNullable<Operator['lower']>>[0]['attributes']): Tensor {
  for (const [name, attribute] of Object.entries(attributes)) {
    if (name === 'value' && attribute.type === 'tensor') return attribute.value
    if (name === 'value_float' && attribute.type === 'float') return tensorOf('float32', [], [attribute.value])
    if (name === 'value_floats' && attribute.type === 'floats')
      return tensorOf('float32', [attribute.value.length], attribute.value)
    if (name === 'value_int' && attribute.type === 'int') return tensorOf('int64', [], [attribute.value])
    if (name === 'value_ints' && attribute.type === 'ints')
      return tensorOf('int64', [attribute.value.length], attribute.value)
  }
  throw new PinGoError('GRAPH_UNSUPPORTED', 'a constant of that kind is not supported', {
    hint: 'Use tensors of numbers.',
  })
}

/** Constants, shapes and sequences: mostly folded away while the graph is built. */
export const creation: Record<string, Operator> = {
  Constant: {
    lower: ({ b, attributes, exported }) => {
      const tensor = constantOf(attributes)
      return [b.constant(exported ? rebatchedConstant(exported, tensor) : tensor)]
    },
  },
  ConstantOfShape: {
    infer: ({ inputs: [shape], attributes }) => {
      const dims = known(shape!, 'shape')
      if (dims.some((n) => n < 0) || sizeOf(dims) > MAX_TENSOR_ELEMENTS) throw mismatch('the constant is too large')
      const value = attributes.value?.type === 'tensor' ? attributes.value.value : undefined
      return [{ dtype: value?.dtype ?? 'float32', shape: dims }]
    },
    fold: ({ types: [type], attributes }) => {
      const value = attributes.value?.type === 'tensor' ? Number(attributes.value.value.data[0]) : 0
      return tensorOf(type!.dtype, type!.shape, new Float64Array(sizeOf(type!.shape)).fill(value))
    },
    stopsGradient: true,
    flops: () => 0,
  },
  Shape: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const rank = x!.shape.length
      const wrap = (n: number) => Math.min(Math.max(n < 0 ? n + rank : n, 0), rank)
      return [b.ints(x!.shape.slice(wrap(intOf(attributes, 'start', 0)), wrap(intOf(attributes, 'end', rank))))]
    },
    stopsGradient: true,
  },
  Size: { lower: ({ b, inputs: [x] }) => [b.constant(tensorOf('int64', [], [sizeOf(x!.shape)]))], stopsGradient: true },
  Range: {
    infer: ({ inputs: [start, limit, delta] }) => {
      const [from, to, by] = [known(start!, 'start')[0]!, known(limit!, 'limit')[0]!, known(delta!, 'delta')[0]!]
      const count = Math.max(0, Math.ceil((to - from) / by))
      if (!(count <= MAX_TENSOR_ELEMENTS)) throw mismatch('the range is too long')
      return [{ dtype: start!.dtype, shape: [count] }]
    },
    fold: ({ tensors: [start, , delta], types: [type] }) => {
      const [from, by] = [numbersOf(start!)[0]!, numbersOf(delta!)[0]!]
      return tensorOf(
        type!.dtype,
        type!.shape,
        range(type!.shape[0]!).map((i) => from + i * by),
      )
    },
    stopsGradient: true,
  },
  EyeLike: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const [rows, columns] = x!.shape as [number, number]
      const k = intOf(attributes, 'k', 0)
      const code = attributes.dtype?.value
      const dtype = (Object.keys(CAST_CODES) as DType[]).find((name) => CAST_CODES[name] === code) ?? x!.dtype
      const ones = range(rows * columns).map((i) => +((i % columns) - Math.floor(i / columns) === k))
      return [b.constant(tensorOf(dtype, x!.shape, ones))]
    },
    stopsGradient: true,
  },
  Trilu: {
    infer: ({ inputs: [x] }) => [{ dtype: x!.dtype, shape: x!.shape }],
    fold: ({ inputs: [, k], tensors: [x], types, attributes }) => {
      const offset = k ? known(k, 'diagonal')[0]! : 0
      const upper = intOf(attributes, 'upper', 1) === 1
      const strides = stridesOf(x!.shape)
      return gatherElements(x!, types[0]!, (index) => {
        const distance = index.at(-1)! - index.at(-2)!
        const kept = upper ? distance >= offset : distance <= offset
        return kept ? index.reduce((sum, n, d) => sum + n * strides[d]!, 0) : -1
      })
    },
    gradient: ({ b, inputs: [, k], attributes, grads: [g] }) => [b.one('Trilu', k ? [g, k] : [g], attributes)],
  },
  CumSum: {
    infer: ({ inputs: [x] }) => [{ dtype: x!.dtype, shape: x!.shape }],
    fold: ({ inputs, tensors: [x], types, attributes }) => {
      if (intOf(attributes, 'exclusive', 0) || intOf(attributes, 'reverse', 0)) return undefined
      const axis = axisOf(known(inputs[1]!, 'axis')[0]!, x!.shape.length)
      const inner = sizeOf(x!.shape.slice(axis + 1))
      const out = Float64Array.from(numbersOf(x!))
      for (let i = 0; i < out.length; i++) if (Math.floor(i / inner) % x!.shape[axis]! > 0) out[i]! += out[i - inner]!
      return tensorOf(types[0]!.dtype, types[0]!.shape, out)
    },
    // The sum of all later gradients: the same operation from the other end.
    gradient: ({ b, inputs: [, axis], attributes, grads: [g] }) => [
      b.one('CumSum', [g, axis], { ...attributes, reverse: int(1 - intOf(attributes, 'reverse', 0)) }),
    ],
  },
}
