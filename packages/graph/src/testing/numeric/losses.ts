import type { LossKind } from '../../loss.ts'
import type { Ref } from '../interpreter/index.ts'
import { softplus } from '../interpreter/special.ts'
import { count, size } from '../interpreter/tensor.ts'

/** What the loss is taken on: the model's output as it stands, or its logits where the model ends in that activation. */
export interface Sample {
  output: Ref
  target: Ref
  /** Where the classes lie (cross_entropy). */
  classAxis: number
}

/** The loss of every position, in memory order of the target: written from its definition, apart from loss.ts. */
type Pointwise = (sample: Sample) => number[]

function logSoftmax(x: readonly number[]): number[] {
  const top = Math.max(...x)
  const sum = x.reduce((s, v) => s + Math.exp(v - top), 0)
  return x.map((v) => v - top - Math.log(sum))
}

/** The rows of logits, position by position. */
function rows({ output, classAxis }: Sample): number[][] {
  const [outer, classes, inner] = [
    size(output.shape.slice(0, classAxis)),
    output.shape[classAxis]!,
    size(output.shape.slice(classAxis + 1)),
  ]
  return count(outer * inner).map((i) =>
    count(classes).map((c) => output.data[(Math.floor(i / inner) * classes + c) * inner + (i % inner)]!),
  )
}

/** Every loss by its kind; a new kind does not compile without an entry. */
export const pointwise: Record<LossKind, Pointwise> = {
  cross_entropy: (s) => rows(s).map((row, i) => -logSoftmax(row)[s.target.data[i]!]!),
  bce: ({ output, target }) => Array.from(output.data, (x, i) => softplus(x) - x * target.data[i]!),
  mse: ({ output, target }) => Array.from(output.data, (x, i) => (x - target.data[i]!) ** 2),
}

/** The mean over weighted samples of each sample's mean over its positions; a batch of padding alone has loss 0. */
export function meanLoss(kind: LossKind, sample: Sample, weights: readonly number[]): number {
  const each = pointwise[kind](sample)
  const positions = each.length / weights.length
  const sum = each.reduce((s, value, i) => s + (value / positions) * weights[Math.floor(i / positions)]!, 0)
  return (
    sum /
    Math.max(
      1,
      weights.reduce((s, w) => s + w, 0),
    )
  )
}
