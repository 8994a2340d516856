import { PinGoError, sizeOf, type Tensor } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { intsFrom, known } from '../known.ts'
import { int, intOf, intsOf, stringOf } from '../model.ts'
import type { LowerContext, Operator, Type, Value } from '../operator.ts'
import { rebatchedRepeats } from '../rebatch.ts'
import { axisOf, broadcast, mismatch, range, sameShape, shapeText, stridesOf } from '../shape.ts'
import { numbersOf, tensorOf } from '../tensors.ts'

/** A tensor whose element at each output index is the input's element at `source(index)` (-1: `blank`). */
export function gatherElements(x: Tensor, type: Type, source: (index: number[]) => number, blank = 0): Tensor {
  const from = numbersOf(x)
  const out = new Float64Array(sizeOf(type.shape))
  const own = stridesOf(type.shape)
  for (let i = 0; i < out.length; i++) {
    const at = source(own.map((stride, d) => Math.floor(i / stride) % type.shape[d]!))
    out[i] = at < 0 ? blank : from[at]!
  }
  return tensorOf(type.dtype, type.shape, out)
}

const offsetOf = (index: readonly number[], strides: readonly number[]) =>
  index.reduce((sum, n, d) => sum + n * strides[d]!, 0)

/** start, stop and step of a slice along an axis of `size`, by numpy's rules; and how many elements it takes. */
function sliceOf(
  start: number,
  end: number,
  step: number,
  size: number,
): { start: number; end: number; count: number } {
  if (step === 0) throw mismatch('a slice has step 0')
  const wrap = (n: number) => (n < 0 ? n + size : n)
  const clamp = (n: number, low: number, high: number) => Math.min(Math.max(n, low), high)
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1]
  const from = clamp(wrap(start), step > 0 ? 0 : 0, high)
  const to = end < -size && step < 0 ? -1 : clamp(wrap(end), low, high)
  return { start: from, end: to, count: Math.max(0, Math.ceil((to - from) / step)) }
}

export interface SlicePlan {
  axes: number[]
  starts: number[]
  steps: number[]
  counts: number[]
}

function planSlice(x: Value, starts: number[], ends: number[], axes: number[], steps: number[]): SlicePlan {
  const where = axes.map((axis) => axisOf(axis, x.shape.length))
  const cuts = where.map((axis, i) => sliceOf(starts[i]!, ends[i]!, steps[i]!, x.shape[axis]!))
  return { axes: where, starts: cuts.map((c) => c.start), steps, counts: cuts.map((c) => c.count) }
}

/** What a Slice whose starts, ends, axes and steps are constants takes. */
export const plannedSlice = (inputs: readonly (Value | undefined)[]) =>
  planSlice(
    inputs[0]!,
    known(inputs[1]!, 'starts'),
    known(inputs[2]!, 'ends'),
    inputs[3] ? known(inputs[3], 'axes') : range(inputs[1]!.shape[0]!),
    inputs[4] ? known(inputs[4], 'steps') : range(inputs[1]!.shape[0]!).map(() => 1),
  )

/** Puts g's elements back where a slice took them, zeros elsewhere: reversed for negative steps, spread out for steps over 1. */
function unslice(b: GraphBuilder, g: Value, shape: readonly number[], plan: SlicePlan): Value {
  let x = g
  const before = shape.map(() => 0)
  const after = shape.map(() => 0)
  plan.axes.forEach((axis, i) => {
    const count = plan.counts[i]!
    let start = plan.starts[i]!
    let step = plan.steps[i]!
    if (step < 0) {
      x = b.one('Slice', [x, b.ints([-1]), b.ints([-(2 ** 62)]), b.ints([axis]), b.ints([-1])])
      start += (count - 1) * step
      step = -step
    }
    if (step > 1 && count > 0) {
      const wide = [...x.shape.slice(0, axis + 1), 1, ...x.shape.slice(axis + 1)]
      const spread = b.pad(
        b.reshape(x, wide),
        wide.map(() => 0),
        wide.map((_, d) => (d === axis + 1 ? step - 1 : 0)),
      )
      const flat = [...x.shape]
      flat[axis] = count * step
      x = b.reshape(spread, flat)
    }
    const length = x.shape[axis]!
    const room = shape[axis]! - start
    if (length > room) x = b.slice(x, [axis], [0], [room])
    before[axis] = start
    after[axis] = Math.max(0, room - length)
  })
  return b.pad(x, before, after)
}

function splitSizes(c: LowerContext, size: number): number[] {
  const given = intsFrom(c, 1, 'split')
  if (given) return given
  const n = c.node.outputs.length
  const each = Math.ceil(size / n)
  return range(n).map((i) => Math.max(0, Math.min(each, size - i * each)))
}

function padding(c: LowerContext): { pads: number[]; value: Value | undefined } {
  const rank = c.inputs[0]!.shape.length
  const given = intsFrom(c, 1, 'pads') ?? []
  const axes = c.inputs[3] ? known(c.inputs[3], 'axes').map((axis) => axisOf(axis, rank)) : range(rank)
  const pads = new Array<number>(2 * rank).fill(0)
  axes.forEach((axis, i) => {
    pads[axis] = given[i]!
    pads[rank + axis] = given[axes.length + i]!
  })
  return { pads, value: c.inputs[2] }
}

/** Reflect, edge and wrap padding as slices that are put together, so that gradients follow from those. A negative one cuts first. */
function mirrored(b: GraphBuilder, whole: Value, pads: number[], mode: string): Value {
  const rank = whole.shape.length
  const cut = (n: number) => Math.max(0, -n)
  const ends = whole.shape.map((n, d) => n - cut(pads[rank + d]!))
  let x = b.slice(whole, range(rank), pads.slice(0, rank).map(cut), ends)
  for (let axis = 0; axis < rank; axis++) {
    const size = x.shape[axis]!
    const piece = (n: number, front: boolean): Value[] => {
      if (n <= 0) return []
      if (mode === 'edge') {
        const edge = b.slice(x, [axis], [front ? 0 : size - 1], [front ? 1 : size])
        return range(n).map(() => edge)
      }
      if (mode === 'wrap') return [b.slice(x, [axis], [front ? size - n : 0], [front ? size : n])]
      const [start, end] = front ? [n, 0] : [size - 2, size - 2 - n]
      return [b.one('Slice', [x, b.ints([start]), b.ints([end < 0 ? -(2 ** 62) : end]), b.ints([axis]), b.ints([-1])])]
    }
    const [before, after] = [pads[axis]!, pads[rank + axis]!]
    if (mode !== 'edge' && Math.max(before, after) > (mode === 'wrap' ? size : size - 1))
      throw mismatch(`a ${mode} padding is wider than its tensor`)
    x = b.concat([...piece(before, true), x, ...piece(after, false)], axis)
  }
  return x
}

/** Operators that move elements about: transpositions, joins, cuts and repeats. */
export const movement: Record<string, Operator> = {
  Transpose: {
    infer: ({ inputs: [x], attributes }) => {
      const perm = intsOf(attributes, 'perm')!
      if (perm.length !== x!.shape.length) throw mismatch(`the permutation ${shapeText(perm)} is for another rank`)
      return [{ dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) }]
    },
    fold: ({ tensors: [x], types, attributes }) => {
      const strides = stridesOf(x!.shape)
      const perm = intsOf(attributes, 'perm')!
      return gatherElements(x!, types[0]!, (index) => index.reduce((sum, n, d) => sum + n * strides[perm[d]!]!, 0))
    },
    lower: ({ b, attributes, inputs: [x] }) => [
      b.transpose(x!, intsOf(attributes, 'perm') ?? range(x!.shape.length).reverse()),
    ],
    gradient: ({ b, attributes, grads: [g] }) => {
      const perm = intsOf(attributes, 'perm')!
      return [
        b.transpose(
          g!,
          perm.map((_, i) => perm.indexOf(i)),
        ),
      ]
    },
    flops: () => 0,
  },
  Concat: {
    infer: ({ inputs, attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), inputs[0]!.shape.length)
      const shape = [...inputs[0]!.shape]
      for (const x of inputs.slice(1)) {
        if (x!.shape.length !== shape.length || x!.shape.some((n, i) => i !== axis && n !== shape[i]))
          throw mismatch(`${inputs.map((v) => shapeText(v!.shape)).join(', ')} cannot be joined along axis ${axis}`)
        shape[axis]! += x!.shape[axis]!
      }
      return [{ dtype: inputs[0]!.dtype, shape }]
    },
    fold: ({ tensors, types, attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), types[0]!.shape.length)
      const outer = sizeOf(types[0]!.shape.slice(0, axis))
      const sources = tensors.map((t) => numbersOf(t!))
      const out: number[] = []
      for (let i = 0; i < outer; i++)
        for (const source of sources) {
          const chunk = source.length / outer
          for (let j = 0; j < chunk; j++) out.push(source[i * chunk + j]!)
        }
      return tensorOf(types[0]!.dtype, types[0]!.shape, out)
    },
    lower: (c) => {
      const given = c.inputs.filter((v) => v !== undefined)
      const axis = axisOf(intOf(c.attributes, 'axis', 0), given[0]!.shape.length)
      return [c.b.concat(c.exported ? given.map((x) => widened(c, x, given, axis)) : given, axis)]
    },
    gradient: ({ b, attributes, inputs, grads: [g], wants }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), g!.shape.length)
      if (wants.filter(Boolean).length === 1 || inputs.length === 1) {
        let at = 0
        return inputs.map((x, i) => {
          const start = at
          at += x!.shape[axis]!
          return wants[i] ? b.slice(g!, [axis], [start], [at]) : undefined
        })
      }
      const sizes = inputs.map((x) => x!.shape[axis]!)
      return b.emit('Split', [g, b.ints(sizes)], { axis: int(axis) })
    },
    flops: () => 0,
  },
  Split: {
    infer: ({ inputs: [x, sizes], attributes }) => {
      const axis = axisOf(intOf(attributes, 'axis', 0), x!.shape.length)
      const list = known(sizes!, 'sizes')
      if (list.reduce((a, n) => a + n, 0) !== x!.shape[axis])
        throw mismatch(`the parts ${shapeText(list)} do not add up to ${x!.shape[axis]}`)
      return list.map((n) => ({ dtype: x!.dtype, shape: x!.shape.map((m, i) => (i === axis ? n : m)) }))
    },
    lower: (c) => {
      const x = c.inputs[0]!
      const axis = axisOf(intOf(c.attributes, 'axis', 0), x.shape.length)
      const sizes = splitSizes(c, x.shape[axis]!)
      // Constants are cut by slices, which fold.
      if (x.variable) return c.b.emit('Split', [x, c.b.ints(sizes)], { axis: int(axis) })
      let at = 0
      return sizes.map((n) => c.b.slice(x, [axis], [at], [(at += n)]))
    },
    gradient: ({ b, attributes, inputs: [x], outputs, grads }) => [
      b.concat(
        outputs.map((y, i) => grads[i] ?? b.filled(y.shape)),
        axisOf(intOf(attributes, 'axis', 0), x!.shape.length),
      ),
    ],
    flops: () => 0,
  },
  Slice: {
    infer: ({ inputs }) => {
      const { axes, counts } = plannedSlice(inputs)
      return [
        {
          dtype: inputs[0]!.dtype,
          shape: inputs[0]!.shape.map((n, i) => (axes.includes(i) ? counts[axes.indexOf(i)]! : n)),
        },
      ]
    },
    fold: ({ inputs, tensors: [x], types }) => {
      const { axes, starts, steps } = plannedSlice(inputs)
      const strides = stridesOf(x!.shape)
      return gatherElements(x!, types[0]!, (index) => {
        const at = [...index]
        axes.forEach((axis, i) => {
          at[axis] = starts[i]! + at[axis]! * steps[i]!
        })
        return offsetOf(at, strides)
      })
    },
    lower: (c) => {
      const x = c.inputs[0]!
      const starts = intsFrom(c, 1, 'starts') ?? []
      const plan = planSlice(
        x,
        starts,
        intsFrom(c, 2, 'ends') ?? [],
        intsFrom(c, 3, 'axes') ?? range(starts.length),
        c.inputs[4] ? known(c.inputs[4], 'steps') : starts.map(() => 1),
      )
      const ends = plan.starts.map((start, i) => {
        const end = start + plan.counts[i]! * plan.steps[i]!
        return end < 0 ? -(2 ** 62) : plan.steps[i]! > 0 ? Math.min(end, x.shape[plan.axes[i]!]!) : end
      })
      return [c.b.slice(x, plan.axes, plan.starts, ends, plan.steps)]
    },
    gradient: ({ b, inputs, grads: [g] }) => [unslice(b, g!, inputs[0]!.shape, plannedSlice(inputs))],
    flops: () => 0,
  },
  Pad: {
    infer: ({ inputs: [x, pads] }) => {
      const list = known(pads!, 'pads')
      const shape = x!.shape.map((n, i) => n + list[i]! + list[x!.shape.length + i]!)
      if (shape.some((n) => n < 0)) throw mismatch('a negative padding is wider than its tensor')
      return [{ dtype: x!.dtype, shape }]
    },
    fold: ({ inputs, tensors: [x, , value], types }) => {
      const pads = known(inputs[1]!, 'pads')
      const strides = stridesOf(x!.shape)
      const inside = (n: number, d: number) => n >= pads[d]! && n < pads[d]! + x!.shape[d]!
      const blank = value ? Number(value.data[0]) : 0
      return gatherElements(
        x!,
        types[0]!,
        (index) =>
          index.every(inside)
            ? offsetOf(
                index.map((n, d) => n - pads[d]!),
                strides,
              )
            : -1,
        blank,
      )
    },
    lower: (c) => {
      const { pads, value } = padding(c)
      const mode = stringOf(c.attributes, 'mode', 'constant')
      const x = c.inputs[0]!
      if (mode === 'reflect' || mode === 'edge' || mode === 'wrap') return [mirrored(c.b, x, pads, mode)]
      if (mode !== 'constant')
        throw new PinGoError('GRAPH_UNSUPPORTED', `the padding mode '${mode}' is not supported`, {
          hint: 'Use constant, reflect, edge or wrap.',
        })
      return [c.b.one('Pad', value ? [x, c.b.ints(pads), value] : [x, c.b.ints(pads)])]
    },
    gradient: ({ b, inputs: [x, pads], grads: [g] }) => {
      const list = known(pads!, 'pads')
      const rank = x!.shape.length
      const axes = range(rank)
      const before = axes.map((d) => Math.max(0, -list[d]!))
      const after = axes.map((d) => Math.max(0, -list[rank + d]!))
      const starts = axes.map((d) => Math.max(0, list[d]!))
      const ends = axes.map((d) => starts[d]! + x!.shape[d]! - before[d]! - after[d]!)
      return [b.pad(b.slice(g!, axes, starts, ends), before, after)]
    },
    flops: () => 0,
  },
  Expand: {
    infer: ({ inputs: [x, shape] }) => [{ dtype: x!.dtype, shape: broadcast(x!.shape, known(shape!, 'shape')) }],
    fold: ({ tensors: [x], types }) => {
      const strides = stridesOf(x!.shape)
      const lead = types[0]!.shape.length - x!.shape.length
      return gatherElements(x!, types[0]!, (index) =>
        strides.reduce((sum, s, d) => sum + (x!.shape[d] === 1 ? 0 : index[lead + d]! * s), 0),
      )
    },
    lower: (c) => {
      const x = c.inputs[0]!
      return [c.b.expand(x, broadcast(x.shape, expandedTo(c, x, known(c.inputs[1]!, 'shape'))))]
    },
    gradient: ({ b, inputs: [x], grads: [g] }) => [b.unbroadcast(g!, x!.shape)],
    flops: () => 0,
  },
  Tile: {
    infer: ({ inputs: [x, repeats] }) => {
      const list = known(repeats!, 'repeats')
      return [{ dtype: x!.dtype, shape: x!.shape.map((n, i) => n * list[i]!) }]
    },
    fold: ({ tensors: [x], types }) => {
      const strides = stridesOf(x!.shape)
      return gatherElements(x!, types[0]!, (index) =>
        offsetOf(
          index.map((n, d) => n % x!.shape[d]!),
          strides,
        ),
      )
    },
    lower: ({ b, inputs: [x, repeats], exported }) => {
      const given = known(repeats!, 'repeats')
      const wanted = exported ? rebatchedRepeats(exported, x!.shape, given, exported.output(0)) : given
      return [b.one('Tile', [x, b.ints(wanted)])]
    },
    gradient: ({ b, inputs: [x, repeats], grads: [g] }) => {
      const list = known(repeats!, 'repeats')
      const wide = x!.shape.flatMap((n, i) => [list[i]!, n])
      return [
        b.reshape(
          b.sum(
            b.reshape(g!, wide),
            x!.shape.map((_, i) => 2 * i),
          ),
          x!.shape,
        ),
      ]
    },
    flops: () => 0,
  },
  DepthToSpace: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const s = intOf(attributes, 'blocksize', 1)
      const [n, c, h, w] = x!.shape as [number, number, number, number]
      const dcr = stringOf(attributes, 'mode', 'DCR') === 'DCR'
      const depth = c / s / s
      const split = b.reshape(x!, dcr ? [n, s, s, depth, h, w] : [n, depth, s, s, h, w])
      return [b.reshape(b.transpose(split, dcr ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]), [n, depth, h * s, w * s])]
    },
  },
  SpaceToDepth: {
    lower: ({ b, attributes, inputs: [x] }) => {
      const s = intOf(attributes, 'blocksize', 1)
      const [n, c, h, w] = x!.shape as [number, number, number, number]
      const split = b.reshape(x!, [n, c, h / s, s, w / s, s])
      return [b.reshape(b.transpose(split, [0, 3, 5, 1, 2, 4]), [n, c * s * s, h / s, w / s])]
    },
  },
}

/** The target of an Expand whose numbers may have been written for another batch size. */
function expandedTo({ exported }: LowerContext, x: Value, given: readonly number[]): readonly number[] {
  if (!exported) return given
  const before = exported.input(0) ?? x.shape
  const missing = given.length - x.shape.length
  const wanted = given.map((n, i) => (n === before[i - missing] ? x.shape[i - missing]! : n))
  return rebatchedRepeats(exported, x.shape, wanted, exported.output(0))
}

/** A part of a Concat that kept the exported batch size (a class token, say), repeated to the new one. */
function widened(c: LowerContext, x: Value, all: readonly Value[], axis: number): Value {
  const { from, to } = c.exported!
  const target = x.shape.map((n, i) => (i !== axis && n === from && all.some((y) => y.shape[i] === to) ? to : n))
  return from === 1 && !sameShape(target, x.shape) ? c.b.expand(x, target) : x
}
