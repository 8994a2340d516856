import { type Kernels, need, number, numbers } from './kernel.ts'
import { at, build, count, eachIndex, front, list, offset, size } from './tensor.ts'
import { geometry } from './window.ts'

/** What works on a neighbourhood: of channels, of a window, of a centre. */
export const local: Kernels = {
  LRN: (c) => {
    const x = need(c, 0)
    const width = number(c, 'size', 1)
    const [alpha, beta, bias] = [number(c, 'alpha', 1e-4), number(c, 'beta', 0.75), number(c, 'bias', 1)]
    return [
      build('float', x.shape, (index) => {
        const ch = index[1]!
        const near = count(x.shape[1]!).filter(
          (i) => i >= ch - Math.floor((width - 1) / 2) && i <= ch + Math.ceil((width - 1) / 2),
        )
        const sum = near.reduce((s, i) => s + at(x, index.with(1, i)) ** 2, 0)
        return at(x, index) / (bias + (alpha / width) * sum) ** beta
      }),
    ]
  },
  LpPool: (c) => {
    const x = need(c, 0)
    const spatial = x.shape.slice(2)
    const g = geometry(c, spatial, numbers(c, 'kernel_shape')!)
    const p = number(c, 'p', 2)
    return [
      build('float', [...x.shape.slice(0, 2), ...g.out], ([n, ch, ...o]) => {
        let sum = 0
        eachIndex(g.kernel, (k) => {
          const where = o.map((i, d) => i * g.strides[d]! - g.begin[d]! + k[d]! * g.dilations[d]!)
          if (where.every((i, d) => i >= 0 && i < spatial[d]!)) sum += Math.abs(at(x, [n!, ch!, ...where])) ** p
        })
        return sum ** (1 / p)
      }),
    ]
  },
  GlobalLpPool: (c) => {
    const x = need(c, 0)
    const p = number(c, 'p', 2)
    const length = size(x.shape.slice(2))
    const shape = x.shape.map((n, d) => (d < 2 ? n : 1))
    const row = (i: number) => x.data.slice(i * length, (i + 1) * length)
    return [
      {
        kind: 'float',
        shape,
        data: Float64Array.from(count(size(shape)), (i) => row(i).reduce((s, v) => s + Math.abs(v) ** p, 0) ** (1 / p)),
      },
    ]
  },
  MaxUnpool: (c) => {
    const [x, indices, wanted] = [need(c, 0), need(c, 1), list(c.inputs[2])]
    const kernel = numbers(c, 'kernel_shape')!
    const strides = numbers(c, 'strides') ?? kernel.map(() => 1)
    const pads = numbers(c, 'pads') ?? [...kernel, ...kernel].map(() => 0)
    const shape = wanted ?? [
      ...x.shape.slice(0, 2),
      ...kernel.map((k, i) => (x.shape[i + 2]! - 1) * strides[i]! + k - pads[i]! - pads[kernel.length + i]!),
    ]
    const y = build('float', shape, () => 0)
    x.data.forEach((value, i) => {
      y.data[indices.data[i]!] = value
    })
    return [y]
  },
  CenterCropPad: (c) => {
    const x = need(c, 0)
    const axes = (numbers(c, 'axes') ?? count(x.shape.length)).map((axis) => front(axis, x.shape.length))
    const wanted = list(need(c, 1))!
    const shape = x.shape.map((n, d) => (axes.includes(d) ? wanted[axes.indexOf(d)]! : n))
    const shift = shape.map((n, d) => {
      const more = n - x.shape[d]!
      return more >= 0 ? -Math.floor(more / 2) : Math.floor(-more / 2)
    })
    return [
      build(x.kind, shape, (index) => {
        const from = index.map((n, d) => n + shift[d]!)
        return from.every((n, d) => n >= 0 && n < x.shape[d]!) ? at(x, from) : 0
      }),
    ]
  },
  Col2Im: (c) => {
    const [x, image, block] = [need(c, 0), list(need(c, 1))!, list(need(c, 2))!]
    const g = geometry(c, image, block)
    const taps = size(block)
    const [batch, channels] = [x.shape[0]!, x.shape[1]! / taps]
    const y = build('float', [batch, channels, ...image], () => 0)
    eachIndex([batch, channels], ([n, ch]) => {
      eachIndex(block, (k, tap) => {
        eachIndex(g.out, (o, column) => {
          const where = o.map((i, d) => i * g.strides[d]! - g.begin[d]! + k[d]! * g.dilations[d]!)
          if (where.some((i, d) => i < 0 || i >= image[d]!)) return
          y.data[offset(y.shape, [n!, ch!, ...where])]! += at(x, [n!, ch! * taps + tap, column])
        })
      })
    })
    return [y]
  },
}
