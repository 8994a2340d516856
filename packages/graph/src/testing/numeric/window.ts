import { type Attributes, int, ints, string } from '../../model.ts'
import { tensorOf } from '../../tensors.ts'
import { type Case, type Draw, type Generator, type Generators, ints64 } from './draw.ts'

interface Window {
  kernel: number[]
  strides: number[]
  dilations: number[]
  pads: number[]
  spatial: number[]
  attributes: Attributes
}

const AUTO = ['SAME_UPPER', 'SAME_LOWER', 'VALID']

/** A window on one to three axes that fits its input, with padding given or automatic. */
function window(d: Draw, { dilated = true, pooling = false } = {}): Window {
  const rank = d.pick(1, 1, 2, 2, 2, 3)
  const axes = Array.from({ length: rank }, (_, i) => i)
  const most = rank === 3 ? 2 : 3
  const kernel = axes.map(() => d.int(1, most))
  const strides = axes.map(() => d.int(1, most))
  const dilations = axes.map(() => (dilated ? d.int(1, 2) : 1))
  const auto = d.int(0, 3) === 0 ? d.pick(...AUTO) : undefined
  // Pooling refuses padding as wide as its window.
  const widest = (i: number) => (pooling ? Math.min(2, kernel[i]! - 1) : 2)
  const pads = [...axes, ...axes].map((i) => (auto ? 0 : d.int(0, widest(i))))
  const reach = axes.map((i) => (kernel[i]! - 1) * dilations[i]! + 1)
  // A pooling window with holes must not lie in the padding with all its taps.
  const free = axes.map((i) => (pooling && dilations[i]! > 1 ? 0 : pads[i]! + pads[rank + i]!))
  const spatial = axes.map((i) => Math.max(1, reach[i]! - free[i]!) + d.int(0, rank === 3 ? 1 : 3))
  const attributes: Attributes = {
    ...(strides.some((n) => n !== 1) || d.flag() ? { strides: ints(strides) } : {}),
    ...(dilations.some((n) => n !== 1) || (dilated && d.flag()) ? { dilations: ints(dilations) } : {}),
    ...(auto ? { auto_pad: string(auto) } : pads.some((n) => n) || d.flag() ? { pads: ints(pads) } : {}),
  }
  return { kernel, strides, dilations, pads, spatial, attributes }
}

/** Groups, and channels of input and output for each: one group, some, or depthwise. */
function groups(d: Draw): { groups: number; per: number; filters: number } {
  return d.pick(
    { groups: 1, per: d.int(1, 3), filters: d.int(1, 3) },
    { groups: 2, per: d.int(1, 2), filters: d.int(1, 2) },
    { groups: 3, per: 1, filters: 1 },
    { groups: 2, per: 1, filters: 2 },
  )
}

const conv: Generator = (d) => {
  const w = window(d)
  const g = groups(d)
  const weight = [g.groups * g.filters, g.per, ...w.kernel]
  return {
    op: 'Conv',
    opset: d.pick(11, 18, 22),
    inputs: [
      d.real([d.int(1, 2), g.groups * g.per, ...w.spatial]),
      d.real(weight),
      d.flag() ? d.real([weight[0]!]) : undefined,
    ],
    attributes: {
      ...w.attributes,
      ...(g.groups > 1 || d.flag() ? { group: int(g.groups) } : {}),
      ...(d.flag() ? { kernel_shape: ints(w.kernel) } : {}),
    },
  }
}

/** Many channels take another way to the weight's gradient than few. */
const wideConv: Generator = (d) => {
  const channels = d.int(33, 36)
  return {
    op: 'Conv',
    inputs: [d.real([1, channels, 2]), d.real([2, channels, 1])],
    attributes: { pads: ints([d.int(0, 1), 1]), strides: ints([d.int(1, 2)]) },
  }
}

const transposed: Generator = (d) => {
  const w = window(d)
  const g = groups(d)
  const rank = w.kernel.length
  const spatial = w.spatial.map(() => d.int(1, rank === 3 ? 2 : 3))
  const full = spatial.map((n, i) => (n - 1) * w.strides[i]! + (w.kernel[i]! - 1) * w.dilations[i]! + 1)
  const attributes: Attributes = { ...w.attributes }
  delete attributes.pads
  delete attributes.auto_pad
  const kind = d.int(0, 3)
  const extra = w.strides.map((s, i) => d.int(0, Math.max(s, w.dilations[i]!) - 1))
  if (kind === 0) {
    // The wanted size may cut the full one by any part, or take all.
    attributes.output_shape = ints(full.map((n) => d.int(Math.max(1, n - 3), n)))
    if (d.flag()) attributes.auto_pad = string(d.pick('SAME_UPPER', 'SAME_LOWER'))
  } else if (kind === 1 && full.every((n, i) => n >= spatial[i]! * w.strides[i]!)) {
    attributes.auto_pad = string(d.pick('SAME_UPPER', 'SAME_LOWER', 'VALID'))
  } else {
    const pads = [...full, ...full].map((n) => d.int(0, Math.min(2, Math.floor((n - 1) / 2))))
    attributes.pads = ints(pads)
    // onnxruntime refuses more than the stride unless padding is cut off there.
    const allowed = extra.map((n, i) => Math.min(n, Math.max(w.strides[i]! - 1, pads[rank + i]!)))
    if (d.flag()) attributes.output_padding = ints(allowed)
  }
  return {
    op: 'ConvTranspose',
    opset: d.pick(11, 18, 22),
    inputs: [
      d.real([d.int(1, 2), g.groups * g.per, ...spatial]),
      d.real([g.groups * g.per, g.filters, ...w.kernel]),
      d.flag() ? d.real([g.groups * g.filters]) : undefined,
    ],
    attributes: { ...attributes, ...(g.groups > 1 || d.flag() ? { group: int(g.groups) } : {}) },
  }
}

function pool(d: Draw, op: 'MaxPool' | 'AveragePool'): Case {
  const tiled = d.int(0, 3) === 0
  const w = window(d, { dilated: op === 'MaxPool', pooling: true })
  const spatial = w.spatial.map((n, i) => (tiled ? Math.max(n, w.kernel[i]!) : n))
  const input = d.real([d.int(1, 2), d.int(1, 2), ...spatial])
  const plain = tiled
    ? { strides: ints(w.kernel) }
    : { ...w.attributes, ...(d.flag() ? { ceil_mode: int(+d.flag()) } : {}) }
  const padded = op === 'AveragePool' && d.flag() ? { count_include_pad: int(+d.flag()) } : {}
  return {
    op,
    inputs: [input],
    opset: d.pick(12, 18, 22),
    attributes: { kernel_shape: ints(w.kernel), ...plain, ...padded },
  }
}

const global =
  (op: string): Generator =>
  (d) => ({ op, inputs: [d.real([d.int(1, 2), d.int(1, 3), ...d.shape(1, 3, 3)])] })

const lpPool: Generator = (d) => {
  const w = window(d, { dilated: false, pooling: true })
  return {
    op: 'LpPool',
    inputs: [d.real([d.int(1, 2), d.int(1, 2), ...w.spatial])],
    attributes: { kernel_shape: ints(w.kernel), ...w.attributes, ...(d.flag() ? { p: int(d.int(1, 3)) } : {}) },
  }
}

/** A pooling's indices: every window has a place of its own. */
const unpool: Generator = (d) => {
  const [k, out] = [d.int(1, 3), [d.int(1, 3), d.int(1, 2)] as const]
  const lead = d.int(1, 2)
  const places = Array.from({ length: lead * out[0] * out[1] }, (_, i) => {
    const [n, y, x] = [Math.floor(i / out[0] / out[1]), Math.floor(i / out[1]) % out[0], i % out[1]]
    return (n * out[0] * k + y * k + d.int(0, k - 1)) * out[1] * k + x * k + d.int(0, k - 1)
  })
  return {
    op: 'MaxUnpool',
    inputs: [
      d.real([1, lead, ...out]),
      { role: d.flag() ? 'input' : 'constant', tensor: tensorOf('int64', [1, lead, ...out], places) },
    ],
    attributes: { kernel_shape: ints([k, k]), strides: ints([k, k]) },
  }
}

const cropPad: Generator = (d) => {
  const x = d.shape(1, 3, 5)
  const axes = d.flag() ? d.axes(x.length) : undefined
  return {
    op: 'CenterCropPad',
    ownSizes: true,
    inputs: [d.real(x), ints64((axes ?? x).map(() => d.int(1, 6)))],
    attributes: axes ? { axes: ints(axes) } : {},
  }
}

const col2im: Generator = (d) => {
  const kernel = [d.int(1, 2), d.int(1, 2)]
  const strides = [d.int(1, 2), d.int(1, 2)]
  const dilations = [d.int(1, 2), d.int(1, 2)]
  const pads = [d.int(0, 1), d.int(0, 1), d.int(0, 1), d.int(0, 1)]
  const image = kernel.map((k, i) => (k - 1) * dilations[i]! + 1 + d.int(0, 3))
  const counts = image.map((n, i) =>
    Math.floor((n + pads[i]! + pads[2 + i]! - dilations[i]! * (kernel[i]! - 1) - 1) / strides[i]! + 1),
  )
  return {
    op: 'Col2Im',
    inputs: [
      d.real([d.int(1, 2), d.int(1, 2) * kernel[0]! * kernel[1]!, counts[0]! * counts[1]!]),
      ints64(image),
      ints64(kernel),
    ],
    attributes: { strides: ints(strides), dilations: ints(dilations), pads: ints(pads) },
  }
}

/** Places between the pixels and around the image, away from where a neighbour takes over. */
const gridSample: Generator = (d) => {
  const [n, height, width, rows, columns] = [d.int(1, 2), d.int(2, 3), d.int(2, 3), d.int(1, 2), d.int(1, 2)]
  const aligned = d.flag()
  const coordinate = (m: number) => {
    const p = d.int(-2, m) + d.pick(0.1875, 0.375, 0.625, 0.8125)
    return aligned ? (2 * p) / (m - 1) - 1 : (2 * p + 1) / m - 1
  }
  const grid = Array.from({ length: n * rows * columns * 2 }, (_, i) => coordinate(i % 2 ? height : width))
  const opset = d.pick(16, 20)
  const linear = opset < 20 ? 'bilinear' : 'linear'
  return {
    op: 'GridSample',
    opset,
    ownSizes: true,
    inputs: [
      d.real([n, d.int(1, 2), height, width]),
      { role: d.flag() ? 'input' : 'weight', tensor: tensorOf('float32', [n, rows, columns, 2], grid) },
    ],
    attributes: {
      ...d.pick({}, { mode: string(linear) }, { mode: string('nearest') }),
      ...d.pick({}, { padding_mode: string('zeros') }, { padding_mode: string('border') }),
      ...(aligned || d.flag() ? { align_corners: int(+aligned) } : {}),
    },
  }
}

const affineGrid: Generator = (d) => {
  const image = d.shape(2, 3, 3)
  const n = d.int(1, 2)
  return {
    op: 'AffineGrid',
    opset: 20,
    ownSizes: true,
    inputs: [d.real([n, image.length, image.length + 1]), ints64([n, 1, ...image])],
    attributes: d.flag() ? { align_corners: int(+d.flag()) } : {},
  }
}

/** Convolutions and pooling over one, two and three axes. */
export const windows: Generators = {
  Conv: (d) => (d.int(0, 9) ? conv(d) : wideConv(d)),
  ConvTranspose: transposed,
  MaxPool: (d) => pool(d, 'MaxPool'),
  AveragePool: (d) => pool(d, 'AveragePool'),
  GlobalAveragePool: global('GlobalAveragePool'),
  GlobalMaxPool: global('GlobalMaxPool'),
  GlobalLpPool: (d) => ({ ...global('GlobalLpPool')(d), attributes: d.flag() ? { p: int(d.int(1, 3)) } : {} }),
  LpPool: lpPool,
  MaxUnpool: unpool,
  CenterCropPad: cropPad,
  Col2Im: col2im,
  GridSample: gridSample,
  AffineGrid: affineGrid,
}
