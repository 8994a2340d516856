import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { known } from '../known.ts'
import { int, intOf, stringOf } from '../model.ts'
import type { LowerContext, Operator, Value } from '../operator.ts'
import { mismatch, range, shapeText } from '../shape.ts'
import { tensorOf } from '../tensors.ts'

const unsupported = (why: string, hint: string) => new PinGoError('GRAPH_UNSUPPORTED', why, { hint })
const whole = (b: GraphBuilder, x: Value) => b.cast(x, 'int64')
const clipped = (b: GraphBuilder, x: Value, high: number) => b.one('Clip', [x, b.scalar(0), b.scalar(high)])

/** Places along an axis of `size`, in elements, from -1 … 1. */
function places(b: GraphBuilder, x: Value, size: number, aligned: boolean): Value {
  if (aligned) return b.scale(b.add(x, b.scalar(1)), (size - 1) / 2)
  return b.add(b.scale(x, size / 2), b.scalar((size - 1) / 2))
}

/** 1 inside an axis of `size`, else 0. */
function inside(b: GraphBuilder, at: Value, size: number): Value {
  const from = b.one('GreaterOrEqual', [at, b.scalar(0)])
  return b.cast(b.one('And', [from, b.one('LessOrEqual', [at, b.scalar(size - 1)])]), 'float32')
}

/**
 * Reads images x [N, C, H, W] at the places that a grid [N, H', W', 2] gives (Jaderberg et al. 2015): by the nearest element, or by the four around
 * it, each weighted by its nearness. Beyond the border lie zeros, or the border goes on.
 */
function sampled(c: LowerContext): Value {
  const { b, attributes } = c
  const [x, grid] = c.inputs as [Value, Value]
  if (x.shape.length !== 4 || grid.shape.length !== 4)
    throw unsupported(`images of shape ${shapeText(x.shape)} are not supported`, 'Use images [N, C, H, W].')
  const mode = stringOf(attributes, 'mode', c.opset < 20 ? 'bilinear' : 'linear').replace('bi', '')
  const padding = stringOf(attributes, 'padding_mode', 'zeros')
  if (mode !== 'linear' && mode !== 'nearest')
    throw unsupported(`sampling by '${mode}' is not supported`, 'Use bilinear or nearest.')
  if (padding !== 'zeros' && padding !== 'border')
    throw unsupported(`the padding '${padding}' is not supported`, 'Use zeros or border.')
  const aligned = intOf(attributes, 'align_corners', 0) === 1
  const [n, channels, height, width] = x.shape as [number, number, number, number]
  const [, rows, columns] = grid.shape as [number, number, number]
  const count = rows * columns
  const axis = (i: number, size: number) => {
    const at = places(b, b.reshape(b.slice(grid, [3], [i], [i + 1]), [n * count, 1]), size, aligned)
    return padding === 'border' ? clipped(b, at, size - 1) : at
  }
  const [px, py] = [axis(0, width), axis(1, height)]
  // Pixels as rows, so that one Gather takes all channels of a place.
  const pixels = b.reshape(b.transpose(x, [0, 2, 3, 1]), [n * height * width, channels])
  const first = b.constant(
    tensorOf(
      'int64',
      [n * count, 1],
      range(n * count).map((i) => Math.floor(i / count) * height * width),
    ),
  )
  const pixel = (cx: Value, cy: Value): Value => {
    const row = b.one('Mul', [whole(b, clipped(b, cy, height - 1)), b.constant(tensorOf('int64', [], [width]))])
    const at = b.one('Add', [first, b.one('Add', [row, whole(b, clipped(b, cx, width - 1))])])
    const found = b.one('Gather', [pixels, b.reshape(at, [n * count])], { axis: int(0) })
    return padding === 'border' ? found : b.mul(found, b.mul(inside(b, cx, width), inside(b, cy, height)))
  }
  const corner = (v: Value, upper: boolean) => {
    const low = b.one('Floor', [v])
    const part = b.sub(v, low)
    return upper ? ([b.add(low, b.scalar(1)), part] as const) : ([low, b.sub(b.scalar(1), part)] as const)
  }
  const four = () =>
    range(4)
      .map((i) => {
        const [[cx, wx], [cy, wy]] = [corner(px, i % 2 === 1), corner(py, i > 1)]
        return b.mul(pixel(cx, cy), b.mul(wx, wy))
      })
      .reduce((sum, part) => b.add(sum, part))
  const read = mode === 'linear' ? four() : pixel(b.one('Round', [px]), b.one('Round', [py]))
  return b.transpose(b.reshape(read, [n, rows, columns, channels]), [0, 3, 1, 2])
}

/** The grid of places of an affine map: theta [N, 2, 3] (or [N, 3, 4]) applied to every place of an image of `size`. */
function affine(c: LowerContext): Value {
  const { b } = c
  const [theta, size] = c.inputs as [Value, Value]
  const image = known(size, 'size').slice(2)
  const rank = image.length
  if (theta.shape.length !== 3 || theta.shape[1] !== rank || theta.shape[2] !== rank + 1)
    throw mismatch(`a map ${shapeText(theta.shape)} is not for images of ${rank} axes`)
  const aligned = intOf(c.attributes, 'align_corners', 0) === 1
  const place = (i: number, n: number) => (aligned ? (n === 1 ? 0 : (2 * i) / (n - 1) - 1) : (2 * i + 1) / n - 1)
  // Columns are x, y (and z), last axis of the image first, and 1.
  const base = range(sizeOf(image)).flatMap((flat) => {
    const at = image.map((n, d) => place(Math.floor(flat / sizeOf(image.slice(d + 1))) % n, n))
    return [...at.reverse(), 1]
  })
  const points = b.constant(tensorOf('float32', [sizeOf(image), rank + 1], base))
  return b.reshape(b.fusedMatmul(points, theta, false, true), [theta.shape[0]!, ...image, rank])
}

/** Reading images at computed places. */
export const sampling: Record<string, Operator> = {
  GridSample: { lower: (c) => [sampled(c)] },
  AffineGrid: { lower: (c) => [affine(c)] },
}
