import { type Attributes, int, ints, string } from '../../model.ts'
import { tensorOf } from '../../tensors.ts'
import { type Draw, floats32, type Generator, type Generators, int64, ints64 } from './draw.ts'

/** The same numbers in another arrangement: sizes merged and split at random, one of them open or copied. */
const reshape: Generator = (d) => {
  const x = d.shape(0, 4, 3)
  const total = x.reduce((p, n) => p * n, 1)
  const sizes: number[] = []
  let rest = total
  for (let i = d.int(0, 3); i > 0; i--) {
    const divisors = Array.from({ length: rest }, (_, j) => j + 1).filter((n) => rest % n === 0)
    const n = d.pick(...divisors)
    sizes.push(n)
    rest /= n
  }
  const target = total === 1 && d.flag() ? sizes : [...sizes, rest]
  const copied = target.map((n, i) => (n === x[i] && d.int(0, 2) === 0 ? 0 : n))
  if (copied.length && d.flag()) copied[d.int(0, copied.length - 1)] = -1
  return { op: 'Reshape', inputs: [d.real(x), ints64(copied)], opset: d.pick(11, 14, 18) }
}

const squeeze: Generator = (d) => {
  const opset = d.pick(11, 12, 13, 18)
  const x = d.shape(1, 4, 3)
  const ones = x.flatMap((n, i) => (n === 1 ? [d.flag() ? i : i - x.length] : []))
  const axes = ones.length && d.flag() ? d.shuffled(ones).slice(0, d.int(1, ones.length)) : undefined
  const byInput = opset >= 13
  return {
    op: 'Squeeze',
    opset,
    inputs: [d.real(x), ...(byInput && axes ? [ints64(axes)] : [])],
    attributes: !byInput && axes ? { axes: ints(axes) } : {},
  }
}

const unsqueeze: Generator = (d) => {
  const opset = d.pick(11, 12, 13, 18)
  const x = d.shape(0, 3, 3)
  const more = d.int(1, 2)
  const rank = x.length + more
  const places = d.shuffled(Array.from({ length: rank }, (_, i) => i)).slice(0, more)
  const axes = places.map((axis) => (d.flag() ? axis : axis - rank))
  const byInput = opset >= 13
  return {
    op: 'Unsqueeze',
    opset,
    inputs: [d.real(x), ...(byInput ? [ints64(axes)] : [])],
    attributes: byInput ? {} : { axes: ints(axes) },
  }
}

const transpose: Generator = (d) => {
  const x = d.shape(1, 4, 3)
  const perm = d.int(0, 3) ? { perm: ints(d.shuffled(x.map((_, i) => i))) } : {}
  return { op: 'Transpose', inputs: [d.real(x)], attributes: perm }
}

const concat: Generator = (d) => {
  const x = d.shape(1, 3, 3)
  const axis = d.axis(x.length)
  const at = axis < 0 ? axis + x.length : axis
  const parts = Array.from({ length: d.int(1, 3) }, () => {
    const shape = x.with(at, d.int(1, 3))
    return d.int(0, 3) ? d.real(shape) : d.fixed(shape)
  })
  return { op: 'Concat', inputs: parts, attributes: { axis: int(axis) } }
}

const split: Generator = (d) => {
  const opset = d.pick(11, 13, 17, 18, 20)
  const outputs = d.int(1, 3)
  const sizes = Array.from({ length: outputs }, () => d.int(1, 2))
  const x = d.shape(1, 3, 3)
  const axis = d.axis(x.length)
  const at = axis < 0 ? axis + x.length : axis
  const attributes: Attributes = d.flag() || axis !== 0 ? { axis: int(axis) } : {}
  const where = axis === 0 || attributes.axis ? at : 0
  if (d.flag()) {
    const whole = d.real(
      x.with(
        where,
        sizes.reduce((a, n) => a + n, 0),
      ),
    )
    if (opset < 13)
      return { op: 'Split', opset, inputs: [whole], outputs, attributes: { ...attributes, split: ints(sizes) } }
    return { op: 'Split', opset, inputs: [whole, ints64(sizes)], outputs, attributes }
  }
  // Equal parts; from opset 18 the last may be smaller.
  const each = d.int(2, 3)
  const short = opset >= 18 && outputs > 1 ? d.int(0, 1) : 0
  const whole = d.real(x.with(where, outputs * each - short))
  const counted: Attributes = opset >= 18 ? { num_outputs: int(outputs) } : {}
  return { op: 'Split', opset, inputs: [whole], outputs, attributes: { ...attributes, ...counted } }
}

const slice: Generator = (d) => {
  const x = d.shape(1, 3, 7)
  const given = d.int(0, 3) > 0
  const axes = given ? d.axes(x.length) : x.slice(0, d.int(1, x.length)).map((_, i) => i)
  const stepped = given && d.flag()
  const steps = axes.map(() => (stepped ? d.pick(-3, -2, -1, 1, 2, 3) : 1))
  const ranges = axes.map((axis, i) => {
    const n = x.at(axis)!
    const [low, high] = [d.int(0, n - 1), d.int(1, n)].sort((a, b) => a - b) as [number, number]
    const [from, to] = low === high ? [low - 1, low] : [low, high]
    const maybe = (p: number) => (p < n && d.flag() ? p - n : p)
    if (steps[i]! > 0) return [maybe(from), to === n && d.flag() ? 2 ** 31 : maybe(to)]
    // Backwards: from the last element taken down to before the first.
    return [to === n && d.flag() ? 100 : maybe(to - 1), from === 0 ? -(n + d.int(1, 99)) : from - 1]
  })
  const [starts, ends] = [ranges.map(([a]) => a!), ranges.map(([, b]) => b!)]
  return {
    op: 'Slice',
    ownSizes: stepped,
    opset: d.pick(11, 13, 18),
    inputs: [
      d.real(x),
      ints64(starts),
      ints64(ends),
      ...(given ? [ints64(axes)] : []),
      ...(stepped ? [ints64(steps)] : []),
    ],
  }
}

const pad: Generator = (d) => {
  const mode = d.pick('constant', 'constant', 'reflect', 'edge', 'wrap')
  const x = d.shape(1, 3, 4)
  const opset = mode === 'wrap' ? 19 : d.pick(11, 13, 18, 21)
  const axes = opset >= 18 && d.flag() ? d.axes(x.length) : undefined
  const where = axes ?? x.map((_, i) => i)
  const room = (axis: number) => +(x.at(axis)! > 3)
  const most = (axis: number) =>
    mode === 'constant' ? 2 : Math.min(2, x.at(axis)! - (mode === 'reflect' ? 1 : 0) - 2 * room(axis))
  const least = (axis: number) => (x.at(axis)! > 3 && d.int(0, 3) === 0 ? -1 : 0)
  const pads = [...where, ...where].map((axis) => d.int(least(axis), most(axis)))
  const value = mode === 'constant' && d.flag() ? floats32([d.pick(0, 1.5)], []) : undefined
  const inputs = [d.real(x), ints64(pads), value, axes && ints64(axes)]
  while (!inputs.at(-1)) inputs.pop()
  return { op: 'Pad', opset, inputs, attributes: mode === 'constant' && d.flag() ? {} : { mode: string(mode) } }
}

const expand: Generator = (d) => {
  const wide = d.shape(0, 4, 3)
  const x = d.narrower(wide)
  // Either side may be the longer one.
  const target = d.flag() ? wide : wide.map((n, i) => (x[i - wide.length + x.length] === n && d.flag() ? 1 : n))
  return { op: 'Expand', inputs: [d.real(x), ints64(target)] }
}

const tile: Generator = (d) => {
  const x = d.shape(1, 3, 3)
  return { op: 'Tile', inputs: [d.real(x), ints64(x.map(() => d.int(1, 3)))] }
}

const depth: Generator = (d) => {
  const s = d.int(1, 2)
  return {
    op: 'DepthToSpace',
    inputs: [d.real([d.int(1, 2), s * s * d.int(1, 2), d.int(1, 2), d.int(1, 3)])],
    attributes: { blocksize: int(s), ...d.pick({}, { mode: string('DCR') }, { mode: string('CRD') }) },
  }
}

const space: Generator = (d) => {
  const s = d.int(1, 2)
  return {
    op: 'SpaceToDepth',
    inputs: [d.real([d.int(1, 2), d.int(1, 2), s * d.int(1, 2), s * d.int(1, 3)])],
    attributes: { blocksize: int(s) },
  }
}

const trilu: Generator = (d) => {
  const x = d.shape(2, 3, 4)
  return {
    op: 'Trilu',
    inputs: [d.real(x), ...(d.flag() ? [int64(d.int(-2, 2))] : [])],
    attributes: d.flag() ? { upper: int(+d.flag()) } : {},
  }
}

const cumulative: Generator = (d) => {
  const x = d.shape(1, 3, 4)
  return {
    op: 'CumSum',
    inputs: [d.real(x), int64(d.axis(x.length))],
    attributes: {
      ...(d.flag() ? { exclusive: int(+d.flag()) } : {}),
      ...(d.flag() ? { reverse: int(+d.flag()) } : {}),
    },
  }
}

const constant: Generator = (d) => {
  const choice = d.int(0, 4)
  const attributes: Attributes = [
    { value: { type: 'tensor' as const, value: tensorOf('float32', [3], d.numbers(3)) } },
    { value_float: { type: 'float' as const, value: 0.5 } },
    { value_floats: { type: 'floats' as const, value: [0.5, -1.25] } },
    { value_int: int(d.int(-3, 3)) },
    { value_ints: ints([d.int(-3, 3), 4]) },
  ][choice]!
  return { op: 'Constant', inputs: [], attributes }
}

const filled: Generator = (d) => {
  const value = d.pick(
    undefined,
    tensorOf('float32', [1], [d.float(-2, 2)]),
    tensorOf('int64', [1], [d.int(-3, 3)]),
    tensorOf('bool', [1], [1]),
  )
  return {
    op: 'ConstantOfShape',
    inputs: [ints64(d.shape(0, 3))],
    attributes: value ? { value: { type: 'tensor', value } } : {},
  }
}

const shapeOf: Generator = (d) => {
  const x = d.shape(0, 4)
  const part = d.flag() ? { start: int(d.int(-5, 5)), ...(d.flag() ? { end: int(d.int(-5, 5)) } : {}) } : {}
  return { op: 'Shape', opset: 15, inputs: [d.real(x)], attributes: part }
}

const range: Generator = (d) => {
  const whole = d.flag()
  const make = (n: number) => (whole ? int64(n) : floats32([n / 4], []))
  const delta = d.pick(-2, -1, 1, 2, 3)
  const start = d.int(-4, 4)
  return { op: 'Range', inputs: [make(start), make(start + delta * d.int(0, 4) + Math.sign(delta)), make(delta)] }
}

const eye: Generator = (d) => ({
  op: 'EyeLike',
  inputs: [d.real(d.shape(2, 2))],
  attributes: { ...(d.flag() ? { k: int(d.int(-2, 2)) } : {}), ...(d.flag() ? { dtype: int(d.pick(1, 7)) } : {}) },
})

const COORDINATES = ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric']

/** Output sizes between half and three times the input's, off the ties of rounding. */
const resize: Generator = (d) => {
  const rank = d.int(1, 3)
  const lead = d.pick([1, 1], [2, 2])
  const space = Array.from({ length: rank }, () => d.int(1, 4))
  const linear = d.flag()
  const coordinates = d.pick(...COORDINATES)
  const attributes: Attributes = {
    mode: string(linear ? 'linear' : 'nearest'),
    coordinate_transformation_mode: string(coordinates),
    ...(linear ? {} : { nearest_mode: string(d.pick('floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil')) }),
  }
  const x = d.real([...lead, ...space])
  const opset = d.pick(11, 13, 18, 19)
  const onlySpace = opset >= 18 && d.flag()
  const axes: Attributes = onlySpace ? { axes: ints(space.map((_, i) => i + 2)) } : {}
  const front = onlySpace ? [] : lead
  // Before opset 13 the second input had to be there.
  const roi = opset < 13 ? floats32([]) : undefined
  if (d.flag()) {
    const sizes = space.map((n) => d.int(1, 2 * n + 1))
    const none = opset < 13 ? floats32([]) : undefined
    return {
      op: 'Resize',
      opset,
      inputs: [x, roi, none, ints64([...front, ...sizes])],
      ownSizes: true,
      attributes: { ...attributes, ...axes },
    }
  }
  const scales = [...front.map(() => 1), ...space.map((n) => d.pick(1, 2, 3, 1.5, n > 1 ? 0.5 : 1, n > 1 ? 0.75 : 2.5))]
  return { op: 'Resize', opset, inputs: [x, roi, floats32(scales)], attributes: { ...attributes, ...axes } }
}

const upsample: Generator = (d: Draw) => ({
  op: 'Upsample',
  opset: 11,
  inputs: [d.real([1, 2, d.int(1, 3), d.int(1, 3)]), floats32([1, 1, d.int(1, 3), d.int(1, 3)])],
  attributes: { mode: string(d.pick('nearest', 'linear')) },
})

/** What moves, repeats, makes or resizes. */
export const movement: Generators = {
  Reshape: reshape,
  Flatten: (d) => {
    const x = d.shape(0, 4, 3)
    const axis = d.int(-x.length, x.length)
    return { op: 'Flatten', inputs: [d.real(x)], attributes: x.length < 1 || d.flag() ? { axis: int(axis) } : {} }
  },
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  DepthToSpace: depth,
  SpaceToDepth: space,
  Trilu: trilu,
  CumSum: cumulative,
  Constant: constant,
  ConstantOfShape: filled,
  Shape: shapeOf,
  Size: (d) => ({ op: 'Size', inputs: [d.real(d.shape(0, 3))] }),
  Range: range,
  EyeLike: eye,
  Resize: resize,
  Upsample: upsample,
}
