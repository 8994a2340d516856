import { flag, type Kernel, type Kernels, need, number, text } from './kernel.ts'
import { roundHalfEven } from './special.ts'
import { at, build, count, front, list, type Ref } from './tensor.ts'

/** Where output position i of n lies in an input of m. */
function coordinate(mode: string, i: number, m: number, n: number, scale: number): number {
  switch (mode) {
    case 'align_corners':
      return n === 1 ? 0 : (i * (m - 1)) / (n - 1)
    case 'asymmetric':
      return i / scale
    case 'pytorch_half_pixel':
      return n > 1 ? (i + 0.5) / scale - 0.5 : 0
    case 'half_pixel_symmetric': {
      const adjustment = n / (scale * m)
      return (m / 2) * (1 - adjustment) + (i + 0.5) / scale - 0.5
    }
    default:
      return (i + 0.5) / scale - 0.5
  }
}

function nearest(mode: string, x: number): number {
  if (mode === 'floor') return Math.floor(x)
  if (mode === 'ceil') return Math.ceil(x)
  const low = Math.floor(x)
  if (x - low === 0.5) return mode === 'round_prefer_ceil' ? low + 1 : low
  return roundHalfEven(x)
}

/** The elements that an output position is made of, with their weights. */
function taps(c: Parameters<Kernel>[0], i: number, m: number, n: number, scale: number): [number, number][] {
  const mode = text(c, 'mode', 'nearest')
  const x = coordinate(text(c, 'coordinate_transformation_mode', 'half_pixel'), i, m, n, scale)
  const clamp = (p: number) => Math.min(Math.max(p, 0), m - 1)
  if (mode === 'nearest') return [[clamp(nearest(text(c, 'nearest_mode', 'round_prefer_floor'), x)), 1]]
  const low = Math.floor(x)
  const t = x - low
  if (mode === 'linear')
    return [
      [clamp(low), 1 - t],
      [clamp(low + 1), t],
    ]
  // Cubic convolution (Keys 1981) with the coefficient a.
  const a = number(c, 'cubic_coeff_a', -0.75)
  const near = (d: number) => (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1
  const far = (d: number) => a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a
  const weights = [far(1 + t), near(t), near(1 - t), far(2 - t)]
  const places = count(4).map((k) => low - 1 + k)
  const outside = flag(c, 'exclude_outside')
  const kept = weights.map((w, k) => (outside && (places[k]! < 0 || places[k]! >= m) ? 0 : w))
  const total = kept.reduce((s, w) => s + w, 0)
  return places.map((p, k) => [clamp(p), outside ? kept[k]! / total : kept[k]!])
}

/** Resizes one axis after another: all modes are separable. */
const resize: Kernel = (c) => {
  const x = need(c, 0)
  const rank = x.shape.length
  const given = c.attributes.axes?.value as number[] | undefined
  const axes = given?.map((axis) => front(axis, rank)) ?? count(rank)
  const factors = list(c.inputs[2]?.data.length ? c.inputs[2] : undefined)
  const sizes = list(c.inputs[3])
  const policy = text(c, 'keep_aspect_ratio_policy', 'stretch')
  let y: Ref = x
  const ratios = sizes ? axes.map((axis, i) => sizes[i]! / x.shape[axis]!) : []
  const common = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  axes.forEach((axis, i) => {
    const m = x.shape[axis]!
    const kept = sizes !== undefined && policy !== 'stretch'
    const scale = kept ? common : factors ? factors[i]! : sizes![i]! / m
    const n = kept ? Math.floor(common * m + 0.5) : factors ? Math.floor(m * factors[i]!) : sizes![i]!
    if (n === m && scale === 1) return
    const before = y
    y = build('float', before.shape.with(axis, n), (index) =>
      taps(c, index[axis]!, m, n, scale).reduce((sum, [p, w]) => sum + w * at(before, index.with(axis, p)), 0),
    )
  })
  return [y]
}

/** Images read at the places of a grid, which has -1 and 1 at the borders of the image, or at the centres of its outermost pixels. */
const gridSample: Kernel = (c) => {
  const [x, grid] = [need(c, 0), need(c, 1)]
  const [n, channels, height, width] = x.shape as [number, number, number, number]
  const aligned = flag(c, 'align_corners')
  const border = text(c, 'padding_mode', 'zeros') === 'border'
  const place = (g: number, m: number) => {
    const p = aligned ? ((g + 1) / 2) * (m - 1) : ((g + 1) * m - 1) / 2
    return border ? Math.min(Math.max(p, 0), m - 1) : p
  }
  const [, rows, columns] = grid.shape as [number, number, number]
  return [
    build('float', [n, channels, rows, columns], ([i, ch, r, q]) => {
      const px = place(at(grid, [i!, r!, q!, 0]), width)
      const py = place(at(grid, [i!, r!, q!, 1]), height)
      const pixel = (y: number, z: number) => (y >= 0 && y < height && z >= 0 && z < width ? at(x, [i!, ch!, y, z]) : 0)
      if (text(c, 'mode', 'linear') === 'nearest') return pixel(roundHalfEven(py), roundHalfEven(px))
      const [y, z] = [Math.floor(py), Math.floor(px)]
      const [u, v] = [py - y, px - z]
      // Beyond the last pixel only a weight of 0 is read.
      return (
        (1 - u) * ((1 - v) * pixel(y, z) + v * pixel(y, z + 1)) +
        u * ((1 - v) * pixel(y + 1, z) + v * pixel(y + 1, z + 1))
      )
    }),
  ]
}

const affineGrid: Kernel = (c) => {
  const [theta, sizes] = [need(c, 0), list(need(c, 1))!]
  const image = sizes.slice(2)
  const aligned = flag(c, 'align_corners')
  const place = (i: number, m: number) => (aligned ? (m === 1 ? 0 : -1 + (2 * i) / (m - 1)) : -1 + (2 * i + 1) / m)
  return [
    build('float', [theta.shape[0]!, ...image, image.length], (index) => {
      // The last axis of the image comes first: x, y, z.
      const point = image.map((m, d) => place(index[1 + d]!, m)).reverse()
      return [...point, 1].reduce((sum, p, j) => sum + p * at(theta, [index[0]!, index.at(-1)!, j]), 0)
    }),
  ]
}

/** Resizing, and reading at computed places. */
export const resizing: Kernels = {
  GridSample: gridSample,
  AffineGrid: affineGrid,
  Resize: resize,
  // Opset 9's: asymmetric coordinates, rounded down.
  Upsample: (c) =>
    resize({
      ...c,
      inputs: [c.inputs[0], undefined, c.inputs[1]],
      attributes: {
        ...c.attributes,
        coordinate_transformation_mode: { type: 'string', value: 'asymmetric' },
        nearest_mode: { type: 'string', value: 'floor' },
      },
    }),
}
