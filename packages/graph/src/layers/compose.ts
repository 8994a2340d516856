import { PinGoError, sizeOf } from '@pingo/wire'
import { int, type Model, type ValueInfo } from '../model.ts'
import { sameShape, shapeText } from '../shape.ts'
import { type Activation, activate } from './activation.ts'
import { badSetting, type Layer, layer, misfit, Net, type Signal } from './net.ts'

/** Largest weight or sample of a built model, elements. */
const MAX_ELEMENTS = 2 ** 31

export interface ModelOptions {
  /** Shape of a sample, without the batch; `int64` for tokens (the default when the first layer is an embedding). */
  input: readonly number[] | { shape: readonly number[]; dtype?: 'float32' | 'int64' }
  /** Equal seeds give equal weights. Default 0. */
  seed?: number
  /** Name of the graph. */
  name?: string
}

/**
 * A model from layers, one behind the other: `input` [batch, …input] → `output` [batch, …].
 *
 * ```ts
 * const model = sequential([conv2d(32, { activation: 'relu' }), maxPool(2), flatten(), dense(10)], { input: [1, 28, 28] })
 * await writeFile('model.onnx', writeModel(model))
 * ```
 * Leave the last softmax or sigmoid out: the losses `cross_entropy` and `bce` work on logits.
 * @throws PinGoError LAYER_SHAPE_MISMATCH naming the layer and what it is given; LAYER_INVALID, LAYER_NAME_TAKEN
 */
export function sequential(layers: readonly Layer[], { input, seed = 0, name = 'model' }: ModelOptions): Model {
  const { shape, dtype }: { shape: readonly number[]; dtype?: 'float32' | 'int64' } =
    'shape' in input ? input : { shape: input }
  if (!shape.every((n) => Number.isSafeInteger(n) && n > 0) || sizeOf(shape) > MAX_ELEMENTS)
    throw new PinGoError('LAYER_INVALID', `A model's input cannot be ${shapeText(shape)} a sample.`, {
      hint: 'Give whole numbers of at least 1, without the batch: [1, 28, 28].',
    })
  const net = new Net(seed)
  const kind = dtype ?? (layers[0]?.kind === 'embedding' ? 'int64' : 'float32')
  const x: Signal = { value: 'input', dtype: kind, shape }
  const info: ValueInfo = { name: 'input', dtype: kind, shape: ['batch', ...shape] }
  return net.finish(name, info, chain(net, layers, x, ''))
}

/** Applies layers one behind the other; those without a name are called by their kind and its number. */
export function chain(net: Net, layers: readonly Layer[], x: Signal, prefix: string): Signal {
  const counts: Record<string, number> = {}
  return layers.reduce((signal, each) => {
    const count = (counts[each.kind] = (counts[each.kind] ?? 0) + 1)
    const name = each.name ?? `${each.kind}${count}`
    const y = each.apply(net, signal, prefix ? `${prefix}.${name}` : name)
    if (y.shape.some((n) => n < 1))
      throw misfit(name, signal, 'something larger', 'Use fewer or smaller strides and pools.')
    return y
  }, x)
}

/** Layers as one, under a common name: weights are called `NAME.LAYER.weight`. */
export const block = (layers: readonly Layer[], o: { name?: string } = {}): Layer =>
  layer('block', o.name, (net, x, name) => chain(net, layers, x, name))

export interface ResidualOptions {
  /** What the input passes to be added; default nothing, which needs layers that keep the shape. */
  shortcut?: readonly Layer[]
  /** Behind the sum. */
  activation?: Activation
  name?: string
}

/** x + layers(x) (He et al. 2015). Any shape. */
export const residual = (layers: readonly Layer[], o: ResidualOptions = {}): Layer =>
  layer('residual', o.name, (net, x, name) => {
    const y = chain(net, layers, x, name)
    const past = o.shortcut ? chain(net, o.shortcut, x, `${name}.shortcut`) : x
    if (!sameShape(y.shape, past.shape))
      throw new PinGoError(
        'LAYER_SHAPE_MISMATCH',
        `The layer '${name}' adds ${shapeText(y.shape)} to ${shapeText(past.shape)}: the shapes must be equal.`,
        {
          hint: `Give a shortcut that makes ${shapeText(y.shape)}, for example [conv2d(channels, { kernel: 1, stride })].`,
        },
      )
    const sum = { ...y, value: net.node('Add', [past.value, y.value], `${name}.sum`) }
    return activate(net, sum, name, o.activation)
  })

export interface BranchOptions {
  /** `concat` (default) along the channels of images [C, …space], else along the last axis; `add` and `multiply` want equal shapes. */
  join?: 'concat' | 'add' | 'multiply'
  name?: string
}

/** Lists of layers side by side on the same input, joined (Szegedy et al. 2014). An empty list passes the input. */
export const branches = (lists: readonly (readonly Layer[])[], o: BranchOptions = {}): Layer =>
  layer('branches', o.name, (net, x, name) => {
    if (!lists.length) throw badSetting(name, 'it has no branches', 'Give a list of lists of layers.')
    const parts = lists.map((layers, i) => chain(net, layers, x, `${name}.${i + 1}`))
    const [first] = parts as [Signal, ...Signal[]]
    const { join = 'concat' } = o
    const rank = first.shape.length
    const axis = rank >= 3 ? 0 : rank - 1
    const shapes = parts.map(({ shape }) => (join === 'concat' ? shape.toSpliced(axis, 1) : shape))
    if (rank === 0 || shapes.some((shape, i) => !sameShape(shape, shapes[0]!) || parts[i]!.shape.length !== rank))
      throw new PinGoError(
        'LAYER_SHAPE_MISMATCH',
        `The branches of '${name}' give ${parts.map(({ shape }) => shapeText(shape)).join(' and ')}, which ${join} cannot join.`,
        { hint: join === 'concat' ? 'Let them differ along one axis alone.' : 'Let them give equal shapes.' },
      )
    const values = parts.map(({ value }) => value)
    if (join === 'concat') {
      const size = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0)
      const value = net.node('Concat', values, `${name}.joined`, { axis: int(axis + 1) })
      return { ...first, value, shape: first.shape.with(axis, size) }
    }
    const op = join === 'add' ? 'Add' : 'Mul'
    const value = values.reduce((sum, next, i) => net.node(op, [sum, next], `${name}.joined${i}`))
    return { ...first, value }
  })
