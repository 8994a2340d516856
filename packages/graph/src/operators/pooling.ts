import { PinGoError, sizeOf } from '@pingo/wire'
import type { GraphBuilder } from '../builder.ts'
import { type Attributes, int, intOf, intsOf, string } from '../model.ts'
import type { InferContext, LowerContext, Operator, Value } from '../operator.ts'
import { range, stridesOf } from '../shape.ts'
import { tensorOf } from '../tensors.ts'
import { convTranspose } from './convolution-back.ts'
import { outputSizes, type Window, windowAttributes, windowOf } from './window.ts'

const windowFor = (attributes: Attributes, x: Value) =>
  windowOf(attributes, intsOf(attributes, 'kernel_shape') ?? [], x.shape.slice(2))

const pooled = (c: InferContext) => {
  const x = c.inputs[0]!
  return [...x.shape.slice(0, 2), ...outputSizes(windowFor(c.attributes, x), x.shape.slice(2))]
}

function lowerMaxPool(c: LowerContext, x: Value): Value[] {
  const w = windowFor(c.attributes, x)
  return c.b.emit('MaxPool', [x], { ...windowAttributes(w), ceil_mode: int(+w.ceil) })
}

/** Windows that tile the input side by side, nothing padded, the remainder left out. */
const tiles = (w: Window) =>
  !w.ceil &&
  w.kernel.every((k, i) => k === w.strides[i] && w.dilations[i] === 1 && w.before[i] === 0 && w.after[i] === 0)

/** Repeats every element k times along each spatial axis (nearest neighbour), then adds zeros up to `shape`. */
function repeated(b: GraphBuilder, y: Value, kernel: readonly number[], shape: readonly number[]): Value {
  const scales = b.constant(tensorOf('float32', [shape.length], [1, 1, ...kernel]))
  const wide = b.one('Resize', [y, undefined, scales], {
    mode: string('nearest'),
    coordinate_transformation_mode: string('asymmetric'),
    nearest_mode: string('floor'),
  })
  return b.pad(
    wide,
    shape.map(() => 0),
    shape.map((n, i) => n - wide.shape[i]!),
  )
}

/** How many input elements (or padded ones too) every window averages, [1, 1, …out]. */
function counts(w: Window, spatial: readonly number[], out: readonly number[], padding: boolean): number[] {
  const strides = stridesOf(out)
  return range(sizeOf(out)).map((flat) =>
    out.reduce((product, n, i) => {
      const at = Math.floor(flat / strides[i]!) % n
      const start = at * w.strides[i]! - w.before[i]!
      const end = start + w.dilations[i]! * (w.kernel[i]! - 1)
      const [low, high] = padding ? [-w.before[i]!, spatial[i]! + w.after[i]!] : [0, spatial[i]!]
      const inside = range(w.kernel[i]!).filter(
        (k) => start + k * w.dilations[i]! >= low && start + k * w.dilations[i]! < high && end >= start,
      )
      return product * inside.length
    }, 1),
  )
}

function maxPoolGradient(b: GraphBuilder, x: Value, y: Value, indices: Value | undefined, g: Value, w: Window): Value {
  if (!indices) {
    // Side by side: an element gets the gradient where it is the window's maximum; equal maxima share it.
    const top = repeated(b, y, w.kernel, x.shape)
    const hit = b.cast(b.one('Equal', [x, top]), 'float32')
    const ties = b.scale(averaged(b, hit, w), sizeOf(w.kernel))
    return b.mul(hit, repeated(b, b.div(g, ties), w.kernel, x.shape))
  }
  const flat = (v: Value) => b.reshape(v, [sizeOf(v.shape)])
  const zeros = b.filled([sizeOf(x.shape)])
  const spread = b.one('ScatterElements', [zeros, flat(indices), flat(g)], { axis: int(0), reduction: string('add') })
  return b.reshape(spread, x.shape)
}

const averaged = (b: GraphBuilder, x: Value, w: Window) =>
  b.one('AveragePool', [x], { ...plain(windowAttributes(w)), ceil_mode: int(0) })

/** AveragePool has no dilations before opset 19. */
function plain(attributes: Attributes): Attributes {
  const { dilations: _, ...rest } = attributes
  return rest
}

const spatialAxes = (x: Value) => range(x.shape.length).slice(2)

/** Pooling. */
export const pooling: Record<string, Operator> = {
  MaxPool: {
    infer: (c) => {
      const shape = pooled(c)
      const types = [{ dtype: c.inputs[0]!.dtype, shape }]
      return tiles(windowFor(c.attributes, c.inputs[0]!)) ? types : [...types, { dtype: 'int64' as const, shape }]
    },
    // The maximum of rectified values is the rectified maximum: rectifying the few is cheaper, forward and backward.
    lower: (c) => {
      const before = c.b.producers.get(c.inputs[0]!.name)
      if (before?.op !== 'Relu' || c.node.outputs[1]) return lowerMaxPool(c, c.inputs[0]!)
      const pooledFirst = lowerMaxPool(c, before.inputs[0]!)
      return [c.b.one('Relu', [pooledFirst[0]])]
    },
    gradient: ({ b, attributes, inputs: [x], outputs: [y, indices], grads: [g] }) => [
      maxPoolGradient(b, x!, y!, indices, g!, windowFor(attributes, x!)),
    ],
    flops: ({ attributes, inputs: [x] }, [out]) => sizeOf(out!.shape) * sizeOf(windowFor(attributes, x!).kernel),
  },
  AveragePool: {
    infer: (c) => [{ dtype: c.inputs[0]!.dtype, shape: pooled(c) }],
    lower: (c) => {
      const x = c.inputs[0]!
      const w = windowFor(c.attributes, x)
      if (w.dilations.some((n) => n !== 1))
        throw new PinGoError('GRAPH_UNSUPPORTED', 'dilations are not supported', {
          hint: 'Use dilations of 1, or a depthwise Conv.',
        })
      const padded = intOf(c.attributes, 'count_include_pad', 0)
      const attributes = { ...plain(windowAttributes(w)), ceil_mode: int(+w.ceil), count_include_pad: int(padded) }
      return [c.b.one('AveragePool', [x], attributes)]
    },
    gradient: ({ b, attributes, inputs: [x], grads: [g] }) => {
      const w = windowFor(attributes, x!)
      if (tiles(w)) return [repeated(b, b.scale(g!, 1 / sizeOf(w.kernel)), w.kernel, x!.shape)]
      const out = g!.shape.slice(2)
      const list = counts(w, x!.shape.slice(2), out, intOf(attributes, 'count_include_pad', 0) === 1)
      const share = b.mul(
        g!,
        b.constant(
          tensorOf(
            'float32',
            [1, 1, ...out],
            list.map((n) => 1 / n),
          ),
        ),
      )
      const channels = x!.shape[1]!
      return [convTranspose(b, share, b.filled([channels, 1, ...w.kernel], 1), w, channels, x!.shape.slice(2))]
    },
    flops: ({ attributes, inputs: [x] }, [out]) => sizeOf(out!.shape) * sizeOf(windowFor(attributes, x!).kernel),
  },
  GlobalAveragePool: { lower: ({ b, inputs: [x] }) => [b.mean(x!, spatialAxes(x!), true)] },
  GlobalMaxPool: {
    lower: ({ b, inputs: [x] }) => [b.one('ReduceMax', [x, b.ints(spatialAxes(x!))], { keepdims: int(1) })],
  },
}
