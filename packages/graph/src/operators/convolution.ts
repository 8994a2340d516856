import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { type Attributes, intOf, ints, intsOf, stringOf } from '../model.ts'
import type { InferContext, LowerContext, Operator, Value } from '../operator.ts'
import { mismatch, range, sameShape, shapeText } from '../shape.ts'
import { full, gathered, inputGradient, scatters } from './convolution-back.ts'
import { group, outputSizes, positions, type Window, windowAttributes, windowOf } from './window.ts'

const spatialOf = (x: Value) => x.shape.slice(2)
const windowFor = (attributes: Attributes, x: Value, w: Value) => windowOf(attributes, w.shape.slice(2), spatialOf(x))

/** [N, C, …space] as [C, N, …space]: whole images are moved, so it costs a copy; a product then sums over the batch by itself. */
function channelsFirst(b: GraphBuilder, x: Value): Value {
  return b.transpose(
    x,
    range(x.shape.length).map((i) => (i < 2 ? 1 - i : i)),
  )
}

/** dy as rows of a matrix, one for each channel: [M, N · space]. */
const rowsOf = (b: GraphBuilder, dy: Value) =>
  b.reshape(channelsFirst(b, dy), [dy.shape[1]!, sizeOf(dy.shape) / dy.shape[1]!])

/** The elements of x [C, N, …padded space] that one tap of the kernel meets, a row for each channel: [C, N · out]. */
function tap(b: GraphBuilder, padded: Value, w: Window, at: readonly number[], out: readonly number[]): Value {
  const axes = out.map((_, i) => i + 2)
  const starts = at.map((n, i) => n * w.dilations[i]!)
  const ends = out.map((n, i) => starts[i]! + (n - 1) * w.strides[i]! + 1)
  const part = b.slice(padded, axes, starts, ends, w.strides)
  return b.reshape(part, [part.shape[0]!, part.shape[1]! * sizeOf(out)])
}

/** Up to this many rows (channels × kernel) the im2col matrix is cheaper than one product a tap. */
const MAX_IM2COL_ROWS = 32
/** So much more does it cost to put weights of taps together than to put images of taps together, an element. */
const INTERLEAVING_COST = 2

/** Up to this many rows, a product hides too little of the time that it takes to pack its other factor. */
const MAX_JOINED_ROWS = 128

/**
 * dW of a convolution from dy [N, M, …out] and x [N, C, …]: a matrix product per tap of the kernel, whose inner axis is batch and space
 * together; with few channels a group or few positions, im2col or plain sums.
 * @returns [M, C/groups, …kernel]
 */
function weightGradient(b: GraphBuilder, x: Value, dy: Value, w: Window, groups: number): Value {
  const [m, channels] = [dy.shape[1]!, x.shape[1]!]
  const out = dy.shape.slice(2)
  const [mg, cg] = [m / groups, channels / groups]
  const rows = rowsOf(b, dy)
  const length = rows.shape[1]!
  const kernel = sizeOf(w.kernel)
  const shape = [m, cg, ...w.kernel]
  const few = cg * kernel <= MAX_IM2COL_ROWS || length < INTERLEAVING_COST * m
  if (groups === 1 && !few && keepsSize(w, spatialOf(x), out)) return weightGradientByShifts(b, x, dy, w)
  if (scatters(dy, w, groups, spatialOf(x)))
    return b.reshape(b.fusedMatmul(rows, gathered(b, x, w, out), false, true), shape)
  const padded = channelsFirst(b, b.pad(x, [0, 0, ...w.before], [0, 0, ...w.after]))
  const taps = positions(w.kernel).map((at) => tap(b, padded, w, at, out))
  if (groups === 1 && few) {
    const columns = b.concat(
      taps.map((t) => b.reshape(t, [cg, 1, length])),
      1,
    )
    return b.reshape(b.fusedMatmul(rows, b.reshape(columns, [cg * kernel, length]), false, true), shape)
  }
  if (cg === 1 && mg === 1) {
    const sums = taps.map((t) => b.reshape(b.sum(b.mul(rows, t), [1]), [m, 1]))
    return b.reshape(b.concat(sums, 1), shape)
  }
  const grouped = (v: Value, per: number) => (groups === 1 ? v : b.reshape(v, [groups, per, length]))
  const parts = taps.map((t) => b.reshape(b.fusedMatmul(grouped(rows, mg), grouped(t, cg), false, true), [m, cg, 1]))
  return b.reshape(b.concat(parts, 2), shape)
}

/** Whether output and input are of one size, and every tap meets the input somewhere. */
const keepsSize = (w: Window, space: readonly number[], out: readonly number[]) =>
  w.strides.every((n) => n === 1) &&
  sameShape(space, out) &&
  space.every((n, i) => Math.max(w.before[i]!, w.after[i]!) < n && Math.min(w.before[i]!, w.after[i]!) >= 0)

/**
 * dW where output and input are of one size: a tap's step along the first spatial axis is taken in dy, the steps along the others in x, so that
 * a kernel of 3 × 3 wants four shifted copies instead of nine pieces. All rows move by as much, so a shift of dy copies whole images.
 * @returns [M, C, …kernel]
 */
function weightGradientByShifts(b: GraphBuilder, x: Value, dy: Value, w: Window): Value {
  const [m, c, space] = [dy.shape[1]!, x.shape[1]!, spatialOf(x)]
  const [places, inner] = [sizeOf(space), sizeOf(space.slice(1))]
  const length = x.shape[0]! * places
  const [first, ...others] = w.kernel as [number, ...number[]]
  const step = (tap: number, axis: number) => tap * w.dilations[axis]! - w.before[axis]!
  const images = b.reshape(channelsFirst(b, dy), [m * x.shape[0]!, places])
  const moved = range(first).map((tap) => {
    const by = step(tap, 0) * inner
    return b.reshape(b.pad(images, [0, by], [0, -by]), [m, length])
  })
  const channels = channelsFirst(b, x)
  const taps = positions(others).map((at) => {
    const by = [0, 0, 0, ...at.map((tap, i) => step(tap, i + 1))]
    const less = by.map((n) => -n)
    return b.reshape(b.pad(channels, less, by), [c, length])
  })
  const product = (rows: Value, columns: Value) => b.fusedMatmul(rows, columns, false, true)
  if (m <= MAX_JOINED_ROWS) {
    const rows = b.concat(moved, 0)
    const parts = taps.map((t) => b.reshape(product(rows, t), [first, m, c, 1]))
    return b.reshape(b.transpose(b.concat(parts, 3), [1, 2, 0, 3]), [m, c, ...w.kernel])
  }
  const parts = moved.flatMap((rows) => taps.map((t) => b.reshape(product(rows, t), [m, c, 1])))
  return b.reshape(b.concat(parts, 2), [m, c, ...w.kernel])
}

/** The bias's gradient; sums along rows are faster than over the outer axes, and the rows are there for the weights. */
const biasGradient = (b: GraphBuilder, g: Value) => b.sum(rowsOf(b, g), [1])

/**
 * A convolution's gradient g [N, M, …out] as dy times a number for each channel, where it was made so and dy is the larger: the numbers
 * [M, 1, …] then go to the weights and to their gradient.
 */
function apart(b: GraphBuilder, g: Value, weight: Value): { dy: Value; factor?: Value } {
  const made = b.producers.get(g.name)
  if (made?.op !== 'Mul' || sizeOf(g.shape) < 2 * sizeOf(weight.shape)) return { dy: g }
  const [p, q] = made.inputs as [Value, Value]
  for (const [dy, factor] of [
    [p, q],
    [q, p],
  ] as const) {
    const isPerChannel = sizeOf(factor.shape) === g.shape[1] && factor.shape.at(1 - g.shape.length) === g.shape[1]
    if (isPerChannel && sameShape(dy.shape, g.shape))
      return { dy, factor: b.reshape(factor, [g.shape[1]!, ...weight.shape.slice(1).map(() => 1)]) }
  }
  return { dy: g }
}

function inferConv({ inputs: [x, w], attributes }: InferContext) {
  const groups = intOf(attributes, 'group', 1)
  if (x!.shape.length < 3 || w!.shape.length !== x!.shape.length)
    throw mismatch('a convolution wants [N, C, …space] and weights of the same rank')
  if (x!.shape[1] !== w!.shape[1]! * groups)
    throw mismatch(
      `the input ${shapeText(x!.shape)} has ${x!.shape[1]} channels, the weight wants ${w!.shape[1]! * groups}`,
    )
  return [
    {
      dtype: x!.dtype,
      shape: [x!.shape[0]!, w!.shape[0]!, ...outputSizes(windowFor(attributes, x!, w!), spatialOf(x!))],
    },
  ]
}

function transposedSizes(w: Window, attributes: Attributes, x: Value): number[] {
  const extra = intsOf(attributes, 'output_padding') ?? w.kernel.map(() => 0)
  return spatialOf(x).map((n, i) => full(w, i, n) - w.before[i]! - w.after[i]! + extra[i]!)
}

/** Resolves output_shape and auto_pad of ConvTranspose (which say how much to cut) into pads. */
function transposedWindow(c: LowerContext, x: Value, weight: Value): { w: Window; extra: number[] } {
  const plain = { ...c.attributes }
  delete plain.auto_pad
  const w = windowFor(plain, x, weight)
  const extra = intsOf(c.attributes, 'output_padding') ?? w.kernel.map(() => 0)
  const auto = stringOf(c.attributes, 'auto_pad', 'NOTSET')
  const wanted = intsOf(c.attributes, 'output_shape')?.slice(-w.kernel.length)
  const target = wanted ?? (auto.startsWith('SAME') ? spatialOf(x).map((n, i) => n * w.strides[i]!) : undefined)
  if (!target)
    return { w: auto === 'VALID' ? { ...w, before: w.before.map(() => 0), after: w.after.map(() => 0) } : w, extra }
  const total = target.map((n, i) => full(w, i, spatialOf(x)[i]!) + extra[i]! - n)
  const half = total.map((n) => Math.floor(n / 2))
  const rest = total.map((n, i) => n - half[i]!)
  const [before, after] = auto === 'SAME_UPPER' ? [half, rest] : [rest, half]
  return { w: { ...w, before, after }, extra }
}

/** Convolutions over any number of spatial axes. */
export const convolution: Record<string, Operator> = {
  Conv: {
    infer: inferConv,
    lower: (c) => {
      const [x, w, bias] = c.inputs as [Value, Value, Value | undefined]
      const attributes = {
        ...windowAttributes(windowFor(c.attributes, x, w)),
        ...group(intOf(c.attributes, 'group', 1)),
      }
      return [c.b.one('Conv', bias ? [x, w, bias] : [x, w], attributes)]
    },
    gradient: ({ b, attributes, inputs, grads: [g], wants }) => {
      const [x, weight] = inputs as [Value, Value]
      const w = windowFor(attributes, x, weight)
      const groups = intOf(attributes, 'group', 1)
      const { dy, factor } = wants[2] ? { dy: g! } : apart(b, g!, weight)
      const scaled = (v: Value) => (factor ? b.mul(v, factor) : v)
      return [
        wants[0] ? inputGradient(b, dy, scaled(weight), w, groups, spatialOf(x)) : undefined,
        wants[1] ? scaled(weightGradient(b, x, dy, w, groups)) : undefined,
        wants[2] ? biasGradient(b, g!) : undefined,
      ]
    },
    flops: ({ inputs: [, w] }, [out]) => 2 * sizeOf(out!.shape) * sizeOf(w!.shape.slice(1)),
  },
  ConvTranspose: {
    infer: ({ inputs: [x, w], attributes }) => {
      const window = windowFor(attributes, x!, w!)
      if (x!.shape[1] !== w!.shape[0])
        throw mismatch(`the input has ${x!.shape[1]} channels, the weight wants ${w!.shape[0]}`)
      return [
        {
          dtype: x!.dtype,
          shape: [
            x!.shape[0]!,
            w!.shape[1]! * intOf(attributes, 'group', 1),
            ...transposedSizes(window, attributes, x!),
          ],
        },
      ]
    },
    lower: (c) => {
      const [x, weight, bias] = c.inputs as [Value, Value, Value | undefined]
      const { w, extra } = transposedWindow(c, x, weight)
      // What is cut off and then added again need not be cut off: onnxruntime refuses an output_padding above the stride.
      const less = extra.map((n, i) => Math.min(n, Math.max(0, w.after[i]!)))
      const attributes = {
        ...windowAttributes({ ...w, after: w.after.map((n, i) => n - less[i]!) }),
        ...group(intOf(c.attributes, 'group', 1)),
        output_padding: ints(extra.map((n, i) => n - less[i]!)),
      }
      return [c.b.one('ConvTranspose', bias ? [x, weight, bias] : [x, weight], attributes)]
    },
    // y = ConvTranspose(x, W) is linear in both: dx is the convolution of dy with W, dW the weight gradient with the roles of
    // input and output swapped.
    gradient: ({ b, attributes, inputs, grads: [g], wants }) => {
      const [x, weight] = inputs as [Value, Value]
      const groups = intOf(attributes, 'group', 1)
      const own = windowFor(attributes, x, weight)
      // What output_padding added at the end meets no tap: the window then stops short of it by itself.
      const w = { ...own, after: own.after }
      const dx = () => {
        const y = b.one('Conv', [g, weight], { ...windowAttributes(w), ...group(groups) })
        return b.slice(
          y,
          x.shape.map((_, i) => i),
          x.shape.map(() => 0),
          x.shape,
        )
      }
      return [
        wants[0] ? dx() : undefined,
        wants[1] ? weightGradient(b, g!, x, w, groups) : undefined,
        wants[2] ? biasGradient(b, g!) : undefined,
      ]
    },
    flops: ({ inputs: [x, w] }) => 2 * sizeOf(x!.shape) * sizeOf(w!.shape.slice(1)),
  },
}
