import type { LossKind, LossSettings } from '@pingo/wire'
import type { Ref } from '../interpreter/index.ts'
import { softplus } from '../interpreter/special.ts'
import { count, size } from '../interpreter/tensor.ts'

/** What the loss is taken on: the model's output as it stands, or its logits where the model ends in that activation. */
export interface Sample {
  output: Ref
  target: Ref
  /** Where the classes lie (cross_entropy, kl). */
  classAxis: number
  settings: LossSettings
}

/** The loss of every position, sample by sample; undefined where a position does not count. Written from its definition. */
type Positions = (sample: Sample) => (number | undefined)[]

const sum = (values: readonly number[]) => values.reduce((s, x) => s + x, 0)

function logSoftmax(x: readonly number[]): number[] {
  const top = Math.max(...x)
  const total = sum(x.map((v) => Math.exp(v - top)))
  return x.map((v) => v - top - Math.log(total))
}

/** The rows along the classes of a tensor of the output's shape, position by position. */
function rows({ data }: Ref, { output, classAxis }: Sample): number[][] {
  const [outer, classes, inner] = [
    size(output.shape.slice(0, classAxis)),
    output.shape[classAxis]!,
    size(output.shape.slice(classAxis + 1)),
  ]
  const at = (i: number, c: number) => (Math.floor(i / inner) * classes + c) * inner + (i % inner)
  return count(outer * inner).map((i) => count(classes).map((c) => data[at(i, c)]!))
}

/** One loss for every element of the output: d is what it is off by. */
const byElement =
  (f: (d: number, settings: LossSettings) => number): Positions =>
  ({ output, target, settings }) =>
    Array.from(output.data, (x, i) => f(x - target.data[i]!, settings))

const huber = (d: number, delta: number) => (Math.abs(d) <= delta ? (d * d) / 2 : delta * (Math.abs(d) - delta / 2))

/** Every loss by its kind; a new kind does not compile without an entry. */
export const positions: Record<LossKind, Positions> = {
  cross_entropy: (s) => {
    const { ignoreIndex, smoothing = 0 } = s.settings as Extract<LossSettings, { kind: 'cross_entropy' }>
    const soft = s.target.kind === 'float' ? rows(s.target, s) : undefined
    return rows(s.output, s).map((row, i) => {
      const id = s.target.data[i]!
      if (!soft && id === ignoreIndex) return undefined
      const logp = logSoftmax(row)
      const plain = soft ? sum(logp.map((l, c) => l * soft[i]![c]!)) : logp[id]!
      return -(1 - smoothing) * plain - (smoothing * sum(logp)) / logp.length
    })
  },
  bce: ({ output, target, settings }) => {
    const { positiveWeight = 1 } = settings as Extract<LossSettings, { kind: 'bce' }>
    const weight = (i: number) =>
      typeof positiveWeight === 'number' ? positiveWeight : positiveWeight[i % positiveWeight.length]!
    return Array.from(output.data, (x, i) => {
      const t = target.data[i]!
      return weight(i) * t * softplus(-x) + (1 - t) * softplus(x)
    })
  },
  mse: byElement((d) => d * d),
  l1: byElement(Math.abs),
  huber: byElement((d, settings) => huber(d, (settings as { delta?: number }).delta ?? 1)),
  smooth_l1: byElement((d, settings) => {
    const { beta = 1 } = settings as { beta?: number }
    return huber(d, beta) / beta
  }),
  // A sample's positions are added up, where others are averaged.
  kl: (s) => {
    const truth = rows(s.target, s)
    const each = rows(s.output, s).map((row, i) =>
      sum(logSoftmax(row).map((l, c) => (truth[i]![c]! > 0 ? truth[i]![c]! * (Math.log(truth[i]![c]!) - l) : 0))),
    )
    const perSample = each.length / s.output.shape[0]!
    return each.map((value) => value * perSample)
  },
  cosine: ({ output, target }) => {
    const width = output.shape.at(-1)!
    const row = (x: Ref, i: number) => Array.from(x.data.slice(i * width, (i + 1) * width))
    const length = (v: readonly number[]) => Math.sqrt(sum(v.map((x) => x * x)) + 1e-12)
    return count(output.data.length / width).map((i) => {
      const [y, t] = [row(output, i), row(target, i)]
      return 1 - sum(y.map((x, j) => x * t[j]!)) / length(y) / length(t)
    })
  },
  output: ({ output }) => Array.from(output.data),
}

/**
 * The mean over weighted samples of each sample's mean over its positions, or, where some positions do not count, the mean over those
 * that do, each with its sample's weight. What weighs less than one sample (position) altogether is not blown up.
 */
export function meanLoss(sample: Sample, weights: readonly number[]): number {
  const each = positions[sample.settings.kind](sample)
  // One number for a whole batch is the mean over its samples.
  const perSample = each.length === 1 && weights.length > 1 ? 0 : each.length / weights.length
  if (perSample === 0) return (each[0]! * sum([...weights])) / Math.max(1, sum([...weights]))
  const weightOf = (i: number) => weights[Math.floor(i / perSample)]! / perSample
  const counted = each.flatMap((value, i) => (value === undefined ? [] : [{ value, weight: weightOf(i) }]))
  const partial = (sample.settings as { ignoreIndex?: number }).ignoreIndex !== undefined
  const total = partial ? sum(counted.map(({ weight }) => weight)) : sum([...weights])
  return sum(counted.map(({ value, weight }) => value * weight)) / Math.max(total, partial ? 1 / perSample : 1)
}
