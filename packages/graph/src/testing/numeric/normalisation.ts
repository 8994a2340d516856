import { float, int } from '../../model.ts'
import { type Draw, type Generator, type Generators, ints64, type Operand } from './draw.ts'

const epsilon = (d: Draw) => (d.flag() ? { epsilon: float(Math.fround(d.pick(1e-5, 1e-3, 0.1))) } : {})

const batch: Generator = (d) => {
  const training = d.flag()
  const channels = d.int(1, 3)
  // Few numbers may lie so near each other that float32 cannot tell their variance.
  const x = [d.int(3, 5), channels, ...d.shape(0, 2, 3)]
  return {
    op: 'BatchNormalization',
    opset: d.pick(11, 14, 15, 18),
    training,
    inputs: [
      d.real(x),
      d.real([channels]),
      d.real([channels]),
      d.buffer([channels]),
      d.buffer([channels], { low: 0.5, high: 2 }),
    ],
    attributes: { ...epsilon(d), ...(d.flag() ? { momentum: float(0.75) } : {}) },
  }
}

const layer: Generator = (d) => {
  const x = d.shape(1, 4, 3).map((n, i, all) => (i === all.length - 1 ? n + 2 : n))
  const given = d.int(0, 4)
  const axis = given ? d.axis(x.length) : -1
  const inner = x.slice(axis < 0 ? axis + x.length : axis)
  const scale = d.int(0, 4) ? d.real(inner) : d.fixed(inner)
  return {
    op: 'LayerNormalization',
    opset: d.pick(17, 18, 23),
    inputs: [d.real(x), scale, d.flag() ? d.real(inner) : undefined],
    attributes: { ...(given ? { axis: int(axis) } : {}), ...epsilon(d) },
  }
}

const instance: Generator = (d) => {
  const channels = d.int(1, 3)
  const x = [d.int(1, 2), channels, d.int(3, 5), ...d.shape(0, 1, 3)]
  return {
    op: 'InstanceNormalization',
    inputs: [d.real(x), d.real([channels]), d.real([channels])],
    attributes: epsilon(d),
  }
}

const group: Generator = (d) => {
  const groups = d.int(1, 3)
  const channels = groups * d.int(1, 3)
  const opset = d.pick(18, 20, 21, 23)
  const scales = opset < 21 ? groups : channels
  return {
    op: 'GroupNormalization',
    opset,
    inputs: [d.real([d.int(1, 2), channels, d.int(3, 4), ...d.shape(0, 1, 2)]), d.real([scales]), d.real([scales])],
    attributes: { num_groups: int(groups), ...epsilon(d) },
  }
}

const rootMeanSquare =
  (op: string): Generator =>
  (d) => {
    const x = d.shape(1, 4, 3)
    const given = d.flag()
    const axis = given ? d.axis(x.length) : -1
    const inner = x.slice(axis < 0 ? axis + x.length : axis)
    return {
      op,
      opset: 23,
      inputs: [d.real(x, { gap: 0.3 }), d.real(d.flag() ? inner : d.narrower(inner))],
      attributes: { ...(given ? { axis: int(axis) } : {}), ...epsilon(d) },
    }
  }

const norm: Generator = (d) => {
  const x = d.shape(1, 3)
  return {
    op: 'LpNormalization',
    inputs: [d.real(x)],
    attributes: {
      ...(d.flag() ? { axis: int(d.axis(x.length)) } : {}),
      ...(d.flag() ? { p: int(d.int(1, 2)) } : {}),
    },
  }
}

const meanVariance: Generator = (d) => {
  const x = [d.int(2, 3), d.int(1, 2), d.int(2, 3), d.int(1, 3)]
  const axes = d.pick(undefined, [0, 2, 3], [2, 3], [0, 1, 2, 3])
  return {
    op: 'MeanVarianceNormalization',
    inputs: [d.real(x)],
    attributes: axes ? { axes: { type: 'ints', value: axes } } : {},
  }
}

const neighbours: Generator = (d) => ({
  op: 'LRN',
  inputs: [d.real([d.int(1, 2), d.int(1, 4), d.int(1, 2), d.int(1, 3)])],
  attributes: {
    size: int(d.pick(1, 2, 3, 5)),
    ...(d.flag() ? { alpha: float(d.pick(0.5, 1)) } : {}),
    ...(d.flag() ? { beta: float(d.pick(0.5, 1, 0.75)) } : {}),
    ...(d.flag() ? { bias: float(2) } : {}),
  },
})

/** From which operator set on a reduction takes its axes as an input. */
const AXES_AS_INPUT: Record<string, number> = { ReduceSum: 13 }

const reduce =
  (op: string): Generator =>
  (d) => {
    const opset = d.pick(11, 12, 13, 17, 18, 20)
    const byInput = opset >= (AXES_AS_INPUT[op] ?? 18)
    const shape = d.shape(byInput ? 0 : 1, 4, 3)
    const positive = ['ReduceLogSum', 'ReduceL2', 'ReduceProd'].includes(op) ? { low: 0.4, high: 2 } : {}
    const axes = shape.length && d.flag() ? d.axes(shape.length) : undefined
    const none = !axes && byInput && d.int(0, 3) === 0
    const list: Operand | undefined = axes ? ints64(axes) : none ? ints64([]) : undefined
    return {
      op,
      opset,
      inputs: byInput ? [d.real(shape, positive), list] : [d.real(shape, positive)],
      attributes: {
        ...(axes && !byInput ? { axes: { type: 'ints' as const, value: axes } } : {}),
        ...(d.flag() ? { keepdims: int(+d.flag()) } : {}),
        ...(byInput && d.int(0, 2) === 0 ? { noop_with_empty_axes: int(+d.flag()) } : {}),
      },
    }
  }

const REDUCTIONS = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp']

const argument =
  (op: string): Generator =>
  (d) => {
    const shape = d.shape(1, 3)
    const axis = d.flag() ? { axis: int(d.axis(shape.length)) } : {}
    return { op, inputs: [d.real(shape)], attributes: { ...axis, ...(d.flag() ? { keepdims: int(+d.flag()) } : {}) } }
  }

/** Normalisations and reductions. */
export const normalisation: Generators = {
  BatchNormalization: (d) => {
    const c = batch(d)
    // In training the next running statistics come out too.
    return c.training ? { ...c, outputs: 3, undifferentiated: [1, 2] } : c
  },
  LayerNormalization: layer,
  InstanceNormalization: instance,
  GroupNormalization: group,
  RMSNormalization: rootMeanSquare('RMSNormalization'),
  SimplifiedLayerNormalization: rootMeanSquare('SimplifiedLayerNormalization'),
  MeanVarianceNormalization: meanVariance,
  LRN: neighbours,
  LpNormalization: norm,
  ...Object.fromEntries(REDUCTIONS.map((name) => [`Reduce${name}`, reduce(`Reduce${name}`)])),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
}
