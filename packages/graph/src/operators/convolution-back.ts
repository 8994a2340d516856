import { sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { ints } from '../model.ts'
import type { Value } from '../operator.ts'
import { tensorOf } from '../tensors.ts'
import { group, positions, type Window, windowAttributes } from './window.ts'

/** From this many output positions on, turning the weights around is made up for by the faster convolution. */
const MIN_FLIPPED_POSITIONS = 64
/** Fewer rows than these leave a convolution's product thin. */
const MIN_FLIPPED_CHANNELS = 64

/**
 * Weights [M, C, …kernel] for the convolution that goes back: [C, M, …kernel], the kernel turned around. A product with a permutation turns it
 * several times faster than Slice with negative steps does.
 */
function turnedAround(b: GraphBuilder, weight: Value): Value {
  const [m, c, ...kernel] = weight.shape as [number, number, ...number[]]
  const taps = sizeOf(kernel)
  const reversal = Array.from({ length: taps * taps }, (_, i) => +(Math.floor(i / taps) + (i % taps) === taps - 1))
  const turned =
    taps === 1
      ? weight
      : b.matmul(b.reshape(weight, [m * c, taps]), b.constant(tensorOf('float32', [taps, taps], reversal)))
  return b.reshape(b.transpose(b.reshape(turned, [m, c, taps]), [1, 0, 2]), [c, m, ...kernel])
}

/** Constants that scatter taps are at most so large, elements. */
const MAX_SCATTER = 2 ** 16
/** The scattering is a product as well: it may take this share of the convolution's work. */
const MAX_SCATTER_SHARE = 1 / 8

/** Which position of x each position of g meets by each tap: a matrix of ones and zeros, [positions of x, taps · positions of g]. */
function scatter(w: Window, from: readonly number[], to: readonly number[]): Float32Array {
  const [taps, places] = [positions(w.kernel), positions(from)]
  const width = taps.length * places.length
  const matrix = new Float32Array(sizeOf(to) * width)
  for (const [t, tap] of taps.entries())
    for (const [p, place] of places.entries()) {
      const at = place.map((n, i) => n * w.strides[i]! + tap[i]! * w.dilations[i]! - w.before[i]!)
      if (at.some((n, i) => n < 0 || n >= to[i]!)) continue
      const row = at.reduce((sum, n, i) => sum * to[i]! + n, 0)
      matrix[row * width + t * places.length + p] = 1
    }
  return matrix
}

/**
 * dX of a convolution over images of few positions as two products: what every position of g gives to every channel and tap, in rows of
 * the weights as they lie, then each of those added to where its tap points. Nothing as large as the weights is moved.
 */
function scattered(b: GraphBuilder, g: Value, weight: Value, w: Window, target: readonly number[]): Value {
  const [n, m, ...from] = g.shape as [number, number, ...number[]]
  const [c, taps, places] = [weight.shape[1]!, sizeOf(w.kernel), sizeOf(from)]
  const rows = b.reshape(b.transpose(b.reshape(g, [n, m, places]), [0, 2, 1]), [n * places, m])
  const given = b.reshape(b.matmul(rows, b.reshape(weight, [m, c * taps])), [n, places * c, taps])
  const byTap = b.reshape(b.transpose(given, [0, 2, 1]), [n, taps * places, c])
  return b.reshape(b.transpose(b.matmul(scatterOf(b, w, from, target), byTap), [0, 2, 1]), [n, c, ...target])
}

const scatterOf = (b: GraphBuilder, w: Window, from: readonly number[], to: readonly number[]): Value => {
  const shape = [sizeOf(to), sizeOf(w.kernel) * sizeOf(from)]
  return b.constant(tensorOf('float32', shape, scatter(w, from, to)))
}

/**
 * What every tap meets at every output position, of images of few positions: a row for each channel and tap, [C · taps, N · out]. The product
 * that scatters gathers the other way round, in half the time of cutting a piece for each tap.
 */
export function gathered(b: GraphBuilder, x: Value, w: Window, out: readonly number[]): Value {
  const [n, c, ...space] = x.shape as [number, number, ...number[]]
  const met = b.matmul(b.reshape(x, [n * c, sizeOf(space)]), scatterOf(b, w, out, space))
  const rows = c * sizeOf(w.kernel)
  return b.reshape(b.transpose(b.reshape(met, [n, rows, sizeOf(out)]), [1, 0, 2]), [rows, n * sizeOf(out)])
}

/** Whether {@link scattered} and {@link gathered} move less than the weights are, and their products with the matrix cost little. */
export function scatters(g: Value, w: Window, groups: number, target: readonly number[]): boolean {
  const [n, m, ...from] = g.shape as [number, number, ...number[]]
  const places = sizeOf(from)
  const isSmall = sizeOf(target) * sizeOf(w.kernel) * places <= MAX_SCATTER
  return groups === 1 && isSmall && n * places <= m && sizeOf(target) <= MAX_SCATTER_SHARE * m
}

/**
 * dX of a convolution: transposed; or where that is faster, by {@link scattered} products, or if the stride is 1 by a convolution with the
 * weights turned around.
 */
export function inputGradient(
  b: GraphBuilder,
  g: Value,
  weight: Value,
  w: Window,
  groups: number,
  target: readonly number[],
): Value {
  if (scatters(g, w, groups, target)) return scattered(b, g, weight, w, target)
  const large = g.shape[0]! * sizeOf(g.shape.slice(2)) >= MIN_FLIPPED_POSITIONS
  const pads = [w.before, w.after].map((list) => list.map((n, i) => w.dilations[i]! * (w.kernel[i]! - 1) - n))
  const fits = w.strides.every((n) => n === 1) && groups === 1 && pads.flat().every((n) => n >= 0)
  if (!fits || !large || weight.shape[1]! < MIN_FLIPPED_CHANNELS) return convTranspose(b, g, weight, w, groups, target)
  const [before, after] = pads as [number[], number[]]
  return b.one('Conv', [g, turnedAround(b, weight)], { ...windowAttributes({ ...w, before, after }), ...group(1) })
}

/** Transposed convolution of g that gives exactly `target` spatial sizes back. */
export function convTranspose(
  b: GraphBuilder,
  g: Value,
  weight: Value,
  w: Window,
  groups: number,
  target: readonly number[],
): Value {
  const after = target.map((n, i) => full(w, i, g.shape[i + 2]!) - w.before[i]! - n)
  return b.one('ConvTranspose', [g, weight], {
    ...windowAttributes({ ...w, after: after.map((n) => Math.max(0, n)) }),
    ...group(groups),
    output_padding: ints(after.map((n) => Math.max(0, -n))),
  })
}

/** Size of a transposed convolution's output along axis i before padding is cut off. */
export const full = (w: Window, i: number, size: number) =>
  (size - 1) * w.strides[i]! + w.dilations[i]! * (w.kernel[i]! - 1) + 1
