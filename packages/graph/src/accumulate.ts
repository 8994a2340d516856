import type { GraphBuilder } from './builder.ts'
import { differentiate } from './differentiate.ts'
import type { Imported } from './import.ts'
import type { Loss } from './losses/common.ts'
import type { Value } from './operator.ts'
import type { NoiseSource } from './operators/random.ts'
import { range } from './shape.ts'
import { MadeFor, plusGradient } from './sum-of-gradients.ts'

/** The graph up to the loss, for a batch or for one of the micro-batches that it is cut into. */
export interface Forward {
  b: GraphBuilder
  imported: Imported
  output: Value
  loss: Loss
  /** The whole batch's. */
  sampleWeight: Value
  /** Random numbers of all micro-batches; absent where nothing is random. */
  noise?: NoiseSource | undefined
  /** Micro-batches, and how to build another; its rows are those of the part, plus `zero`. */
  parts: number
  part(index: number, zero: Value): Forward
}

/** What a step knows once all of its micro-batches are done. */
export interface Pass {
  /** The last import: its running statistics have seen every micro-batch. */
  imported: Imported
  weights: Value[]
  /** Of the mean loss, by each weight. */
  gradients: Value[]
  loss: Value
  metricSum: Value
}

/** A loss as the mean over what counts; where nothing does it is 0. */
export const meanOf = (b: GraphBuilder, { lossSum, total, least }: Pick<Loss, 'lossSum' | 'total' | 'least'>): Value =>
  b.div(lossSum, atLeast(b, total, least))

const atLeast = (b: GraphBuilder, total: Value, least: number) => b.one('Max', [total, b.scalar(least)])

/** A sum over what counts brought to all samples, so that dividing by samples (and predictions per sample) gives the mean. */
export function overSamples(
  b: GraphBuilder,
  sum: Value,
  { partial, total, least }: Pick<Loss, 'partial' | 'total' | 'least'>,
  sampleWeight: Value,
): Value {
  return partial ? b.mul(sum, b.div(b.sum(sampleWeight), atLeast(b, total, least))) : sum
}

/**
 * Forward and backward of every micro-batch, one after the other, and their sums. Sums are divided by the whole batch's total at the end,
 * so that a loss with ignored positions is the mean over those of the whole batch, too.
 * @returns no gradient for weights that the loss does not depend on
 */
export function passOf(first: Forward): Pass {
  const { b, sampleWeight, parts } = first
  const candidates = [...first.imported.weights.values()].filter((v) => !first.imported.buffers.has(v.name))
  let [at, gradients, sums] = [first, new Map<string, Value>(), { ...first.loss }]
  for (let i = 0; i < parts; i++) {
    if (i > 0) {
      at = at.part(i, zeroAfter(b, [...gradients.values()]))
      const { lossSum, metricSum, total } = at.loss
      sums = {
        ...sums,
        lossSum: b.add(sums.lossSum, lossSum),
        metricSum: b.add(sums.metricSum, metricSum),
        total: b.add(sums.total, total),
      }
    }
    const [value, g] = at.loss.seed()
    const seed = parts === 1 ? b.div(g, atLeast(b, sums.total, sums.least)) : g
    const from = b.operations.length
    const found = differentiate(b, [[value, seed]], candidates)
    const made = new MadeFor(b, from, [...found.values()])
    const plus = (sum: Value | undefined, g: Value) => (sum ? plusGradient(b, sum, g, made) : g)
    gradients = new Map([...found].map(([name, g]) => [name, plus(gradients.get(name), g)]))
  }
  const weights = candidates.filter((v) => gradients.has(v.name))
  const divided = (g: Value) => (parts === 1 ? g : b.div(g, atLeast(b, sums.total, sums.least)))
  return {
    imported: at.imported,
    weights,
    gradients: weights.map((w) => divided(gradients.get(w.name)!)),
    loss: meanOf(b, sums),
    metricSum: overSamples(b, sums.metricSum, sums, sampleWeight),
  }
}

/**
 * The int64 number 0, which can only be known once all of `values` are. The next micro-batch picks its rows with it: the runtime orders
 * nodes by their inputs alone, and would otherwise hold the activations of all micro-batches at once.
 */
function zeroAfter(b: GraphBuilder, values: readonly Value[]): Value {
  const firsts = values.map((v) => b.slice(b.reshape(v, [v.shape.reduce((n, m) => n * m, 1)]), [0], [0], [1]))
  const sum = b.sum(b.concat(firsts, 0))
  // Nothing is above and below 0, not even NaN.
  const never = b.one('And', [b.one('Greater', [sum, b.scalar(0)]), b.one('Less', [sum, b.scalar(0)])])
  return b.cast(never, 'int64')
}

/** Rows `part * size` … of a batch; the first part needs no waiting. */
export function rowsOf(b: GraphBuilder, x: Value, part: number, size: number, zero?: Value, rows?: Value): Value {
  if (x.shape[0] === size && !rows) return x
  const [from, to] = [part * size, (part + 1) * size]
  if (!rows && !zero) return b.slice(x, [0], [from], [to])
  const own = rows ? b.slice(rows, [0], [from], [to]) : b.ints(range(size).map((i) => from + i))
  return b.one('Gather', [x, zero ? b.add(own, zero) : own])
}
