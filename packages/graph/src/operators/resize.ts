import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { known } from '../known.ts'
import { type Attributes, float, floatOf, int, intOf, intsOf, string, stringOf } from '../model.ts'
import type { InferContext, LowerContext, Operator, Value } from '../operator.ts'
import { axisOf, mismatch, range } from '../shape.ts'
import { tensorOf } from '../tensors.ts'

const unsupported = (why: string, hint: string) => new PinGoError('GRAPH_UNSUPPORTED', why, { hint })

function sizesOf({ inputs: [x, , scales, sizes] }: InferContext): number[] {
  if (sizes) return known(sizes, 'sizes')
  const by = known(scales!, 'scales')
  return x!.shape.map((n, i) => Math.floor(n * Math.fround(by[i]!)))
}

/** Where output position `i` of `n` lies in an input of `m`, by ONNX's coordinate modes. */
function coordinate(mode: string, i: number, m: number, n: number, scale: number): number {
  if (mode === 'align_corners') return n === 1 ? 0 : (i * (m - 1)) / (n - 1)
  if (mode === 'asymmetric') return i / scale
  if (mode === 'pytorch_half_pixel' && n === 1) return 0
  if (mode === 'half_pixel' || mode === 'pytorch_half_pixel') return (i + 0.5) / scale - 0.5
  if (mode === 'half_pixel_symmetric') {
    // A fractional output size is cut off evenly at both ends.
    const adjusted = n / (scale * m)
    return (m / 2) * (1 - adjusted) + (i + 0.5) / scale - 0.5
  }
  throw unsupported(`the coordinate mode '${mode}' is not supported`, 'Use half_pixel, align_corners or asymmetric.')
}

function nearest(mode: string, at: number): number {
  if (mode === 'floor') return Math.floor(at)
  if (mode === 'ceil') return Math.ceil(at)
  return mode === 'round_prefer_ceil' ? Math.floor(at + 0.5) : Math.ceil(at - 0.5)
}

/** How much an element counts at a distance from the place that is read: linear, or Keys's cubic (1981) with its parameter a. */
function influence(mode: string, a: number, distance: number): number {
  const d = Math.abs(distance)
  if (mode === 'linear') return Math.max(0, 1 - d)
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
}

/** Weights of the input's elements in each output element along one axis, [n, m] row-major. */
function weights(attributes: Attributes, m: number, n: number, scale: number): number[] {
  const coordinates = stringOf(attributes, 'coordinate_transformation_mode', 'half_pixel')
  const mode = stringOf(attributes, 'mode', 'nearest')
  const table = new Array<number>(n * m).fill(0)
  const clamp = (at: number) => Math.min(Math.max(at, 0), m - 1)
  // Antialiasing widens the window when the image shrinks.
  const stretch = intOf(attributes, 'antialias', 0) && scale < 1 ? 1 / scale : 1
  const reach = (mode === 'cubic' ? 2 : 1) * stretch
  const inside = intOf(attributes, 'exclude_outside', 0) === 1
  for (let i = 0; i < n; i++) {
    const at = coordinate(coordinates, i, m, n, scale)
    if (mode === 'nearest') {
      table[i * m + clamp(nearest(stringOf(attributes, 'nearest_mode', 'round_prefer_floor'), at))]! += 1
      continue
    }
    let sum = 0
    for (let j = Math.ceil(at - reach); j <= at + reach; j++) {
      const weight = influence(mode, floatOf(attributes, 'cubic_coeff_a', -0.75), (j - at) / stretch)
      if (weight === 0 || (inside && j !== clamp(j))) continue
      table[i * m + clamp(j)]! += weight
      sum += weight
    }
    for (let j = 0; j < m; j++) table[i * m + j]! /= sum
  }
  return table
}

/** x with one axis multiplied by a [n, m] matrix. */
function along(b: GraphBuilder, x: Value, axis: number, table: readonly number[], n: number): Value {
  const m = x.shape[axis]!
  const shape = x.shape.map((size, d) => (d === axis ? n : size))
  const [outer, inner] = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis + 1))]
  const matrix = b.constant(tensorOf('float32', [n, m], table))
  if (inner === 1) return b.reshape(b.gemm(b.reshape(x, [outer, m]), matrix, false, true), shape)
  return b.reshape(b.one('MatMul', [matrix, b.reshape(x, [outer, m, inner])]), shape)
}

const transposed = (table: readonly number[], n: number, m: number) =>
  range(n * m).map((i) => table[(i % n) * m + Math.floor(i / n)]!)

/** Sizes and scales of all axes, from those that the node names. */
function targets(c: LowerContext): { sizes: number[]; scales: number[] } {
  const [x, , scales, sizes] = c.inputs
  const shape = x!.shape
  const given = intsOf(c.attributes, 'axes')
  const axes = given?.map((axis) => axisOf(axis, shape.length)) ?? range(shape.length)
  const list = sizes && sizes.shape[0] !== 0 ? known(sizes, 'sizes') : undefined
  const by = !list && scales ? known(scales, 'scales') : undefined
  if ((list ?? by)?.length !== axes.length) throw mismatch('its sizes or scales are for another rank')
  const policy = stringOf(c.attributes, 'keep_aspect_ratio_policy', 'stretch')
  const wanted = [...shape]
  const ratio = shape.map(() => 1)
  axes.forEach((axis, i) => {
    // Sizes carry the batch and channels they were exported with.
    const own = list && !given && axis < 2 && shape.length > 2
    wanted[axis] = own ? shape[axis]! : list ? list[i]! : Math.floor(shape[axis]! * Math.fround(by![i]!))
    ratio[axis] = by ? Math.fround(by[i]!) : wanted[axis]! / shape[axis]!
  })
  if (list && policy !== 'stretch') {
    const pick = policy === 'not_larger' ? Math.min : Math.max
    const scale = pick(...axes.map((axis) => ratio[axis]!))
    for (const axis of axes) {
      ratio[axis] = scale
      wanted[axis] = Math.round(scale * shape[axis]!)
    }
  }
  return { sizes: wanted, scales: ratio }
}

/** Whether onnxruntime's kernels resize so: images and volumes behind batch and channels, by neighbour or line. */
function native(c: LowerContext, sizes: readonly number[], x: Value): boolean {
  const mode = stringOf(c.attributes, 'mode', 'nearest')
  const moved = sizes.flatMap((n, axis) => (n === x.shape[axis] ? [] : [axis]))
  if (intOf(c.attributes, 'antialias', 0) || intOf(c.attributes, 'exclude_outside', 0)) return false
  if (stringOf(c.attributes, 'coordinate_transformation_mode', '') === 'half_pixel_symmetric') return false
  return mode === 'nearest' || (mode === 'linear' && x.shape.length === 4 && moved.every((axis) => axis >= 2))
}

function lower(c: LowerContext): Value[] {
  const { b } = c
  const x = c.inputs[0]!
  const mode = stringOf(c.attributes, 'mode', 'nearest')
  if (mode !== 'nearest' && mode !== 'linear' && mode !== 'cubic')
    throw unsupported(`resizing by '${mode}' is not supported`, 'Use nearest, linear or cubic.')
  const { sizes, scales } = targets(c)
  const attributes: Attributes = {
    mode: string(mode),
    coordinate_transformation_mode: string(stringOf(c.attributes, 'coordinate_transformation_mode', 'half_pixel')),
    nearest_mode: string(stringOf(c.attributes, 'nearest_mode', 'round_prefer_floor')),
  }
  if (native(c, sizes, x)) {
    const byScale = c.inputs[2] && c.inputs[2].shape[0] !== 0 && !(c.inputs[3] && c.inputs[3].shape[0] !== 0)
    const wanted = byScale
      ? [x, undefined, b.constant(tensorOf('float32', [scales.length], scales))]
      : [x, undefined, undefined, b.ints(sizes)]
    return [b.one('Resize', wanted, attributes)]
  }
  const all: Attributes = {
    ...attributes,
    cubic_coeff_a: float(floatOf(c.attributes, 'cubic_coeff_a', -0.75)),
    exclude_outside: int(intOf(c.attributes, 'exclude_outside', 0)),
    antialias: int(intOf(c.attributes, 'antialias', 0)),
  }
  // Every axis is a product with a fixed matrix; those that shrink most go first.
  const order = range(x.shape.length).filter((axis) => sizes[axis] !== x.shape[axis] || scales[axis] !== 1)
  order.sort((p, q) => sizes[p]! / x.shape[p]! - sizes[q]! / x.shape[q]!)
  return [
    order.reduce((y, axis) => {
      const table = weights(all, x.shape[axis]!, sizes[axis]!, scales[axis]!)
      return along(b, y, axis, table, sizes[axis]!)
    }, x),
  ]
}

/** Resizing of images, sequences and volumes: nearest neighbour, linear or cubic. */
export const resize: Record<string, Operator> = {
  Resize: {
    infer: (c) => [{ dtype: c.inputs[0]!.dtype, shape: sizesOf(c) }],
    lower,
    // Each axis is a product with a fixed matrix; its gradient is the product with the transpose.
    gradient: ({ b, attributes, inputs, outputs, grads: [g] }) => {
      const x = inputs[0]!
      const y = outputs[0]!
      const scales = inputs[2] && known(inputs[2], 'scales')
      let out = g!
      for (const axis of range(x.shape.length)) {
        const [m, n] = [x.shape[axis]!, y.shape[axis]!]
        if (m === n) continue
        const table = weights(attributes, m, n, scales?.[axis] ?? n / m)
        out = along(b, out, axis, transposed(table, n, m), m)
      }
      return [out]
    },
  },
  Upsample: {
    lower: (c) =>
      lower({
        ...c,
        inputs: [c.inputs[0], undefined, c.inputs[1]],
        attributes: {
          ...c.attributes,
          coordinate_transformation_mode: string('asymmetric'),
          nearest_mode: string('floor'),
        },
      }),
  },
}
