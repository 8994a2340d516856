import { flag, type Kernel, type Kernels, need, number } from './kernel.ts'
import { along } from './reduction.ts'
import { at, build, count, front, map, type Ref, reshaped, size, spread } from './tensor.ts'

const mean = (values: readonly number[]) => values.reduce((a, x) => a + x, 0) / values.length
/** The population's variance. */
const variance = (values: readonly number[]) => {
  const centre = mean(values)
  return mean(values.map((x) => (x - centre) ** 2))
}

/** (x - mean) / sqrt(variance + epsilon) over `axes`. */
function standard(x: Ref, axes: readonly number[], epsilon: number): { y: Ref; mean: Ref; inverse: Ref } {
  const centre = along(x, axes, true, mean)
  const inverse = map(along(x, axes, true, variance), (v) => 1 / Math.sqrt(v + epsilon))
  const y = build('float', x.shape, (index) => (at(x, index) - spread(centre, index)) * spread(inverse, index))
  return { y, mean: centre, inverse }
}

/** Scale and bias with one number a channel (axis 1). */
const perChannel = (y: Ref, scale: Ref, bias: Ref): Ref =>
  build('float', y.shape, (index) => at(y, index) * scale.data[index[1]!]! + bias.data[index[1]!]!)

const rootMeanSquare: Kernel = (c) => {
  const [x, scale] = [need(c, 0), need(c, 1)]
  const axes = count(x.shape.length).slice(front(number(c, 'axis', -1), x.shape.length))
  const power = along(x, axes, true, (values) => mean(values.map((v) => v * v)))
  const epsilon = number(c, 'epsilon', 1e-5)
  return [
    build('float', x.shape, (index) => {
      return (at(x, index) / Math.sqrt(spread(power, index) + epsilon)) * spread(scale, index)
    }),
  ]
}

/** Batch, layer, instance, group and root-mean-square normalisation. */
export const normalisation: Kernels = {
  BatchNormalization: (c) => {
    const [x, scale, bias, mean0, variance0] = [need(c, 0), need(c, 1), need(c, 2), need(c, 3), need(c, 4)]
    const epsilon = number(c, 'epsilon', 1e-5)
    const apply = (m: Ref, v: Ref) =>
      build('float', x.shape, (index) => {
        const ch = index[1]!
        return ((at(x, index) - m.data[ch]!) / Math.sqrt(v.data[ch]! + epsilon)) * scale.data[ch]! + bias.data[ch]!
      })
    if (!flag(c, 'training_mode') && !c.training) return [apply(mean0, variance0)]
    const axes = count(x.shape.length).filter((d) => d !== 1)
    const [m, v] = [along(x, axes, false, mean), along(x, axes, false, variance)]
    const momentum = number(c, 'momentum', 0.9)
    const moved = (old: Ref, now: Ref): Ref => ({
      ...old,
      data: old.data.map((value, i) => value * momentum + now.data[i]! * (1 - momentum)),
    })
    return [apply(m, v), moved(mean0, m), moved(variance0, v)]
  },
  LayerNormalization: (c) => {
    const [x, scale, bias] = [need(c, 0), need(c, 1), c.inputs[2]]
    const axis = front(number(c, 'axis', -1), x.shape.length)
    const result = standard(x, count(x.shape.length).slice(axis), number(c, 'epsilon', 1e-5))
    const y = build('float', x.shape, (index) => {
      return at(result.y, index) * spread(scale, index) + (bias ? spread(bias, index) : 0)
    })
    return [y, result.mean, result.inverse]
  },
  RMSNormalization: rootMeanSquare,
  SimplifiedLayerNormalization: rootMeanSquare,

  InstanceNormalization: (c) => {
    const x = need(c, 0)
    const { y } = standard(x, count(x.shape.length).slice(2), number(c, 'epsilon', 1e-5))
    return [perChannel(y, need(c, 1), need(c, 2))]
  },
  // Scale and bias have one number a group until opset 20, one a channel from 21 on.
  GroupNormalization: (c) => {
    const [x, scale, bias] = [need(c, 0), need(c, 1), need(c, 2)]
    const [n, channels] = x.shape as [number, number]
    const groups = number(c, 'num_groups', 1)
    const rows = reshaped(x, [n, groups, size(x.shape) / n / groups])
    const y = reshaped(standard(rows, [2], number(c, 'epsilon', 1e-5)).y, x.shape)
    const wide = (v: Ref) => build('float', [channels], ([ch]) => v.data[Math.floor((ch! * groups) / channels)]!)
    return [c.opset < 21 ? perChannel(y, wide(scale), wide(bias)) : perChannel(y, scale, bias)]
  },
}
