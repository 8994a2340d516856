import { type Attributes, int, intOf, ints, intsOf, stringOf } from '../model.ts'
import { mismatch, range } from '../shape.ts'

/** How a window moves over the spatial axes, one number an axis. */
export interface Window {
  kernel: number[]
  strides: number[]
  dilations: number[]
  before: number[]
  after: number[]
  /** Rounds the output's size up (pooling). */
  ceil: boolean
}

/** The window of a node on an input with `spatial` sizes; auto_pad is resolved. */
export function windowOf(attributes: Attributes, kernel: readonly number[], spatial: readonly number[]): Window {
  const rank = spatial.length
  if (kernel.length !== rank) throw mismatch(`a kernel of ${kernel.length} axes is for another rank`)
  const ones = range(rank).map(() => 1)
  const strides = intsOf(attributes, 'strides') ?? ones
  const dilations = intsOf(attributes, 'dilations') ?? ones
  const pads = intsOf(attributes, 'pads') ?? range(2 * rank).map(() => 0)
  const ceil = intOf(attributes, 'ceil_mode', 0) === 1
  const auto = stringOf(attributes, 'auto_pad', 'NOTSET')
  if ([strides, dilations].some((list) => list.length !== rank || list.some((n) => n < 1)) || pads.length !== 2 * rank)
    throw mismatch('strides, dilations or pads do not fit the rank')
  const window = { kernel: [...kernel], strides, dilations, before: pads.slice(0, rank), after: pads.slice(rank), ceil }
  if (auto === 'VALID') return { ...window, before: ones.map(() => 0), after: ones.map(() => 0) }
  if (auto !== 'SAME_UPPER' && auto !== 'SAME_LOWER') return window
  const total = spatial.map((n, i) =>
    Math.max(0, (Math.ceil(n / strides[i]!) - 1) * strides[i]! + reach(window, i) - n),
  )
  const small = total.map((n) => Math.floor(n / 2))
  const large = total.map((n, i) => n - small[i]!)
  return auto === 'SAME_UPPER' ? { ...window, before: small, after: large } : { ...window, before: large, after: small }
}

/** Elements that the window spans along axis i, dilation included. */
export const reach = (w: Window, i: number): number => w.dilations[i]! * (w.kernel[i]! - 1) + 1

/** Output sizes of a convolution or pooling. */
export function outputSizes(w: Window, spatial: readonly number[]): number[] {
  return spatial.map((n, i) => {
    const room = n + w.before[i]! + w.after[i]! - reach(w, i)
    const steps = room / w.strides[i]!
    let size = (w.ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    // A window that begins in the padding after the input does not count.
    if (w.ceil && (size - 1) * w.strides[i]! >= n + w.before[i]!) size--
    if (size < 1) throw mismatch(`a window of ${reach(w, i)} is wider than an input of ${n}`)
    return size
  })
}

/** The window as explicit attributes. */
export const windowAttributes = (w: Window): Attributes => ({
  kernel_shape: ints(w.kernel),
  strides: ints(w.strides),
  dilations: ints(w.dilations),
  pads: ints([...w.before, ...w.after]),
})

export const group = (n: number): Attributes => ({ group: int(n) })

/** Every position of a kernel or an image, as one index per axis. */
export function positions(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>((list, n) => list.flatMap((at) => range(n).map((i) => [...at, i])), [[]])
}
