import { type Call, flag, type Kernels, need, number, numbers, text } from './kernel.ts'
import { at, build, count, eachIndex, offset, type Ref, size } from './tensor.ts'

/** A window's geometry on the spatial axes. */
interface Geometry {
  kernel: number[]
  strides: number[]
  dilations: number[]
  begin: number[]
  end: number[]
  /** Sizes of the output of a convolution or pooling. */
  out: number[]
}

export function geometry(c: Call, spatial: readonly number[], kernel: number[]): Geometry {
  const axes = count(spatial.length)
  const strides = numbers(c, 'strides') ?? axes.map(() => 1)
  const dilations = numbers(c, 'dilations') ?? axes.map(() => 1)
  const auto = text(c, 'auto_pad', 'NOTSET')
  const reach = axes.map((i) => (kernel[i]! - 1) * dilations[i]! + 1)
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    const out = axes.map((i) => Math.ceil(spatial[i]! / strides[i]!))
    const total = axes.map((i) => Math.max((out[i]! - 1) * strides[i]! + reach[i]! - spatial[i]!, 0))
    const less = total.map((n) => Math.floor(n / 2))
    const more = total.map((n, i) => n - less[i]!)
    const [begin, end] = auto === 'SAME_UPPER' ? [less, more] : [more, less]
    return { kernel, strides, dilations, begin, end, out }
  }
  const pads = auto === 'VALID' ? undefined : numbers(c, 'pads')
  const begin = pads ? pads.slice(0, axes.length) : axes.map(() => 0)
  const end = pads ? pads.slice(axes.length) : axes.map(() => 0)
  const out = axes.map((i) => {
    const steps = (spatial[i]! + begin[i]! + end[i]! - reach[i]!) / strides[i]!
    const n = (flag(c, 'ceil_mode') ? Math.ceil(steps) : Math.floor(steps)) + 1
    // A window that would start in the padding at the end is left out.
    return flag(c, 'ceil_mode') && (n - 1) * strides[i]! >= spatial[i]! + begin[i]! ? n - 1 : n
  })
  if (out.some((n) => n < 1)) throw new Error('the window is wider than its input')
  return { kernel, strides, dilations, begin, end, out }
}

/** Where tap k of the window at output o reads. */
const position = (g: Geometry, o: readonly number[], k: readonly number[]): number[] =>
  o.map((n, i) => n * g.strides[i]! - g.begin[i]! + k[i]! * g.dilations[i]!)

const inside = (p: readonly number[], spatial: readonly number[]) => p.every((n, i) => n >= 0 && n < spatial[i]!)

function convolution(c: Call): Ref[] {
  const [x, w, bias] = [need(c, 0), need(c, 1), c.inputs[2]]
  const spatial = x.shape.slice(2)
  const g = geometry(c, spatial, w.shape.slice(2))
  const groups = number(c, 'group', 1)
  const [batch, filters, channels] = [x.shape[0]!, w.shape[0]!, w.shape[1]!]
  const y = build('float', [batch, filters, ...g.out], (index) => (bias ? bias.data[index[1]!]! : 0))
  const [space, taps, room] = [size(spatial), size(g.kernel), size(g.out)]
  eachIndex(g.out, (o, to) => {
    eachIndex(g.kernel, (k, tap) => {
      const p = position(g, o, k)
      if (!inside(p, spatial)) return
      const from = offset(spatial, p)
      for (let n = 0; n < batch; n++)
        for (let m = 0; m < filters; m++) {
          const first = n * x.shape[1]! + Math.floor(m / (filters / groups)) * channels
          let sum = 0
          for (let ch = 0; ch < channels; ch++)
            sum += x.data[(first + ch) * space + from]! * w.data[(m * channels + ch) * taps + tap]!
          y.data[(n * filters + m) * room + to]! += sum
        }
    })
  })
  return [y]
}

/** Each input element adds its multiple of the kernel to the output; what pads cut off is dropped. */
function transposed(c: Call): Ref[] {
  const [x, w, bias] = [need(c, 0), need(c, 1), c.inputs[2]]
  const spatial = x.shape.slice(2)
  const kernel = w.shape.slice(2)
  const axes = count(spatial.length)
  const groups = number(c, 'group', 1)
  const strides = numbers(c, 'strides') ?? axes.map(() => 1)
  const dilations = numbers(c, 'dilations') ?? axes.map(() => 1)
  const extra = numbers(c, 'output_padding') ?? axes.map(() => 0)
  const auto = text(c, 'auto_pad', 'NOTSET')
  const whole = axes.map((i) => strides[i]! * (spatial[i]! - 1) + extra[i]! + (kernel[i]! - 1) * dilations[i]! + 1)
  const same = auto === 'SAME_UPPER' || auto === 'SAME_LOWER' ? axes.map((i) => spatial[i]! * strides[i]!) : undefined
  const wanted = numbers(c, 'output_shape')?.slice(-axes.length) ?? same
  const pads = auto === 'VALID' ? undefined : numbers(c, 'pads')
  const total = axes.map((i) =>
    wanted ? Math.max(0, whole[i]! - wanted[i]!) : (pads?.[i] ?? 0) + (pads?.[axes.length + i] ?? 0),
  )
  const begin = axes.map((i) => {
    if (!wanted) return pads?.[i] ?? 0
    const half = Math.floor(total[i]! / 2)
    return auto === 'SAME_UPPER' ? half : total[i]! - half
  })
  const out = axes.map((i) => wanted?.[i] ?? whole[i]! - total[i]!)
  const [channels, per] = [x.shape[1]!, w.shape[1]!]
  const shape = [x.shape[0]!, per * groups, ...out]
  const y = build('float', shape, ([, m]) => (bias ? bias.data[m!]! : 0))
  eachIndex(x.shape, ([n, ch, ...p], flat) => {
    const value = x.data[flat]!
    eachIndex([per, ...kernel], ([m, ...k]) => {
      const o = p.map((at, i) => at * strides[i]! + k[i]! * dilations[i]! - begin[i]!)
      if (!inside(o, out)) return
      const filter = Math.floor(ch! / (channels / groups)) * per + m!
      y.data[offset(shape, [n!, filter, ...o])]! += value * at(w, [ch!, m!, ...k])
    })
  })
  return [y]
}

function maxPool(c: Call): Ref[] {
  const x = need(c, 0)
  const spatial = x.shape.slice(2)
  const g = geometry(c, spatial, numbers(c, 'kernel_shape')!)
  const shape = [...x.shape.slice(0, 2), ...g.out]
  const indices = build('int', shape, ([n, ch, ...o]) => {
    let best = -1
    eachIndex(g.kernel, (k) => {
      const p = position(g, o, k)
      if (!inside(p, spatial)) return
      const flat = offset(x.shape, [n!, ch!, ...p])
      if (best < 0 || x.data[flat]! > x.data[best]!) best = flat
    })
    return best
  })
  return [{ kind: 'float', shape, data: indices.data.map((flat) => x.data[flat]!) }, indices]
}

function averagePool(c: Call): Ref[] {
  const x = need(c, 0)
  const spatial = x.shape.slice(2)
  const g = geometry(c, spatial, numbers(c, 'kernel_shape')!)
  const padded = flag(c, 'count_include_pad')
  return [
    build('float', [...x.shape.slice(0, 2), ...g.out], ([n, ch, ...o]) => {
      let [sum, counted] = [0, 0]
      eachIndex(g.kernel, (k) => {
        const p = position(g, o, k)
        if (inside(p, spatial)) sum += at(x, [n!, ch!, ...p])
        // Padding may count, what lies beyond it (ceil_mode) does not.
        const reached = p.every((at, i) => at >= -g.begin[i]! && at < spatial[i]! + g.end[i]!)
        if (inside(p, spatial) || (padded && reached)) counted++
      })
      return sum / counted
    }),
  ]
}

function overSpace(c: Call, f: (values: number[]) => number): Ref[] {
  const x = need(c, 0)
  const length = size(x.shape.slice(2))
  const shape = [...x.shape.slice(0, 2), ...x.shape.slice(2).map(() => 1)]
  const rows = count(size(x.shape.slice(0, 2)))
  return [
    {
      kind: 'float',
      shape,
      data: Float64Array.from(rows, (i) => f(Array.from(x.data.slice(i * length, (i + 1) * length)))),
    },
  ]
}

/** Convolutions and pooling. */
export const window: Kernels = {
  Conv: convolution,
  ConvTranspose: transposed,
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: (c) => overSpace(c, (values) => values.reduce((a, x) => a + x, 0) / values.length),
  GlobalMaxPool: (c) => overSpace(c, (values) => Math.max(...values)),
}
