import type { Column, Tensor } from '@pingo/wire'

/** What a model says of one sample. */
export interface Prediction {
  /** From 0, in the order of the file. */
  row: number
  /** The most likely class. */
  class?: string
  probability?: number
  /** By class name. */
  probabilities?: Record<string, number>
  /** For models that tell numbers. */
  values?: number[]
}

/** Most classes whose probabilities are told one by one. */
export const MAX_CLASSES_TOLD = 100

/**
 * A sample's output as a prediction.
 * @param scores the output's numbers for this sample: logits or probabilities, or the numbers themselves
 * @param target what the model learned to tell; without one, it is taken for classes when the output looks like probabilities
 */
export function predictionOf(row: number, scores: ArrayLike<number>, target: Column | undefined): Prediction {
  const classes = target ? (target.classes ?? target.vocabulary) : undefined
  const isClasses = target ? target.dtype !== 'float32' : isDistribution(scores) && scores.length > 1
  if (!isClasses) return { row, values: Array.from(scores) }
  const probabilities =
    scores.length === 1 ? twoOf(scores[0]!) : isDistribution(scores) ? Array.from(scores) : softmax(scores)
  const best = probabilities.reduce((at, value, i) => (value > probabilities[at]! ? i : at), 0)
  const nameOf = (id: number) => classes?.[id] ?? String(id)
  return {
    row,
    class: nameOf(best),
    probability: probabilities[best]!,
    ...(probabilities.length <= MAX_CLASSES_TOLD
      ? { probabilities: Object.fromEntries(probabilities.map((value, id) => [nameOf(id), value])) }
      : {}),
  }
}

/** Numbers of sample `index` of an output; of a sequence, those at position `position`. */
export function scoresOf(output: Tensor, index: number, rows: number, position?: number): Float64Array {
  const size = output.data.length / rows
  const width = position === undefined ? size : output.shape.at(-1)!
  const from = index * size + (position ?? 0) * width
  return Float64Array.from({ length: width }, (_, i) => Number(output.data[from + i]))
}

/** exp(x) over the sum of all; stable for large scores. */
export function softmax(scores: ArrayLike<number>, temperature = 1): number[] {
  const scaled = Array.from(scores, (score) => score / temperature)
  const most = scaled.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const powers = scaled.map((score) => Math.exp(score - most))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}

/** One score for two classes: the logit of the second. */
function twoOf(score: number): number[] {
  const yes = 1 / (1 + Math.exp(-score))
  return [1 - yes, yes]
}

function isDistribution(scores: ArrayLike<number>): boolean {
  let sum = 0
  for (let i = 0; i < scores.length; i++) {
    if (!(scores[i]! >= 0 && scores[i]! <= 1)) return false
    sum += scores[i]!
  }
  return Math.abs(sum - 1) < 1e-3
}
