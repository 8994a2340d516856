import { PinGoError } from '@pingo/wire'
import { known } from '../known.ts'
import { type Attributes, floatOf, string, stringOf } from '../model.ts'
import type { InferContext, LowerContext, Operator } from '../operator.ts'
import { range } from '../shape.ts'
import { tensorOf } from '../tensors.ts'

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
  throw new PinGoError('GRAPH_UNSUPPORTED', `the coordinate mode '${mode}' is not supported`, {
    hint: 'Use half_pixel, align_corners or asymmetric.',
  })
}

function nearest(mode: string, at: number): number {
  if (mode === 'floor') return Math.floor(at)
  if (mode === 'ceil') return Math.ceil(at)
  return mode === 'round_prefer_ceil' ? Math.floor(at + 0.5) : Math.ceil(at - 0.5)
}

/** Weights of the input's elements in each output element along one axis, [n, m] row-major. */
function weights(attributes: Attributes, m: number, n: number, scale: number): number[] {
  const mode = stringOf(attributes, 'coordinate_transformation_mode', 'half_pixel')
  const table = new Array<number>(n * m).fill(0)
  const clamp = (at: number) => Math.min(Math.max(at, 0), m - 1)
  for (let i = 0; i < n; i++) {
    const at = coordinate(mode, i, m, n, scale)
    if (stringOf(attributes, 'mode', 'nearest') === 'nearest') {
      table[i * m + clamp(nearest(stringOf(attributes, 'nearest_mode', 'round_prefer_floor'), at))]! += 1
      continue
    }
    const low = Math.floor(clamp(at))
    const part = clamp(at) - low
    table[i * m + low]! += 1 - part
    table[i * m + clamp(low + 1)]! += part
  }
  return table
}

function checked(c: LowerContext): void {
  const mode = stringOf(c.attributes, 'mode', 'nearest')
  if (mode !== 'nearest' && mode !== 'linear')
    throw new PinGoError('GRAPH_UNSUPPORTED', `resizing by '${mode}' is not supported`, {
      hint: 'Use nearest or linear.',
    })
  if (floatOf(c.attributes, 'antialias', 0))
    throw new PinGoError('GRAPH_UNSUPPORTED', 'antialiased resizing is not supported', {
      hint: 'Switch antialias off.',
    })
}

/** Resizing of images, nearest neighbour or linear. */
export const resize: Record<string, Operator> = {
  Resize: {
    infer: (c) => [{ dtype: c.inputs[0]!.dtype, shape: sizesOf(c) }],
    lower: (c) => {
      checked(c)
      const [x, , scales, sizes] = c.inputs
      const attributes: Attributes = {
        mode: string(stringOf(c.attributes, 'mode', 'nearest')),
        coordinate_transformation_mode: string(stringOf(c.attributes, 'coordinate_transformation_mode', 'half_pixel')),
        nearest_mode: string(stringOf(c.attributes, 'nearest_mode', 'round_prefer_floor')),
      }
      if (!sizes)
        return [
          c.b.one(
            'Resize',
            [x, undefined, c.b.constant(tensorOf('float32', scales!.shape, known(scales!, 'scales')))],
            attributes,
          ),
        ]
      // Sizes carry the batch they were exported with.
      const list = known(sizes, 'sizes').map((n, i) => (i < 2 ? x!.shape[i]! : n))
      return [c.b.one('Resize', [x, undefined, undefined, c.b.ints(list)], attributes)]
    },
    // Each axis is a product with a fixed matrix; its gradient is the product with the transpose.
    gradient: ({ b, attributes, inputs, outputs, grads: [g] }) => {
      const x = inputs[0]!
      const y = outputs[0]!
      const scales = inputs[2] && known(inputs[2], 'scales')
      let out = g!
      for (const axis of range(x.shape.length)) {
        const [m, n] = [x.shape[axis]!, y.shape[axis]!]
        if (m === n) continue
        const table = b.constant(tensorOf('float32', [n, m], weights(attributes, m, n, scales?.[axis] ?? n / m)))
        const last = x.shape.length - 1
        if (axis === last) out = b.matmul(out, table)
        else if (axis === last - 1) out = b.one('MatMul', [b.transpose(table, [1, 0]), out])
        else throw new PinGoError('GRAPH_UNSUPPORTED', 'resizing other than the last two axes is not supported')
      }
      return [out]
    },
  },
  Upsample: {
    lower: (c) => [
      c.b.one('Resize', [c.inputs[0], undefined, c.inputs[1]], {
        ...c.attributes,
        coordinate_transformation_mode: string('asymmetric'),
        nearest_mode: string('floor'),
      }),
    ],
  },
}
